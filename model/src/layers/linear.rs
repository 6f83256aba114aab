use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};

use crate::init::InitRng;

/// Affine map over the last axis with PyTorch's layout and default initialisation.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// Weight of shape `[features_out, features_in]`.
    pub weight: Param<Tensor<B, 2>>,
    /// Bias of shape `[features_out]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Linear<B> {
    /// Weight and bias uniform within 1/√features_in. The gain of 0.02 used for convolutions
    /// would leave the latent path without any gradient (notes O2).
    pub fn new(
        features_in: usize,
        features_out: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        Self {
            weight: rng.torch_default([features_out, features_in], features_in, device),
            bias: rng.torch_default([features_out], features_in, device),
        }
    }

    /// The same with initial weights `gain` times as large.
    pub fn with_gain(self, gain: f64) -> Self {
        if gain == 1.0 || !self.weight.is_initialized() {
            return self;
        }
        let scale = |weight: Tensor<B, 2>| (weight * gain).detach().require_grad();
        Self {
            weight: self.weight.map(scale),
            ..self
        }
    }

    /// Applies the map.
    ///
    /// # Shapes
    /// - input: `[rows, features_in]`
    /// - output: `[rows, features_out]`
    pub fn forward(&self, input: Tensor<B, 2>) -> Tensor<B, 2> {
        input.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }

    /// Applies the map to every token.
    ///
    /// # Shapes
    /// - input: `[N, tokens, features_in]`
    /// - output: `[N, tokens, features_out]`
    pub fn forward_tokens(&self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, tokens, features] = input.dims();
        let output = self.forward(input.reshape([batch * tokens, features]));
        let features = output.dims()[1];
        output.reshape([batch, tokens, features])
    }
}
