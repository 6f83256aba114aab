use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PaddedConvOptions};
use burn::tensor::{Tensor, backend::Backend};

use crate::init::{InitRng, filled};

/// How a convolution is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// The same number of zeros on every side.
    Symmetric(usize),
    /// TensorFlow's `SAME`: as many zeros as make the output `ceil(input / stride)`, the odd one
    /// at the bottom and right (facts D24, Appendix B 10).
    TensorflowSame,
}

/// A square convolution with bias, in PyTorch's naming.
#[derive(Module, Debug)]
pub struct Conv2d<B: Backend> {
    /// `[out, in / groups, k, k]`
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`
    pub bias: Param<Tensor<B, 1>>,
    stride: usize,
    groups: usize,
    #[module(skip)]
    padding: Padding,
}

impl<B: Backend> Conv2d<B> {
    /// Weights from N(0, `std`²), bias zero.
    #[allow(
        clippy::too_many_arguments,
        reason = "the numbers that define a convolution"
    )]
    pub(super) fn new(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        groups: usize,
        padding: Padding,
        std: f64,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let [input, output] = channels;
        let shape = [output, input / groups, kernel, kernel];
        Self {
            weight: rng.normal(shape, std, device),
            bias: filled([output], 0.0, device),
            stride,
            groups,
            padding,
        }
    }

    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`
    /// - output: `[N, out, H', W']`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, height, width] = input.dims();
        let kernel = self.weight.dims()[2];
        let [(top, bottom), (left, right)] = [height, width].map(|size| match self.padding {
            Padding::Symmetric(padding) => (padding, padding),
            Padding::TensorflowSame => tensorflow_same(size, kernel, self.stride),
        });
        let options = PaddedConvOptions::asymmetric(
            [self.stride; 2],
            [top, left],
            [bottom, right],
            [1, 1],
            self.groups,
        );
        conv2d(input, self.weight.val(), Some(self.bias.val()), options)
    }
}

/// Zeros before and after one side of `size` pixels.
fn tensorflow_same(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let covered = (size.div_ceil(stride) - 1) * stride + kernel;
    let total = covered.saturating_sub(size);
    (total / 2, total - total / 2)
}

/// A linear map of the channels of every pixel.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[out, in]`
    pub weight: Param<Tensor<B, 2>>,
    /// `[out]`
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Linear<B> {
    /// Weights from N(0, `std`²), bias zero.
    pub(super) fn new(
        [input, output]: [usize; 2],
        std: f64,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        Self {
            weight: rng.normal([output, input], std, device),
            bias: filled([output], 0.0, device),
        }
    }

    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`
    /// - output: `[N, out, H, W]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [output, channels] = self.weight.dims();
        let weight = self.weight.val().reshape([output, channels, 1, 1]);
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        conv2d(input, weight, Some(self.bias.val()), options)
    }
}

/// Layer norm over the channels of every pixel (facts D22).
#[derive(Module, Debug)]
pub struct ChannelNorm<B: Backend> {
    /// `[C]`
    pub weight: Param<Tensor<B, 1>>,
    /// `[C]`
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> ChannelNorm<B> {
    /// Added to the variance (facts Appendix B 11).
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
        let centred = input.clone() - input.mean_dim(1);
        let deviation = (centred.clone().square().mean_dim(1) + Self::EPSILON).sqrt();
        centred / deviation * self.weight.val().reshape([1, channels, 1, 1])
            + self.bias.val().reshape([1, channels, 1, 1])
    }
}

/// GELU with the error function (facts D22).
///
/// Written out because burn's own differentiates the tanh approximation on most backends, which
/// is off by up to 4e-4 in the gradient of a network.
pub(super) fn gelu<B: Backend>(input: Tensor<B, 4>) -> Tensor<B, 4> {
    let cumulative = (input.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    input * cumulative
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_depends_on_the_input_size() {
        // Even input, stride 2, kernel 3: one zero at the end only.
        assert_eq!(tensorflow_same(8, 3, 2), (0, 1));
        assert_eq!(tensorflow_same(7, 3, 2), (1, 1));
        assert_eq!(tensorflow_same(8, 5, 2), (1, 2));
        assert_eq!(tensorflow_same(8, 5, 1), (2, 2));
        assert_eq!(tensorflow_same(1, 3, 2), (1, 1));
        assert_eq!(tensorflow_same(5, 1, 2), (0, 0));
    }

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

    backend_tests!(channel_norm_normalises_each_pixel);
}
