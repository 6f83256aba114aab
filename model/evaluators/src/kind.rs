use super::{LpipsTrunk, Mask2FormerKind, SegmenterKind};

/// A network that images are judged with, as weight files and commands name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluatorKind {
    /// The Inception-v3 of FID and KID.
    FidInception,
    /// The ResNet-50 of SwAV-FID.
    SwavResnet50,
    /// The trunk of LPIPS; its heads are part of the program.
    Lpips(LpipsTrunk),
    /// A segmentation network of mIoU.
    Segmenter(SegmenterKind),
    /// The judge of mIoU_MF.
    Mask2Former(Mask2FormerKind),
}

impl EvaluatorKind {
    /// Every network, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::FidInception,
        Self::SwavResnet50,
        Self::Lpips(LpipsTrunk::Vgg),
        Self::Lpips(LpipsTrunk::AlexNet),
        Self::Segmenter(SegmenterKind::DeepLabV2CocoStuff),
        Self::Segmenter(SegmenterKind::Drn105Cityscapes),
        Self::Segmenter(SegmenterKind::UperNetAde20k),
        Self::Mask2Former(Mask2FormerKind::AdeSemantic),
        Self::Mask2Former(Mask2FormerKind::CityscapesSemantic),
        Self::Mask2Former(Mask2FormerKind::CocoPanoptic),
    ];

    /// Name on the command line; that of protocols where they have one.
    pub fn name(self) -> &'static str {
        match self {
            Self::FidInception => "fid_inception",
            Self::SwavResnet50 => "swav_resnet50",
            Self::Lpips(LpipsTrunk::Vgg) => "lpips_vgg",
            Self::Lpips(LpipsTrunk::AlexNet) => "lpips_alexnet",
            Self::Segmenter(kind) => kind.info().name,
            Self::Mask2Former(kind) => kind.info().name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_every_family_is_listed() {
        let segmenters = SegmenterKind::ALL.map(EvaluatorKind::Segmenter);
        let mask2formers = Mask2FormerKind::ALL.map(EvaluatorKind::Mask2Former);
        let features = [EvaluatorKind::FidInception, EvaluatorKind::SwavResnet50];
        let expected = features
            .into_iter()
            .chain(LpipsTrunk::ALL.map(EvaluatorKind::Lpips))
            .chain(segmenters)
            .chain(mask2formers);
        assert!(expected.eq(EvaluatorKind::ALL));
    }
}
