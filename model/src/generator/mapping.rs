use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::GeneratorConfig;
use crate::init::InitRng;
use crate::layers::{Linear, leaky_relu};

/// Noise mapping network: three linear layers with leaky ReLU from a latent z to tokens w
/// (section 3.2, Fig. 3; sizes of notes O3).
#[derive(Module, Debug)]
pub struct Mapping<B: Backend> {
    /// The three layers.
    pub layers: Vec<Linear<B>>,
    /// Tokens per latent.
    pub tokens: usize,
}

impl<B: Backend> Mapping<B> {
    /// The mapping network of a generator.
    pub fn new(config: &GeneratorConfig, rng: &mut InitRng, device: &B::Device) -> Self {
        let widths = [
            config.latent_dim,
            config.mapping_width,
            config.mapping_width,
            config.tokens * config.token_dim,
        ];
        let layers = widths
            .windows(2)
            .map(|w| Linear::new(w[0], w[1], rng, device).with_gain(config.initial_noise_gain))
            .collect();
        Self {
            layers,
            tokens: config.tokens,
        }
    }

    /// Maps latents to tokens.
    ///
    /// # Shapes
    /// - latent: `[N, latent_dim]`
    /// - output: `[N, tokens, token_dim]`
    pub fn forward(&self, latent: Tensor<B, 2>) -> Tensor<B, 3> {
        let output = self
            .layers
            .iter()
            .fold(latent, |x, layer| leaky_relu(layer.forward(x)));
        let [batch, width] = output.dims();
        output.reshape([batch, self.tokens, width / self.tokens])
    }

    /// Maps pairs of latents to tokens: those that `styles` names, from 0, are of `other`.
    ///
    /// # Shapes
    /// - latent, other: `[N, latent_dim]`
    /// - output: `[N, tokens, token_dim]`
    pub fn forward_mixed(
        &self,
        latent: Tensor<B, 2>,
        other: Tensor<B, 2>,
        styles: &[usize],
    ) -> Tensor<B, 3> {
        let (own, other) = (self.forward(latent), self.forward(other));
        let tokens = (0..self.tokens).map(|token| {
            let source = if styles.contains(&token) {
                &other
            } else {
                &own
            };
            source.clone().narrow(1, token, 1)
        });
        Tensor::cat(tokens.collect(), 1)
    }
}
