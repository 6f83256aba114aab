//! Mask2Former with a Swin backbone: semantic segmentation of generated images (notes M15 to M19).
//!
//! The weights are those that transformers publishes, `facebook/mask2former-swin-large-*`; what is
//! compared with what is in the book, reference/evaluators.

mod attention;
mod coco_panoptic;
mod config;
mod decoder;
mod deformable;
mod encoder;
mod init;
mod kind;
mod names;
#[cfg(test)]
mod parity;
mod pixel_decoder;
mod position;
mod semantic;
mod shapes;
#[cfg(test)]
mod tests;

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::layers::Linear;
use dp_sims_model::weights::{WeightSource, WeightsError};

pub use attention::Attention;
pub use coco_panoptic::{COCO_PANOPTIC_CLASSES, coco_panoptic_of_channels};
pub use config::Mask2FormerConfig;
pub use decoder::{DecoderLayer, Embedding, MaskPredictor, MaskedDecoder, TransformerModule};
pub use deformable::DeformableAttention;
pub use encoder::SwinEncoder;
pub use kind::{Mask2FormerInfo, Mask2FormerKind};
pub use pixel_decoder::{GroupNorm, PixelDecoder, PixelEncoder, PixelEncoderLayer, PixelFeatures};

/// Deviation of the random weights of linear layers.
const INIT_STD: f64 = 0.02;
/// Maps that deformable attention and the queries look at: strides 32, 16 and 8.
const LEVELS: usize = 3;
/// Pixels of an image for each pixel of a mask, along a side.
const STRIDE: usize = 4;
/// The sides of an image are padded to multiples of this (`SIZE_DIVISIBILITY` of the
/// configurations).
const UNIT: usize = 32;

/// Mask2Former: a fixed number of masks, each with the probabilities of its class.
///
/// Its tensors are named as transformers names them, but for the blocks of Swin.
#[derive(Module, Debug)]
pub struct Mask2Former<B: Backend> {
    /// Everything but the classifier.
    pub model: Mask2FormerModel<B>,
    /// From queries to logits of the classes and of no object.
    pub class_predictor: Linear<B>,
    masks_first: bool,
}

/// Backbone and decoders.
#[derive(Module, Debug)]
pub struct Mask2FormerModel<B: Backend> {
    /// From images to feature maps.
    pub pixel_level_module: PixelLevelModule<B>,
    /// From feature maps to masks.
    pub transformer_module: TransformerModule<B>,
}

/// Backbone and pixel decoder.
#[derive(Module, Debug)]
pub struct PixelLevelModule<B: Backend> {
    /// The backbone.
    pub encoder: SwinEncoder<B>,
    /// The pixel decoder.
    pub decoder: PixelDecoder<B>,
}

impl<B: Backend> Mask2Former<B> {
    /// One of the published networks, told by its shapes: see [`Mask2FormerConfig::of_shapes`].
    /// [`Mask2FormerConfig::load`] takes networks of any size.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists tensors that are missing, unknown or misshapen;
    /// [`WeightsError::Format`] where shapes are those of no Mask2Former, where no published
    /// network has as many classes, and for [`WeightSource::Random`], which has no shapes.
    pub fn load(source: WeightSource, device: &B::Device) -> Result<Self, WeightsError> {
        let format = |origin: &str, reason: String| WeightsError::Format {
            origin: origin.to_string(),
            reason,
        };
        let WeightSource::State(dict, origin) = &source else {
            let reason = "they do not say how large the network is; give a `Mask2FormerConfig`";
            return Err(format("a random draw of weights", reason.to_string()));
        };
        let config = Mask2FormerConfig::of_shapes(dict, origin)?;
        if Mask2FormerKind::of_classes(config.classes).is_none() {
            let known = Mask2FormerKind::all().map(|kind| {
                let info = kind.info();
                format!("{} ({})", info.classes, info.repository)
            });
            let known = known.collect::<Vec<_>>().join(", ");
            let classes = config.classes;
            let reason = format!("it tells {classes} classes apart, the known networks {known}");
            return Err(format(origin, reason));
        }
        config.load(source, device)
    }

    /// Classes, without the one that stands for no object.
    pub fn classes(&self) -> usize {
        self.class_predictor.weight.dims()[0] - 1
    }

    /// Logits of the classes and of the pixels of each mask.
    ///
    /// With Swin-L, an image of 640 × 640 pixels costs about 0.4 · 10¹² multiply-adds, most of
    /// them in the backbone; memory is largest in its first stage, where the scores of all windows
    /// take 4 · 6 · 144 bytes per position of the padded map, and three to four copies of them live
    /// at once.
    ///
    /// # Shapes
    ///
    /// - `images`: `[N, 3, H, W]`, RGB in [0, 1]; the project pads their sides to multiples of 32
    ///   after the normalisation, as [`semantic`](Self::semantic) does, and this does not
    /// - output: `[N, Q, L + 1]`, the last one for no object, and `[N, Q, H / 4, W / 4]`, rounded up
    pub fn forward(&self, images: Tensor<B, 4>) -> (Tensor<B, 3>, Tensor<B, 4>) {
        self.network(semantic::normalised(images))
    }

    /// [`forward`](Self::forward) of normalised images.
    fn network(&self, images: Tensor<B, 4>) -> (Tensor<B, 3>, Tensor<B, 4>) {
        let module = &self.model.pixel_level_module;
        let features = module.decoder.forward(module.encoder.forward(images));
        let (queries, masks) = self.model.transformer_module.forward(features);
        (self.class_predictor.forward(queries), masks)
    }
}
