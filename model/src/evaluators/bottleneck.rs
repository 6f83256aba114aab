use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, backend::Backend};

use super::names::FileLayer;
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig};

/// Channels that leave a block for each inside it.
const EXPANSION: usize = 4;

/// torchvision's bottleneck with batch norm folded: 1 × 1, 3 × 3 and 1 × 1 convolution beside a
/// shortcut. The 3 × 3 convolution carries stride and dilation.
#[derive(Module, Debug)]
pub struct DilatedBottleneck<B: Backend> {
    /// 1 × 1 convolution to fewer channels.
    pub conv1: Conv<B>,
    /// 3 × 3 convolution.
    pub conv2: Conv<B>,
    /// 1 × 1 convolution to four times as many channels.
    pub conv3: Conv<B>,
    /// The 1 × 1 convolution of the shortcut where size or channels change, else nothing.
    pub downsample: Vec<Conv<B>>,
}

/// Numbers of a stage of bottlenecks.
#[derive(Debug, Clone, Copy)]
pub(super) struct StagePlan {
    /// Channels that enter.
    pub(super) input: usize,
    /// Channels inside the blocks; four times as many leave them.
    pub(super) width: usize,
    /// Blocks.
    pub(super) depth: usize,
    /// Stride of the first block.
    pub(super) stride: usize,
    /// Dilation of every 3 × 3 convolution.
    pub(super) dilation: usize,
}

impl StagePlan {
    /// Channels that leave.
    pub(super) fn output(&self) -> usize {
        EXPANSION * self.width
    }

    /// Channels into a block and its stride.
    fn block(&self, index: usize) -> (usize, usize) {
        if index == 0 {
            (self.input, self.stride)
        } else {
            (self.output(), 1)
        }
    }

    /// Whether the shortcut of a block has a convolution.
    fn has_downsample(&self, index: usize) -> bool {
        let (input, stride) = self.block(index);
        stride > 1 || input != self.output()
    }

    pub(super) fn init<B: Backend>(
        &self,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Vec<DilatedBottleneck<B>> {
        let blocks = (0..self.depth).map(|index| {
            let (input, stride) = self.block(index);
            let inside = ConvConfig::new(self.width, self.width, 3)
                .with_stride(stride)
                .with_dilation(self.dilation);
            let shortcut = ConvConfig::new(input, self.output(), 1).with_stride(stride);
            let mut init = |config: ConvConfig| config.init_he(2.0, rng, device);
            DilatedBottleneck {
                conv1: init(ConvConfig::new(input, self.width, 1)),
                conv2: init(inside),
                conv3: init(ConvConfig::new(self.width, self.output(), 1)),
                downsample: self
                    .has_downsample(index)
                    .then(|| init(shortcut))
                    .into_iter()
                    .collect(),
            }
        });
        blocks.collect()
    }

    /// Layers of the stage called `prefix` in the file and in the module.
    pub(super) fn layers(&self, prefix: &str) -> Vec<FileLayer> {
        let mut layers = Vec::new();
        for index in 0..self.depth {
            let mut layer = |conv: &str, norm: &str| {
                let conv = format!("{prefix}.{index}.{conv}");
                let norm = format!("{prefix}.{index}.{norm}");
                layers.push(FileLayer::normed(conv.clone(), norm, conv));
            };
            layer("conv1", "bn1");
            layer("conv2", "bn2");
            layer("conv3", "bn3");
            if self.has_downsample(index) {
                layer("downsample.0", "downsample.1");
            }
        }
        layers
    }
}

impl<B: Backend> DilatedBottleneck<B> {
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
