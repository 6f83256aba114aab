//! Networks that judge images: features for FID and KID, LPIPS, and segmentation networks.
//!
//! They run on the plain backend, never on an autodiff one, and their weights are loaded strictly:
//! an evaluation with a network that is half random gives a number that looks like a result.
//! Layers, backbones and the reading of weight files are those of [`dp_sims_model`].
#![recursion_limit = "256"]

mod deeplab;
mod drn;
mod inception;
mod kind;
pub mod known;
mod lpips;
mod mask2former;
mod segmenter;
mod swav;
mod upernet;

pub use deeplab::{DeepLab, DeepLabConfig};
pub use drn::{Drn, DrnConfig, DrnLevel, Upsampling};
pub use inception::{
    BasicConv, FidInception, INCEPTION_FEATURES, INCEPTION_FILE, INCEPTION_SIZE, Inception,
    InceptionA, InceptionB, InceptionC, InceptionConfig, InceptionD, InceptionE,
};
pub use kind::EvaluatorKind;
pub use lpips::{Lpips, LpipsFeatures, LpipsNetwork, LpipsTrunk};
pub use mask2former::{
    Attention, COCO_PANOPTIC_CLASSES, DecoderLayer, DeformableAttention, Embedding, GroupNorm,
    Mask2Former, Mask2FormerConfig, Mask2FormerInfo, Mask2FormerKind, Mask2FormerModel,
    MaskPredictor, MaskedDecoder, PixelDecoder, PixelEncoder, PixelEncoderLayer, PixelFeatures,
    PixelLevelModule, SwinEncoder, TransformerModule, coco_panoptic_of_channels,
};
pub use segmenter::{ClassSet, ScaleFilter, Segmenter, SegmenterInfo, SegmenterKind};
pub use swav::{SWAV_FEATURES, SWAV_SIZE, SwavResNet};
pub use upernet::{UperNet, UperNetConfig, UperNetDecoder};
