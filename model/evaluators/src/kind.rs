use dp_sims_model::naming::same_name;

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
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::FidInception, Self::SwavResnet50]
            .into_iter()
            .chain(LpipsTrunk::all().map(Self::Lpips))
            .chain(SegmenterKind::all().map(Self::Segmenter))
            .chain(Mask2FormerKind::all().map(Self::Mask2Former))
    }

    /// The network of a name, with dashes or underscores.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| same_name(kind.name(), name))
    }

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
    fn every_network_is_found_by_its_name_with_dashes_or_underscores() {
        assert_eq!(EvaluatorKind::all().count(), 10);
        for kind in EvaluatorKind::all() {
            let name = kind.name();
            for written in [name, &name.replace('_', "-")] {
                assert_eq!(EvaluatorKind::named(written), Some(kind), "{written}");
            }
        }
        assert_eq!(EvaluatorKind::named("lpips"), None);
    }
}
