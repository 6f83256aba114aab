use strum::VariantArray;

use super::Mask2FormerConfig;

/// A published Mask2Former with a Swin-L backbone (notes M15, M16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, VariantArray)]
pub enum Mask2FormerKind {
    /// The 150 classes of ADE20K, trained for semantic segmentation.
    AdeSemantic,
    /// The 19 train ids of Cityscapes, trained for semantic segmentation.
    CityscapesSemantic,
    /// The 133 classes of COCO panoptic, trained for panoptic segmentation.
    CocoPanoptic,
}

/// What a user of a published network has to know about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask2FormerInfo {
    /// Name in messages.
    pub name: &'static str,
    /// Repository on the Hugging Face hub, whose `model.safetensors` or `pytorch_model.bin` is read.
    pub repository: &'static str,
    /// Licence of the weights.
    pub licence: &'static str,
    /// Masks that it predicts.
    pub queries: usize,
    /// Classes that it tells apart.
    pub classes: usize,
    /// Pixels of the shorter side of a test image.
    pub short_side: usize,
    /// Pixels that the longer side of a test image may have.
    pub long_side: usize,
}

impl Mask2FormerKind {
    /// Every published network.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    /// Numbers of the configurations of the original project (`configs/*` of
    /// facebookresearch/Mask2Former; COCO's test sizes are the defaults of detectron2).
    pub const fn info(self) -> Mask2FormerInfo {
        let licence = "CC BY-NC 4.0";
        match self {
            Self::AdeSemantic => Mask2FormerInfo {
                name: "mask2former_ade",
                repository: "facebook/mask2former-swin-large-ade-semantic",
                licence,
                queries: 100,
                classes: 150,
                short_side: 640,
                long_side: 2560,
            },
            Self::CityscapesSemantic => Mask2FormerInfo {
                name: "mask2former_cityscapes",
                repository: "facebook/mask2former-swin-large-cityscapes-semantic",
                licence,
                queries: 100,
                classes: 19,
                short_side: 1024,
                long_side: 2048,
            },
            Self::CocoPanoptic => Mask2FormerInfo {
                name: "mask2former_coco",
                repository: "facebook/mask2former-swin-large-coco-panoptic",
                licence,
                queries: 200,
                classes: 133,
                short_side: 800,
                long_side: 1333,
            },
        }
    }

    /// Size of the network.
    pub fn config(self) -> Mask2FormerConfig {
        let info = self.info();
        let masks_first = self == Self::CocoPanoptic;
        Mask2FormerConfig::new(info.queries, info.classes).with_masks_first(masks_first)
    }

    /// The network that tells so many classes apart.
    pub fn of_classes(classes: usize) -> Option<Self> {
        Self::all().find(|kind| kind.info().classes == classes)
    }

    /// Height and width to which the project resizes an image of `size` before the network sees it
    /// (`ResizeShortestEdge` of detectron2): the shorter side gets
    /// [`short_side`](Mask2FormerInfo::short_side) pixels, or fewer where the longer one would
    /// exceed [`long_side`](Mask2FormerInfo::long_side).
    ///
    /// The project resizes 8-bit images with Pillow's `BILINEAR`, which averages over the covered
    /// pixels where it makes an image smaller; the caller does this.
    pub fn test_size(self, size: [usize; 2]) -> [usize; 2] {
        let info = self.info();
        let [height, width] = size.map(|side| side as f64);
        let (short, long) = (info.short_side as f64, info.long_side as f64);
        let scale = short / height.min(width);
        // The shorter side is not multiplied, so that rounding cannot miss it.
        let mut resized = if height < width {
            [short, scale * width]
        } else {
            [scale * height, short]
        };
        let longest = resized[0].max(resized[1]);
        if longest > long {
            resized = resized.map(|side| side * (long / longest));
        }
        resized.map(|side| (side + 0.5) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_side_is_resized_unless_the_longer_one_grows_too_long() {
        use Mask2FormerKind::{AdeSemantic, CityscapesSemantic, CocoPanoptic};
        assert_eq!(AdeSemantic.test_size([256, 256]), [640, 640]);
        assert_eq!(CityscapesSemantic.test_size([256, 512]), [1024, 2048]);
        // 512 / 683 and its inverse, as the detectron2 rule gives them.
        assert_eq!(AdeSemantic.test_size([512, 683]), [640, 854]);
        assert_eq!(AdeSemantic.test_size([683, 512]), [854, 640]);
        assert_eq!(CocoPanoptic.test_size([480, 640]), [800, 1067]);
        assert_eq!(CocoPanoptic.test_size([200, 800]), [333, 1333]);
        assert_eq!(AdeSemantic.test_size([2000, 300]), [2560, 384]);
    }

    #[test]
    fn a_network_is_known_by_its_classes() {
        for kind in Mask2FormerKind::all() {
            assert_eq!(Mask2FormerKind::of_classes(kind.info().classes), Some(kind));
        }
        assert_eq!(Mask2FormerKind::of_classes(80), None);
    }
}
