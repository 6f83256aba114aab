use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::backbones::{SwinConfig, TokenNorm, WindowFit};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::Linear;
use dp_sims_model::weights::{WeightSource, WeightsError};

use super::decoder::{DecoderLayer, MaskPredictor, MaskedDecoder, TransformerModule};
use super::encoder::SwinEncoder;
use super::pixel_decoder::PixelDecoder;
use super::{Mask2Former, Mask2FormerModel, PixelLevelModule, names};

/// Size of a Mask2Former with a Swin backbone. The defaults are those of the published networks
/// with Swin-L (`configs/*/swin/maskformer2_swin_large_IN21k_384_*.yaml` of
/// facebookresearch/Mask2Former; notes M15).
#[derive(Config, Debug)]
pub struct Mask2FormerConfig {
    /// Masks that are predicted.
    pub queries: usize,
    /// Classes, without the one that stands for no object.
    pub classes: usize,
    /// The backbone.
    #[config(default = "swin_large()")]
    pub swin: SwinConfig,
    /// Channels of the pixel decoder and of the transformer decoder, a multiple of 32.
    #[config(default = "256")]
    pub hidden: usize,
    /// Channels of the pixel embeddings with which masks are made.
    #[config(default = "256")]
    pub mask_features: usize,
    /// Attention heads of both decoders.
    #[config(default = "8")]
    pub heads: usize,
    /// Layers of deformable attention in the pixel decoder.
    #[config(default = "6")]
    pub encoder_layers: usize,
    /// Channels inside the perceptrons of the pixel decoder.
    #[config(default = "1024")]
    pub encoder_feedforward: usize,
    /// Layers of masked attention. The configurations say 10: they count the masks that come from
    /// the learned queries before the first layer.
    #[config(default = "9")]
    pub decoder_layers: usize,
    /// Channels inside the perceptrons of the transformer decoder.
    #[config(default = "2048")]
    pub decoder_feedforward: usize,
    /// Whether the masks are resized to the size of the label map, and then give the scores,
    /// instead of the scores made of them being resized. The project does so where it also
    /// predicts instances or panoptic segments (`sem_seg_postprocess_before_inference` of
    /// `maskformer_model.py`), as with COCO.
    #[config(default = "false")]
    pub masks_first: bool,
}

fn swin_large() -> SwinConfig {
    SwinConfig::new([2, 2, 18, 2], 192, [6, 12, 24, 48])
        .with_window(12)
        .with_fit(WindowFit::Pad)
}

/// Deviation of the random weights of linear layers.
pub(super) const INIT_STD: f64 = 0.02;

impl Mask2FormerConfig {
    /// Random weights, in the scale of a network that is to be trained.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Mask2Former<B> {
        let hidden = self.hidden;
        let encoder = SwinEncoder {
            swin: self.swin.init(rng, device),
            hidden_states_norms: self
                .swin
                .tap_channels()
                .map(|channels| TokenNorm::new(channels, device))
                .to_vec(),
        };
        let decoder = PixelDecoder::new(self, rng, device);
        let mut table = |rows| Embedding {
            weight: rng.normal([rows, hidden], 1.0, device),
        };
        let queries_embedder = table(self.queries);
        let queries_features = table(self.queries);
        let level_embed = table(super::LEVELS);
        let decoder_layers = (0..self.decoder_layers)
            .map(|_| DecoderLayer::new(self, rng, device))
            .collect();
        let transformer_module = TransformerModule {
            queries_embedder,
            queries_features,
            level_embed,
            decoder: MaskedDecoder {
                layers: decoder_layers,
                layernorm: TokenNorm::new(hidden, device),
                mask_predictor: MaskPredictor::new(self, rng, device),
            },
        };
        Mask2Former {
            model: Mask2FormerModel {
                pixel_level_module: PixelLevelModule { encoder, decoder },
                transformer_module,
            },
            class_predictor: Linear::normal([hidden, self.classes + 1], INIT_STD, rng, device),
            masks_first: self.masks_first,
        }
    }

    /// The network of this size with frozen weights from `source`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] when the tensors, in the names of transformers, are not those of
    /// the network. What is used in training alone is recognised by name and left out.
    pub fn load<B: Backend>(
        &self,
        source: WeightSource,
        device: &B::Device,
    ) -> Result<Mask2Former<B>, WeightsError> {
        let network = self.init(&mut source.rng("mask2former"), device);
        source.load(network, &names::keys(self))
    }
}

/// Learned vectors, one in each row.
#[derive(Module, Debug)]
pub struct Embedding<B: Backend> {
    /// `[rows, C]`
    pub weight: Param<Tensor<B, 2>>,
}
