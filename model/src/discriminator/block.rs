use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend, module::avg_pool2d};

use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig, Mode, leaky_relu, upsample_nearest};

/// Residual block that doubles the resolution (notes D4): leaky ReLU → nearest ×2 → 3×3
/// convolution → leaky ReLU → 3×3 convolution, beside nearest ×2 → 1×1 convolution.
///
/// The 1×1 convolution of the shortcut runs before its upsampling: the same function at a
/// quarter of the cost.
#[derive(Module, Debug)]
pub struct UpBlock<B: Backend> {
    /// First 3×3 convolution.
    pub conv_0: Conv<B>,
    /// Second 3×3 convolution.
    pub conv_1: Conv<B>,
    /// 1×1 convolution of the shortcut, where the width changes.
    pub conv_s: Option<Conv<B>>,
}

impl<B: Backend> UpBlock<B> {
    /// A block from `channels_in` to `channels_out`.
    pub fn new(
        channels_in: usize,
        channels_out: usize,
        spectral_norm: bool,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let mut conv = |from, kernel| {
            ConvConfig::new(from, channels_out, kernel)
                .with_spectral_norm(spectral_norm)
                .init(rng, device)
        };
        Self {
            conv_0: conv(channels_in, 3),
            conv_1: conv(channels_out, 3),
            conv_s: (channels_in != channels_out).then(|| conv(channels_in, 1)),
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - input: `[N, channels_in, H, W]`
    /// - output: `[N, channels_out, 2H, 2W]`
    pub fn forward(&mut self, input: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let shortcut = match &mut self.conv_s {
            Some(conv) => conv.forward_normed(input.clone(), mode),
            None => input.clone(),
        };
        let hidden = upsample_nearest(leaky_relu(input));
        let hidden = leaky_relu(self.conv_0.forward_normed(hidden, mode));
        self.conv_1.forward_normed(hidden, mode) + upsample_nearest(shortcut)
    }
}

/// Residual block without resampling, for the path at full resolution (notes D37).
#[derive(Module, Debug)]
pub struct FlatBlock<B: Backend> {
    /// First 3×3 convolution.
    pub conv_0: Conv<B>,
    /// Second 3×3 convolution.
    pub conv_1: Conv<B>,
    /// 1×1 convolution of the shortcut, where the width changes.
    pub conv_s: Option<Conv<B>>,
    /// Whether the block reads the image: no activation before the first convolution then.
    pub first: bool,
}

impl<B: Backend> FlatBlock<B> {
    /// A block from `channels_in` to `channels_out`; `first` if it reads the image.
    pub fn new(
        [channels_in, channels_out]: [usize; 2],
        first: bool,
        spectral_norm: bool,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let UpBlock {
            conv_0,
            conv_1,
            conv_s,
        } = UpBlock::new(channels_in, channels_out, spectral_norm, rng, device);
        Self {
            conv_0,
            conv_1,
            conv_s,
            first,
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - input: `[N, channels_in, H, W]`
    /// - output: `[N, channels_out, H, W]`
    pub fn forward(&mut self, input: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let shortcut = match &mut self.conv_s {
            Some(conv) => conv.forward_normed(input.clone(), mode),
            None => input.clone(),
        };
        self.residual(input, mode) + shortcut
    }

    /// The two 3×3 convolutions without the shortcut.
    fn residual(&mut self, input: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let hidden = if self.first { input } else { leaky_relu(input) };
        let hidden = leaky_relu(self.conv_0.forward_normed(hidden, mode));
        self.conv_1.forward_normed(hidden, mode)
    }
}

/// Residual block that halves the resolution, of the OASIS discriminator (notes D4): leaky ReLU →
/// 3×3 convolution → leaky ReLU → 3×3 convolution → 2×2 mean, beside 2×2 mean → 1×1 convolution.
///
/// The mean of the shortcut runs before its 1×1 convolution in every block: the same function as
/// the other way round at a quarter of the cost.
#[derive(Module, Debug)]
pub struct DownBlock<B: Backend> {
    /// The block before its mean.
    pub block: FlatBlock<B>,
}

impl<B: Backend> DownBlock<B> {
    /// A block from `channels_in` to `channels_out`; `first` if it reads the image.
    pub fn new(
        channels: [usize; 2],
        first: bool,
        spectral_norm: bool,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        Self {
            block: FlatBlock::new(channels, first, spectral_norm, rng, device),
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - input: `[N, channels_in, H, W]`, H and W even
    /// - output: `[N, channels_out, H / 2, W / 2]`
    pub fn forward(&mut self, input: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let mut shortcut = halve(input.clone());
        if let Some(conv) = &mut self.block.conv_s {
            shortcut = conv.forward_normed(shortcut, mode);
        }
        halve(self.block.residual(input, mode)) + shortcut
    }
}

/// Mean of 2×2 pixels.
fn halve<B: Backend>(input: Tensor<B, 4>) -> Tensor<B, 4> {
    avg_pool2d(input, [2, 2], [2, 2], [0, 0], true, false)
}
