use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend, module::conv2d, ops::ConvOptions};

use super::{Mode, SpectralNorm};
use crate::buffers::take;
use crate::init::{InitRng, filled};

/// Shape of a [`Conv`].
#[derive(Clone, Copy, Debug)]
pub struct ConvConfig {
    /// Input channels.
    pub channels_in: usize,
    /// Output channels.
    pub channels_out: usize,
    /// Side of the square kernel in pixels, odd; the padding keeps the size at stride 1.
    pub kernel: usize,
    /// Stride in pixels.
    pub stride: usize,
    /// Whether a bias is added.
    pub bias: bool,
    /// Whether the weight is divided by its largest singular value.
    pub spectral_norm: bool,
}

impl ConvConfig {
    /// A convolution with bias, stride 1 and no spectral norm.
    pub fn new(channels_in: usize, channels_out: usize, kernel: usize) -> Self {
        Self {
            channels_in,
            channels_out,
            kernel,
            stride: 1,
            bias: true,
            spectral_norm: false,
        }
    }

    /// The same with this stride.
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
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
        let per_pixel = self.channels_in * self.channels_out * self.kernel * self.kernel;
        (per_pixel * height * width) as u64
    }

    /// A convolution with xavier-normal weight (gain 0.02) and zero bias (notes L32).
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Conv<B> {
        let shape = [
            self.channels_out,
            self.channels_in,
            self.kernel,
            self.kernel,
        ];
        let weight = rng.xavier(shape, device);
        let norm = self
            .spectral_norm
            .then(|| SpectralNorm::new(shape[0], shape[1..].iter().product(), rng, device));
        Conv {
            weight,
            bias: self.bias.then(|| filled([self.channels_out], 0.0, device)),
            spectral_norm: norm,
            stride: self.stride,
        }
    }
}

/// 2-D convolution with an odd square kernel, "same" padding and optional spectral norm.
#[derive(Module, Debug)]
pub struct Conv<B: Backend> {
    /// Weight of shape `[channels_out, channels_in, kernel, kernel]`, before spectral norm.
    pub weight: Param<Tensor<B, 4>>,
    /// Bias of shape `[channels_out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    /// Vectors of the power iteration.
    pub spectral_norm: Option<SpectralNorm<B>>,
    /// Stride in pixels.
    pub stride: usize,
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

    /// Convolves; in training mode spectral norm first makes one power iteration.
    ///
    /// # Shapes
    /// - input: `[N, channels_in, H, W]`
    /// - output: `[N, channels_out, ⌈H / stride⌉, ⌈W / stride⌉]`
    pub fn forward(&mut self, input: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let weight = match &mut self.spectral_norm {
            Some(norm) => norm.forward(self.weight.val(), mode),
            None => self.weight.val(),
        };
        let padding = weight.dims()[2] / 2;
        let bias = self.bias.as_ref().map(Param::val);
        let options = ConvOptions::new([self.stride, self.stride], [padding, padding], [1, 1], 1);
        conv2d(input, weight, bias, options)
    }
}
