use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::{Tensor, backend::Backend};

use super::bottleneck::{Bottleneck, BottleneckConfig, EXPANSION, Strided};
use super::segment::{Segment, taps};
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig};
use crate::segments::array;
use crate::weights::{FileLayer, KeyMap};

/// Size of a ResNet of bottleneck blocks (notes D18, D21).
#[derive(Config, Debug)]
pub struct ResNetConfig {
    /// Blocks of each stage.
    pub depths: [usize; 4],
    /// Channels inside the blocks of each stage; four times as many leave them.
    #[config(default = "[64, 128, 256, 512]")]
    pub widths: [usize; 4],
    /// Channels of the convolutions of the stem: one of 7 × 7, or several of 3 × 3.
    #[config(default = "vec![64]")]
    pub stem: Vec<usize>,
    /// Stride of each stage.
    #[config(default = "[1, 2, 2, 2]")]
    pub strides: [usize; 4],
    /// Dilation of each stage.
    #[config(default = "[1; 4]")]
    pub dilations: [usize; 4],
    /// The convolution that carries the stride of a block. With the first, Caffe's, the pooling of the
    /// stem rounds its size up.
    #[config(default = "Strided::Second")]
    pub strided: Strided,
}

/// ResNet trunk, batch norm folded into its convolutions: the outputs of its four stages, at
/// strides 4, 8, 16 and 32 unless stages are dilated instead.
///
/// The modules carry torchvision's names for the convolutions.
#[derive(Module, Debug)]
pub struct ResNet<B: Backend> {
    /// First convolution, with stride 2.
    pub conv1: Conv<B>,
    /// Second convolution of a stem of several.
    pub conv2: Option<Conv<B>>,
    /// Third convolution of a stem of several.
    pub conv3: Option<Conv<B>>,
    /// First stage.
    pub layer1: Vec<Bottleneck<B>>,
    /// Second stage.
    pub layer2: Vec<Bottleneck<B>>,
    /// Third stage.
    pub layer3: Vec<Bottleneck<B>>,
    /// Fourth stage.
    pub layer4: Vec<Bottleneck<B>>,
    pool_rounds_up: bool,
}

impl ResNetConfig {
    /// Random weights, see [`BottleneckConfig::init`].
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> ResNet<B> {
        let kernel = if self.stem.len() == 1 { 7 } else { 3 };
        let mut conv = |index: usize| {
            let &output = self.stem.get(index)?;
            let input = if index == 0 { 3 } else { self.stem[index - 1] };
            let stride = if index == 0 { 2 } else { 1 };
            let config = ConvConfig::new(input, output, kernel).with_stride(stride);
            Some(config.init_he(2.0, rng, device))
        };
        let conv1 = conv(0).expect("a stem of one to three convolutions");
        let (conv2, conv3) = (conv(1), conv(2));
        let [layer1, layer2, layer3, layer4] = self.stages().map(|stage| {
            let blocks = stage.iter();
            blocks.map(|block| block.init(rng, device)).collect()
        });
        ResNet {
            conv1,
            conv2,
            conv3,
            layer1,
            layer2,
            layer3,
            layer4,
            pool_rounds_up: self.strided == Strided::First,
        }
    }

    /// Channels of the taps.
    pub fn tap_channels(&self) -> [usize; 4] {
        self.widths.map(|width| EXPANSION * width)
    }

    /// Blocks by stage.
    pub fn stages(&self) -> [Vec<BottleneckConfig>; 4] {
        let mut input = self.stem[self.stem.len() - 1];
        std::array::from_fn(|stage| {
            let first = BottleneckConfig {
                input,
                width: self.widths[stage],
                stride: self.strides[stage],
                strided: self.strided,
                dilation: self.dilations[stage],
            };
            input = first.output();
            first.stage(self.depths[stage])
        })
    }

    /// From the tensors of torchvision, without a classifier, to those of the module; messages call
    /// the network `name`.
    pub fn keys(&self, name: &str) -> KeyMap<'static> {
        let stem = (1..=self.stem.len())
            .map(|index| FileLayer::normed(format!("conv{index}"), format!("bn{index}")));
        let stages = self.stages().into_iter().enumerate();
        let blocks = stages.flat_map(|(stage, blocks)| {
            let blocks = blocks.into_iter().enumerate();
            blocks.flat_map(move |(index, block)| {
                block.layers(&format!("layer{}.{index}", stage + 1))
            })
        });
        KeyMap::new(name).with_layers(stem.chain(blocks).collect())
    }
}

impl<B: Backend> ResNet<B> {
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, normalised
    /// - output: four maps at strides 4, 8, 16 and 32 or those of the configuration, sizes rounded up
    pub fn forward(&self, image: Tensor<B, 4>) -> [Tensor<B, 4>; 4] {
        array(taps(&self.segments(), image, |segment, input| {
            self.run(segment, input)
        }))
    }

    fn stages(&self) -> [&[Bottleneck<B>]; 4] {
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
    }

    pub(super) fn segments(&self) -> Vec<Segment> {
        Segment::of_stages(&self.stages().map(<[_]>::len), |_| true)
    }

    pub(super) fn run(&self, segment: &Segment, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut features = input;
        if segment.is_first() {
            features = relu(self.conv1.forward(features));
            for conv in [&self.conv2, &self.conv3].into_iter().flatten() {
                features = relu(conv.forward(features));
            }
            let up = self.pool_rounds_up;
            features = max_pool2d(features, [3, 3], [2, 2], [1, 1], [1, 1], up);
        }
        for block in &self.stages()[segment.stage][segment.blocks.clone()] {
            features = block.forward(features);
        }
        features
    }
}
