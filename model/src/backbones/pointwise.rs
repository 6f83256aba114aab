use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};

use crate::init::{InitRng, filled};
use crate::layers::{Linear, gelu};

/// Perceptron C → 4C → C with exact GELU.
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    /// C → 4C
    pub fc1: Linear<B>,
    /// 4C → C
    pub fc2: Linear<B>,
}

impl<B: Backend> Mlp<B> {
    /// Weights from N(0, `std`²), biases zero.
    pub(super) fn new(channels: usize, std: f64, rng: &mut InitRng, device: &B::Device) -> Self {
        Self {
            fc1: Linear::normal([channels, 4 * channels], std, rng, device),
            fc2: Linear::normal([4 * channels, channels], std, rng, device),
        }
    }

    /// # Shapes
    ///
    /// - `input`, output: `[.., C]`
    pub fn forward<const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        self.fc2.forward(gelu(self.fc1.forward(input)))
    }

    /// # Shapes
    ///
    /// - `input`, output: `[N, C, H, W]`
    pub fn forward_map(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        self.fc2.forward_map(gelu(self.fc1.forward_map(input)))
    }
}

/// Layer norm over the channels of every pixel (notes D22).
#[derive(Module, Debug)]
pub struct ChannelNorm<B: Backend> {
    /// `[C]`
    pub weight: Param<Tensor<B, 1>>,
    /// `[C]`
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> ChannelNorm<B> {
    /// Added to the variance (notes D22).
    const EPSILON: f64 = 1e-6;

    pub(super) fn new(channels: usize, device: &B::Device) -> Self {
        Self {
            weight: filled([channels], 1.0, device),
            bias: filled([channels], 0.0, device),
        }
    }

    /// # Shapes
    ///
    /// - `input`, output: `[N, C, H, W]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let channels = self.weight.dims()[0];
        normalised(input, 1, Self::EPSILON) * self.weight.val().reshape([1, channels, 1, 1])
            + self.bias.val().reshape([1, channels, 1, 1])
    }
}

/// Layer norm over the last axis with PyTorch's default epsilon.
#[derive(Module, Debug)]
pub struct TokenNorm<B: Backend> {
    /// `[C]`
    pub weight: Param<Tensor<B, 1>>,
    /// `[C]`
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> TokenNorm<B> {
    /// Added to the variance.
    const EPSILON: f64 = 1e-5;

    /// Weight 1 and bias 0.
    pub fn new(channels: usize, device: &B::Device) -> Self {
        Self {
            weight: filled([channels], 1.0, device),
            bias: filled([channels], 0.0, device),
        }
    }

    /// # Shapes
    ///
    /// - `input`, output: `[.., C]`
    pub fn forward<const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        normalised(input, D - 1, Self::EPSILON) * self.weight.val().unsqueeze()
            + self.bias.val().unsqueeze()
    }
}

/// Zero mean and unit variance along `axis`.
///
/// A power instead of a division, whose gradient ndarray takes from an approximate reciprocal.
pub fn normalised<B: Backend, const D: usize>(
    input: Tensor<B, D>,
    axis: usize,
    epsilon: f64,
) -> Tensor<B, D> {
    let centred = input.clone() - input.mean_dim(axis);
    let variance = centred.clone().square().mean_dim(axis);
    centred * (variance + epsilon).powf_scalar(-0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel_norm_normalises_each_pixel<B: burn::tensor::backend::AutodiffBackend>() {
        let device = Default::default();
        let input = Tensor::<B, 4>::from_data([[[[1.0, 5.0]], [[3.0, 5.0]]]], &device);
        let output = ChannelNorm::<B>::new(2, &device).forward(input).into_data();
        let expected = [-1.0, 0.0, 1.0, 0.0];
        let output = output.to_vec::<f32>().unwrap();
        assert!(
            crate::testing::relative_error(&output, &expected) < 1e-5,
            "{output:?}"
        );
    }

    fn the_last_axis_is_treated_as_the_channels_of_a_map<B>()
    where
        B: burn::tensor::backend::AutodiffBackend,
    {
        let device = Default::default();
        let rng = &mut InitRng::new(1, "parts");
        let input: Tensor<B, 4> = rng.normal([2, 3, 4, 5], 1.0, &device).val();
        let last = |map: Tensor<B, 4>| map.permute([0, 2, 3, 1]);
        let mlp = Mlp::<B>::new(3, 0.5, rng, &device);
        let (channels, tokens) = (ChannelNorm::new(3, &device), TokenNorm::new(3, &device));
        let expected = last(channels.forward(mlp.forward_map(input.clone())));
        let found = tokens.forward(mlp.forward(last(input)));
        let values = |tensor: Tensor<B, 4>| tensor.into_data().to_vec::<f32>().unwrap();
        // The two norms differ by their epsilon.
        let error = crate::testing::relative_error(&values(found), &values(expected));
        assert!(error < 1e-3, "{error}");
    }

    backend_tests!(
        channel_norm_normalises_each_pixel,
        the_last_axis_is_treated_as_the_channels_of_a_map,
    );
}
