use burn::module::{Module, Param};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, backend::Backend};

use super::{Mode, SpectralNorm, conv2d};
use crate::buffers::take;
use crate::init::{InitRng, filled};

/// How a convolution is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// As many zeros on every side as keep the size at stride 1, for an odd kernel.
    Same,
    /// This many zeros on every side.
    Zeros(usize),
    /// TensorFlow's `SAME`: as many zeros as make the output `ceil(input / stride)`, the odd one
    /// at the bottom and right (notes D24).
    TensorflowSame,
}

/// Shape of a [`Conv`].
#[derive(Clone, Copy, Debug)]
pub struct ConvConfig {
    /// Input channels.
    pub channels_in: usize,
    /// Output channels.
    pub channels_out: usize,
    /// Height and width of the kernel in pixels.
    pub kernel: [usize; 2],
    /// Stride in pixels.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Pixels from one tap of the kernel to the next.
    pub dilation: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Whether a bias is added; a batch norm folded into the convolution needs one.
    pub bias: bool,
    /// Whether the weight is divided by its largest singular value.
    pub spectral_norm: bool,
}

impl ConvConfig {
    /// A square kernel with bias, "same" padding, stride 1 and no spectral norm.
    pub fn new(channels_in: usize, channels_out: usize, kernel: usize) -> Self {
        Self {
            channels_in,
            channels_out,
            kernel: [kernel; 2],
            stride: 1,
            padding: Padding::Same,
            dilation: 1,
            groups: 1,
            bias: true,
            spectral_norm: false,
        }
    }

    /// The same with a kernel of this height and width.
    pub fn with_kernel(self, kernel: [usize; 2]) -> Self {
        Self { kernel, ..self }
    }

    /// The same with this stride.
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same with this padding.
    pub fn with_padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// The same with this dilation.
    pub fn with_dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    /// The same with this number of groups.
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The same with or without bias.
    pub fn with_bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// The same with or without spectral norm.
    pub fn with_spectral_norm(self, spectral_norm: bool) -> Self {
        Self {
            spectral_norm,
            ..self
        }
    }

    /// Multiply-adds of one forward pass over one image that leaves `[H, W]` pixels.
    pub fn macs(&self, height: usize, width: usize) -> u64 {
        (self.channels_out * self.fan_in() * height * width) as u64
    }

    /// A convolution with xavier-normal weight (gain 0.02) and zero bias (notes L32).
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Conv<B> {
        let weight = rng.xavier(self.shape(), device);
        self.with_weight(weight, rng, device)
    }

