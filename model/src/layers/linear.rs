use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, backend::Backend};

use super::{conv2d, matmul};
use crate::init::{InitRng, filled};

/// Affine map of features with PyTorch's layout.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// Weight of shape `[features_out, features_in]`.
    pub weight: Param<Tensor<B, 2>>,
    /// Bias of shape `[features_out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
}

impl<B: Backend> Linear<B> {
    /// PyTorch's default initialisation: weight and bias uniform within 1/√features_in. The gain of
    /// 0.02 used for convolutions would leave the latent path without any gradient (notes O2).
    pub fn new(
        features_in: usize,
        features_out: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        Self {
            weight: rng.torch_default([features_out, features_in], features_in, device),
            bias: Some(rng.torch_default([features_out], features_in, device)),
        }
    }

    /// Weight from N(0, `std`²), bias zero.
    pub fn normal(
        [features_in, features_out]: [usize; 2],
        std: f64,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        Self {
            weight: rng.normal([features_out, features_in], std, device),
            bias: Some(filled([features_out], 0.0, device)),
        }
    }

    /// The same without bias.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
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

    /// Applies the map to the last axis, in one matrix product over all positions.
    ///
    /// # Shapes
    /// - input: `[.., features_in]`
    /// - output: `[.., features_out]`
    pub fn forward<const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        let mut dims = input.dims();
        let [features_out, features_in] = self.weight.dims();
        let rows = dims[..D - 1].iter().product();
        let weight = self.weight.val().transpose();
        let mut output = matmul(input.reshape([rows, features_in]), weight);
        if let Some(bias) = &self.bias {
            output = output + bias.val().unsqueeze();
        }
        dims[D - 1] = features_out;
        output.reshape(dims)
    }

    /// Applies the map to the channels of every pixel.
    ///
    /// # Shapes
    /// - input: `[N, features_in, H, W]`
    /// - output: `[N, features_out, H, W]`
    pub fn forward_map(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [features_out, features_in] = self.weight.dims();
        let weight = (self.weight.val()).reshape([features_out, features_in, 1, 1]);
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        conv2d(input, weight, self.bias.as_ref().map(Param::val), options)
    }
}
