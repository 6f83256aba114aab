use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::PaddedConvOptions;
use burn::tensor::{Tensor, backend::Backend};

use crate::init::{InitRng, filled};

/// Numbers that define a convolution of an evaluator.
#[derive(Config, Debug)]
pub struct ConvConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Pixels between two outputs, the same on both sides.
    #[config(default = "1")]
    pub stride: usize,
    /// Zeros above and below, and left and right.
    #[config(default = "[0, 0]")]
    pub padding: [usize; 2],
    /// Pixels between two taps of the kernel.
    #[config(default = "1")]
    pub dilation: usize,
    /// Groups of channels that do not see each other.
    #[config(default = "1")]
    pub groups: usize,
    /// Whether a bias is added; a batch norm folded into the convolution needs one.
    #[config(default = "true")]
    pub bias: bool,
}

/// A convolution in PyTorch's naming, with any kernel, stride and dilation. Inference only: see
/// [`backbones::Conv2d`](crate::backbones::Conv2d) for one whose input gradient is right on every
/// backend.
#[derive(Module, Debug)]
pub struct Conv<B: Backend> {
    /// `[out, in / groups, kernel height, kernel width]`
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<B, 1>>>,
    stride: usize,
    padding: [usize; 2],
    dilation: usize,
    groups: usize,
}

impl ConvConfig {
    /// A square kernel whose output has the size of its input at stride 1.
    pub fn same(channels: [usize; 2], kernel: usize) -> Self {
        Self::new(channels, [kernel; 2]).with_padding([kernel / 2; 2])
    }

    /// Weights in the scale of He et al., bias zero.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Conv<B> {
        let [input, output] = self.channels;
        let [height, width] = self.kernel;
        let fan_in = input / self.groups * height * width;
        let shape = [output, input / self.groups, height, width];
        Conv {
            weight: rng.normal(shape, (2.0 / fan_in as f64).sqrt(), device),
            bias: self.bias.then(|| filled([output], 0.0, device)),
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

impl<B: Backend> Conv<B> {
    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`
    /// - output: `[N, out, H', W']` with
    ///   `H' = (H + 2 · padding - dilation · (kernel - 1) - 1) / stride + 1`, rounded down
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let options = PaddedConvOptions::asymmetric(
            [self.stride; 2],
            self.padding,
            self.padding,
            [self.dilation; 2],
            self.groups,
        );
        let bias = self.bias.as_ref().map(Param::val);
        conv2d(input, self.weight.val(), bias, options)
    }
}
