use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::{Tensor, backend::Backend};

use super::fold::{FoldedLayer, fold};
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig};
use crate::weights::{StateDict, WeightsError};

/// Batch norm epsilon, PyTorch's default.
const EPSILON: f64 = 1e-5;
/// Channels of the first convolution, the same at every width.
const STEM: usize = 64;
/// Channels that leave a block for each inside it.
const EXPANSION: usize = 4;

/// Size of a ResNet of bottleneck blocks (notes D18, D21).
#[derive(Config, Debug)]
pub struct ResNetConfig {
    /// Blocks of each stage.
    pub depths: [usize; 4],
    /// Channels inside the blocks of each stage; four times as many leave them.
    #[config(default = "[64, 128, 256, 512]")]
    pub widths: [usize; 4],
}

/// ResNet trunk, batch norm folded into its convolutions: the outputs of its four stages, at
/// strides 4, 8, 16 and 32.
///
/// The modules carry torchvision's names for the convolutions.
#[derive(Module, Debug)]
pub struct ResNet<B: Backend> {
    /// 7 × 7 convolution with stride 2.
    pub conv1: Conv<B>,
    /// Blocks at stride 4.
    pub layer1: Vec<Bottleneck<B>>,
    /// Blocks at stride 8.
    pub layer2: Vec<Bottleneck<B>>,
    /// Blocks at stride 16.
    pub layer3: Vec<Bottleneck<B>>,
    /// Blocks at stride 32.
    pub layer4: Vec<Bottleneck<B>>,
}

/// 1 × 1, 3 × 3 and 1 × 1 convolution beside a shortcut. The 3 × 3 convolution carries the stride,
/// as in torchvision.
#[derive(Module, Debug)]
pub struct Bottleneck<B: Backend> {
    /// 1 × 1 convolution to fewer channels.
    pub conv1: Conv<B>,
    /// 3 × 3 convolution.
    pub conv2: Conv<B>,
    /// 1 × 1 convolution to four times as many channels.
    pub conv3: Conv<B>,
    /// The 1 × 1 convolution of the shortcut where a stage begins, else nothing.
    pub downsample: Vec<Conv<B>>,
}

/// Numbers of one block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BottleneckPlan {
    pub(crate) input: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
    pub(crate) shortcut: bool,
}

impl BottleneckPlan {
    pub(crate) fn output(&self) -> usize {
        EXPANSION * self.width
    }
}

impl ResNetConfig {
    /// Random weights in the scale of He et al., the last convolution of a block at a quarter of
    /// the variance: without batch norm the residuals would add up.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> ResNet<B> {
        let stem = ConvConfig::new(3, STEM, 7).with_stride(2);
        let conv1 = stem.init_he(2.0, rng, device);
        let [layer1, layer2, layer3, layer4] = self.plan().map(|stage| {
            stage
                .iter()
                .map(|plan| Bottleneck::new(plan, rng, device))
                .collect()
        });
        ResNet {
            conv1,
            layer1,
            layer2,
            layer3,
            layer4,
        }
    }

    /// Channels of the taps.
    pub fn tap_channels(&self) -> [usize; 4] {
        self.widths.map(|width| EXPANSION * width)
    }

    /// Brings a file's tensors into those of the module: leaves the classifier out and folds batch
    /// norm.
    pub(super) fn fold(
        &self,
        mut dict: StateDict,
        origin: &str,
        network: &str,
    ) -> Result<StateDict, WeightsError> {
        dict.retain(|name, _| !name.starts_with("fc."));
        let mut layers = vec![FoldedLayer::new("", "conv1", "bn1")];
        for (stage, blocks) in self.plan().iter().enumerate() {
            for (block, plan) in blocks.iter().enumerate() {
                let prefix = format!("layer{}.{block}.", stage + 1);
                for (conv, norm) in [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")] {
                    layers.push(FoldedLayer::new(&prefix, conv, norm));
                }
                if plan.shortcut {
                    layers.push(FoldedLayer::new(&prefix, "downsample.0", "downsample.1"));
                }
            }
        }
        fold(dict, &layers, EPSILON, origin, network)
    }

    /// Blocks by stage.
    pub(crate) fn plan(&self) -> [Vec<BottleneckPlan>; 4] {
        let mut input = STEM;
        std::array::from_fn(|stage| {
            let width = self.widths[stage];
            (0..self.depths[stage])
                .map(|block| {
                    let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                    let from = std::mem::replace(&mut input, EXPANSION * width);
                    BottleneckPlan {
                        input: from,
                        width,
                        stride,
                        shortcut: stride > 1 || from != EXPANSION * width,
                    }
                })
                .collect()
        })
    }
}

impl<B: Backend> ResNet<B> {
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, normalised
    /// - output: four maps at strides 4, 8, 16 and 32, sizes rounded up
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let features = relu(self.conv1.forward(image));
        let mut features = max_pool2d(features, [3, 3], [2, 2], [1, 1], [1, 1], false);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        stages
            .map(|stage| {
                for block in stage {
                    features = block.forward(features.clone());
                }
                features.clone()
            })
            .into()
    }
}

impl<B: Backend> Bottleneck<B> {
    fn new(plan: &BottleneckPlan, rng: &mut InitRng, device: &B::Device) -> Self {
        let BottleneckPlan {
            input,
            width,
            stride,
            shortcut,
        } = *plan;
        let mut conv = |channels: [usize; 2], kernel: usize, stride, gain: f64| {
            let config = ConvConfig::new(channels[0], channels[1], kernel);
            config.with_stride(stride).init_he(gain, rng, device)
        };
        Self {
            conv1: conv([input, width], 1, 1, 2.0),
            conv2: conv([width, width], 3, stride, 2.0),
            conv3: conv([width, plan.output()], 1, 1, 0.5),
            downsample: shortcut
                .then(|| conv([input, plan.output()], 1, stride, 1.0))
                .into_iter()
                .collect(),
        }
    }

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
