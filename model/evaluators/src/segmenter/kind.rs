use strum::VariantArray;

use super::ClassSet;

/// Relative sizes of DRN's multi-scale test beside the full one (`segment.py`; notes M13).
const DRN_SCALES: [f64; 5] = [0.5, 0.75, 1.25, 1.5, 1.75];
/// Shorter sides of UPerNet's (`config/ade20k-resnet101-upernet.yaml`; notes M9).
const UPERNET_SHORT_SIDES: [f64; 5] = [300.0, 375.0, 450.0, 525.0, 600.0];
/// Bound of the longer side there.
const UPERNET_LONG_SIDE: f64 = 1000.0;
/// Sides are rounded up to a multiple of this there.
const UPERNET_MULTIPLE: usize = 32;

/// A segmentation network that papers judge images with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, VariantArray)]
pub enum SegmenterKind {
    /// DeepLabV2 over ResNet-101, COCO-Stuff.
    DeepLabV2CocoStuff,
    /// DRN-D-105, Cityscapes.
    Drn105Cityscapes,
    /// UPerNet over ResNet-101, ADE20K.
    UperNetAde20k,
}

/// How the caller makes the sizes of an image that a network wants. Each project has its own way,
/// and all start from an image of eight bits, as it is read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleFilter {
    /// The image stays as it is; the network makes smaller ones itself.
    Native,
    /// Pillow's `BILINEAR` on eight bits: a triangle filter, wider when it shrinks.
    PillowBilinear,
    /// Pillow's `BICUBIC` on eight bits, wider when it shrinks.
    PillowBicubic,
}

/// What a user of a segmentation network has to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmenterInfo {
    /// Name in configurations.
    pub name: &'static str,
    /// Names of its weight files, in the order in which they are loaded.
    pub files: &'static [&'static str],
    /// Project that published them.
    pub source: &'static str,
    /// Licence of the project.
    pub licence: &'static str,
    /// Its classes.
    pub classes: ClassSet,
    /// How the caller makes the sizes of [`SegmenterKind::scales`].
    pub filter: ScaleFilter,
}

impl SegmenterKind {
    /// Every network, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    /// What is known about the network.
    pub const fn info(self) -> SegmenterInfo {
        match self {
            Self::DeepLabV2CocoStuff => SegmenterInfo {
                name: "deeplabv2_resnet101_coco_stuff",
                files: &["deeplabv2_resnet101_msc-cocostuff164k-100000.pth"],
                source: "kazuto1011/deeplab-pytorch",
                licence: "MIT",
                classes: ClassSet::CocoStuff,
                filter: ScaleFilter::Native,
            },
            Self::Drn105Cityscapes => SegmenterInfo {
                name: "drn_d_105_cityscapes",
                files: &["drn-d-105_ms_cityscapes.pth"],
                source: "fyu/drn",
                licence: "BSD-3-Clause",
                classes: ClassSet::Cityscapes,
                filter: ScaleFilter::PillowBicubic,
            },
            Self::UperNetAde20k => SegmenterInfo {
                name: "upernet_resnet101_ade20k",
                files: &["encoder_epoch_50.pth", "decoder_epoch_50.pth"],
                source: "CSAILVision/semantic-segmentation-pytorch",
                licence: "BSD-3-Clause",
                classes: ClassSet::Ade20k,
                filter: ScaleFilter::PillowBilinear,
            },
        }
    }

    /// Sizes, height first, in which an image of `height` × `width` pixels is shown to the network,
    /// in the order in which [`Segmenter::predict`](super::Segmenter::predict) takes them. The
    /// caller resizes with [`SegmenterInfo::filter`]; an entry of the image's own size is the image.
    ///
    /// Sides are computed in f64 and cut as Python does it in the projects, but are at least 1.
    pub fn scales(self, height: usize, width: usize) -> Vec<[usize; 2]> {
        match self {
            Self::DeepLabV2CocoStuff => vec![[height, width]],
            Self::Drn105Cityscapes => std::iter::once([height, width])
                .chain(DRN_SCALES.map(|scale| [height, width].map(|side| scaled(side, scale))))
                .collect(),
            Self::UperNetAde20k => UPERNET_SHORT_SIDES
                .map(|short| {
                    let scale = (short / height.min(width) as f64)
                        .min(UPERNET_LONG_SIDE / height.max(width) as f64);
                    [height, width]
                        .map(|side| scaled(side, scale).next_multiple_of(UPERNET_MULTIPLE))
                })
                .to_vec(),
        }
    }
}

fn scaled(side: usize, scale: f64) -> usize {
    ((side as f64 * scale) as usize).max(1)
}