    /// A convolution with weights from N(0, `std`²) and zero bias.
    pub fn init_normal<B: Backend>(
        &self,
        std: f64,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Conv<B> {
        let weight = rng.normal(self.shape(), std, device);
        self.with_weight(weight, rng, device)
    }

    /// A convolution with weights in the scale of He et al., N(0, `gain` / fan-in), and zero bias:
    /// a gain of 2 keeps the variance of what a ReLU leaves.
    pub fn init_he<B: Backend>(&self, gain: f64, rng: &mut InitRng, device: &B::Device) -> Conv<B> {
        self.init_normal((gain / self.fan_in() as f64).sqrt(), rng, device)
    }

    /// A convolution with PyTorch's default initialisation, uniform within 1/√fan-in.
    pub fn init_torch<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Conv<B> {
        let weight = rng.torch_default(self.shape(), self.fan_in(), device);
        let mut conv = self.with_weight(weight, rng, device);
        let [channels, fan_in] = [self.channels_out, self.fan_in()];
        conv.bias = (self.bias).then(|| rng.torch_default([channels], fan_in, device));
        conv
    }

    fn shape(&self) -> [usize; 4] {
        let [height, width] = self.kernel;
        let channels_in = self.channels_in / self.groups;
        [self.channels_out, channels_in, height, width]
    }

    /// Inputs of each output.
    fn fan_in(&self) -> usize {
        self.shape()[1..].iter().product()
    }

    fn with_weight<B: Backend>(
        &self,
        weight: Param<Tensor<B, 4>>,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Conv<B> {
        let channels = self.channels_out;
        Conv {
            weight,
            bias: self.bias.then(|| filled([channels], 0.0, device)),
            spectral_norm: (self.spectral_norm)
                .then(|| SpectralNorm::new(channels, self.fan_in(), rng, device)),
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

/// 2-D convolution in PyTorch's naming, with optional spectral norm. Its gradients are right on
/// every backend.
#[derive(Module, Debug)]
pub struct Conv<B: Backend> {
    /// Weight of shape `[channels_out, channels_in / groups, height, width]`, before spectral norm.
    pub weight: Param<Tensor<B, 4>>,
    /// Bias of shape `[channels_out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    /// Vectors of the power iteration.
    pub spectral_norm: Option<SpectralNorm<B>>,
    stride: usize,
    #[module(skip)]
    padding: Padding,
    dilation: usize,
    groups: usize,
}

impl<B: Backend> Conv<B> {
    /// Divides the weight by its largest singular value for good, so that evaluation no longer does.
    /// The result is the same to the bit; training can not go on from it.
    pub fn fold_spectral_norm(&mut self) {
        if let Some(mut norm) = self.spectral_norm.take() {
            // Taken out, so that it can be divided where it lies.
            let weight = take(&mut self.weight);
            let id = weight.id;
            let weight = norm.forward(weight.into_value(), Mode::Eval).detach();
            self.weight = Param::initialized(id, weight.require_grad());
        }
    }

    /// Convolves with the weight as it is, for layers that never have spectral norm.
    ///
    /// # Shapes
    /// - input: `[N, channels_in, H, W]`
    /// - output: `[N, channels_out, H', W']`, with [`Padding::Same`] ⌈H / stride⌉ by ⌈W / stride⌉
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        assert!(self.spectral_norm.is_none(), "spectral norm is left out");
        self.convolve(input, self.weight.val())
    }

    /// Convolves with the weight that spectral norm, where there is one, leaves of it; in training
    /// mode it first makes one power iteration.
    ///
    /// # Shapes
    /// Those of [`forward`](Self::forward).
    pub fn forward_normed(&mut self, input: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let weight = match &mut self.spectral_norm {
            Some(norm) => norm.forward(self.weight.val(), mode),
            None => self.weight.val(),
        };
        self.convolve(input, weight)
    }

    fn convolve(&self, input: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, rows, columns] = weight.dims();
        // A 1 × 1 convolution reads every `stride`th pixel; they are taken before it, because
        // burn-cubecl 0.21 computes its input gradient as if the stride were 1.
        let (input, stride) = if [rows, columns] == [1, 1] && self.stride > 1 {
            let strides = [self.stride; 2];
            let taken = avg_pool2d(input, [1, 1], strides, [0, 0], true, false);
            (taken, 1)
        } else {
            (input, self.stride)
        };
        let [_, _, height, width] = input.dims();
        let around = [(height, rows), (width, columns)].map(|(size, taps)| {
            let covered = self.dilation * (taps - 1) + 1;
            self.padding.around(size, covered, stride)
        });
        let [(top, bottom), (left, right)] = around;
        let (input, padding) = if top == bottom && left == right {
            (input, [top, left])
        } else {
            (pad(input, around), [0, 0])
        };
        let bias = self.bias.as_ref().map(Param::val);
        let options = ConvOptions::new([stride; 2], padding, [self.dilation; 2], self.groups);
        conv2d(input, weight, bias, options)
    }
}

impl Padding {
    /// Zeros before and after one side of `size` pixels, for a kernel that covers `covered` pixels.
    fn around(self, size: usize, covered: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Same => (covered / 2, covered / 2),
            Self::Zeros(zeros) => (zeros, zeros),
            Self::TensorflowSame => {
                let read = (size.div_ceil(stride) - 1) * stride + covered;
                let total = read.saturating_sub(size);
                (total / 2, total - total / 2)
            }
        }
    }
}

/// Zeros before and after rows and columns. With a graph, [`Tensor::pad`] takes them from the memory of
/// the machine to the device in every pass.
fn pad<B: Backend>(
    input: Tensor<B, 4>,
    [(top, bottom), (left, right)]: [(usize, usize); 2],
) -> Tensor<B, 4> {
    let [batch, channels, height, width] = input.dims();
    let shape = [batch, channels, top + height + bottom, left + width + right];
    let inside = [0..batch, 0..channels, top..top + height, left..left + width];
    Tensor::zeros(shape, &input.device()).slice_assign(inside, input)
}

#[cfg(test)]
mod tests {
    use burn::tensor::ElementConversion;
    use burn::tensor::backend::AutodiffBackend;
    use burn::tensor::module::max_pool2d;

    use super::*;

    #[test]
    fn same_padding_depends_on_the_input_size() {
        let tensorflow_same = |size, kernel, stride| {
            let padding = Padding::TensorflowSame;
            padding.around(size, kernel, stride)
        };
        // Even input, stride 2, kernel 3: one zero at the end only.
        assert_eq!(tensorflow_same(8, 3, 2), (0, 1));
        assert_eq!(tensorflow_same(7, 3, 2), (1, 1));
        assert_eq!(tensorflow_same(8, 5, 2), (1, 2));
        assert_eq!(tensorflow_same(8, 5, 1), (2, 2));
        assert_eq!(tensorflow_same(1, 3, 2), (1, 1));
        assert_eq!(tensorflow_same(5, 1, 2), (0, 0));
    }

    /// A layer that is linear, or linear between kinks through the origin, satisfies
    /// <c, L(x)> = <gradient of it at x, x>.
    fn assert_adjoint<B: AutodiffBackend>(
        size: [usize; 2],
        layer: impl Fn(Tensor<B, 4>) -> Tensor<B, 4>,
        what: &str,
    ) {
        let rng = &mut InitRng::new(1, "adjoint");
        let shape = [2, 4, size[0], size[1]];
        let input: Tensor<B, 4> = rng.normal(shape, 1.0, &Default::default()).val().detach();
        let input = input.require_grad();
        let output = layer(input.clone());
        let cotangent: Tensor<B, 4> = rng.normal(output.dims(), 1.0, &output.device()).val();
        let product = output * cotangent.detach();
        let gradients = product.clone().sum().backward();
        let back = input.grad(&gradients).unwrap() * input.inner();
        let scalar = |tensor: Tensor<B::InnerBackend, 1>| tensor.into_scalar().elem::<f32>();
        let forth = scalar(product.clone().inner().sum());
        let scale = scalar(product.inner().abs().sum());
        let error = (scalar(back.sum()) - forth).abs() / scale;
        assert!(error < 1e-5, "{what} of {size:?}: {error}");
    }

    fn strided_layers_pass_gradients<B: AutodiffBackend>() {
        let device = Default::default();
        for size in [[8, 8], [7, 10], [9, 9], [10, 7]] {
            for (kernel, stride, padding) in [
                (1, 2, Padding::Zeros(0)),
                (3, 2, Padding::Same),
                (7, 2, Padding::Same),
                (4, 4, Padding::Zeros(0)),
                (2, 2, Padding::Zeros(0)),
                (3, 2, Padding::TensorflowSame),
                (5, 2, Padding::TensorflowSame),
            ] {
                let rng = &mut InitRng::new(2, "layer");
                let config = ConvConfig::new(4, 8, kernel).with_stride(stride);
                let config = config.with_padding(padding);
                let conv: Conv<B> = config.init_normal(0.3, rng, &device);
                let what = format!("convolution {kernel}, stride {stride}, {padding:?}");
                assert_adjoint(size, |input| conv.forward(input), &what);
            }
            let pool = |input| max_pool2d(input, [3, 3], [2, 2], [1, 1], [1, 1], false);
            assert_adjoint::<B>(size, pool, "maximum");
        }
    }

    backend_tests!(strided_layers_pass_gradients);
}
