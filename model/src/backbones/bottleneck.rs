use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, backend::Backend};

use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig};
use crate::weights::FileLayer;

/// Channels that leave a block for each inside it.
pub(super) const EXPANSION: usize = 4;

/// 1 × 1, 3 × 3 and 1 × 1 convolution beside a shortcut, batch norm folded.
///
/// The modules carry torchvision's names for the convolutions.
#[derive(Module, Debug)]
pub struct Bottleneck<B: Backend> {
    /// 1 × 1 convolution to fewer channels.
    pub conv1: Conv<B>,
    /// 3 × 3 convolution.
    pub conv2: Conv<B>,
    /// 1 × 1 convolution to four times as many channels.
    pub conv3: Conv<B>,
    /// The 1 × 1 convolution of the shortcut where size or channels change, else nothing.
    pub downsample: Vec<Conv<B>>,
}

/// Which convolution of a block carries its stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Strided {
    /// The first one, 1 × 1, as in Caffe.
    First,
    /// The second one, 3 × 3, as in torchvision.
    Second,
}

/// Numbers of one block.
#[derive(Debug, Clone, Copy)]
pub struct BottleneckConfig {
    /// Channels that enter.
    pub input: usize,
    /// Channels inside; four times as many leave.
    pub width: usize,
    /// Stride of the block.
    pub stride: usize,
    /// The convolution that carries it.
    pub strided: Strided,
    /// Dilation of the 3 × 3 convolution.
    pub dilation: usize,
}

impl BottleneckConfig {
    /// The `depth` blocks of a stage that begins with this one.
    pub fn stage(self, depth: usize) -> Vec<Self> {
        let following = Self {
            input: self.output(),
            stride: 1,
            ..self
        };
        let blocks = [self].into_iter().chain(std::iter::repeat(following));
        blocks.take(depth).collect()
    }

    /// Channels that leave.
    pub fn output(&self) -> usize {
        EXPANSION * self.width
    }

    /// Whether the shortcut has a convolution.
    pub fn has_shortcut(&self) -> bool {
        self.stride > 1 || self.input != self.output()
    }

    /// Random weights in the scale of He et al., the last convolution at a quarter of the variance:
    /// without batch norm the residuals would add up.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Bottleneck<B> {
        let Self {
            input,
            width,
            stride,
            ..
        } = *self;
        let (first, second) = match self.strided {
            Strided::First => (stride, 1),
            Strided::Second => (1, stride),
        };
        let conv1 = ConvConfig::new(input, width, 1).with_stride(first);
        let conv2 = ConvConfig::new(width, width, 3)
            .with_stride(second)
            .with_dilation(self.dilation);
        let conv3 = ConvConfig::new(width, self.output(), 1);
        let shortcut = ConvConfig::new(input, self.output(), 1).with_stride(stride);
        Bottleneck {
            conv1: conv1.init_he(2.0, rng, device),
            conv2: conv2.init_he(2.0, rng, device),
            conv3: conv3.init_he(0.5, rng, device),
            downsample: (self.has_shortcut())
                .then(|| shortcut.init_he(1.0, rng, device))
                .into_iter()
                .collect(),
        }
    }

    /// Layers of the block called `name` in the names of torchvision.
    pub fn layers(&self, name: &str) -> Vec<FileLayer> {
        let shortcut = self
            .has_shortcut()
            .then_some(("downsample.0", "downsample.1"));
        [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")]
            .into_iter()
            .chain(shortcut)
            .map(|(conv, norm)| FileLayer::normed_in(&format!("{name}."), conv, norm))
            .collect()
    }
}

impl<B: Backend> Bottleneck<B> {
    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`
    /// - output: `[N, 4 · width, ceil(H / stride), ceil(W / stride)]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let hidden = relu(self.conv1.forward(input.clone()));
        let hidden = self.conv3.forward(relu(self.conv2.forward(hidden)));
        let shortcut = match self.downsample.first() {
            Some(conv) => conv.forward(input),
            None => input,
        };
        relu(hidden + shortcut)
    }
}
