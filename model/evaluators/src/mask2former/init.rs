use burn::tensor::backend::Backend;
use dp_sims_model::backbones::TokenNorm;
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::Linear;
use dp_sims_model::weights::{WeightSource, WeightsError};

use super::decoder::{DecoderLayer, Embedding, MaskPredictor, MaskedDecoder, TransformerModule};
use super::encoder::SwinEncoder;
use super::pixel_decoder::PixelDecoder;
use super::{
    INIT_STD, LEVELS, Mask2Former, Mask2FormerConfig, Mask2FormerModel, PixelLevelModule, names,
};

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
        let level_embed = table(LEVELS);
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
