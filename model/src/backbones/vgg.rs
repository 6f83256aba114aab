use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::{Tensor, backend::Backend};

use super::segment::{Segment, taps};
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig};
use crate::weights::{KeyMap, StateDict};

/// Blocks whose first convolution is a tap: relu3_1, relu4_1, relu5_1.
const FIRST_TAP: usize = 2;

/// Size of a VGG without batch norm.
#[derive(Config, Debug)]
pub struct VggConfig {
    /// Convolutions of each of the five blocks.
    pub convolutions: [usize; 5],
    /// Channels of each block.
    #[config(default = "[64, 128, 256, 512, 512]")]
    pub channels: [usize; 5],
}

/// VGG trunk up to relu5_1; taps relu3_1, relu4_1 and relu5_1 at strides 4, 8 and 16.
///
/// The convolutions have torchvision's names: `features` holds one entry per layer of
/// torchvision's sequence, empty for activations and pooling.
#[derive(Module, Debug)]
pub struct Vgg<B: Backend> {
    /// Convolutions at their places in torchvision's sequence.
    pub features: Vec<Option<Conv<B>>>,
    #[module(skip)]
    layers: Vec<Layer>,
}

/// One layer of torchvision's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Conv { input: usize, output: usize },
    Relu { tap: bool },
    Pool,
}

impl VggConfig {
    /// Random weights in the scale of He et al.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Vgg<B> {
        let mut layers = self.layers();
        layers.truncate(self.trunk_length());
        let features = layers
            .iter()
            .map(|layer| match *layer {
                Layer::Conv { input, output } => {
                    Some(ConvConfig::new(input, output, 3).init_he(2.0, rng, device))
                }
                Layer::Relu { .. } | Layer::Pool => None,
            })
            .collect();
        Vgg { features, layers }
    }

    /// Channels of the taps.
    pub fn tap_channels(&self) -> [usize; 3] {
        [self.channels[2], self.channels[3], self.channels[4]]
    }

    /// From the tensors of a file to those of the module; messages call the network `name`.
    pub(super) fn keys(&self, name: &str) -> KeyMap<'_> {
        KeyMap::new(name).with_names(|dict| self.trunk(dict))
    }

    /// The tensors of a torchvision file up to the last tap: without the classifier and without
    /// the convolutions behind relu5_1.
    fn trunk(&self, mut dict: StateDict) -> StateDict {
        let layers = self.layers();
        let behind: Vec<String> = (self.trunk_length()..layers.len())
            .filter(|&index| matches!(layers[index], Layer::Conv { .. }))
            .map(|index| format!("features.{index}."))
            .collect();
        dict.retain(|name, _| {
            !name.starts_with("classifier.")
                && !behind.iter().any(|prefix| name.starts_with(prefix))
        });
        dict
    }

    /// The whole sequence.
    fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut input = 3;
        for (block, &repeats) in self.convolutions.iter().enumerate() {
            for repeat in 0..repeats {
                let output = self.channels[block];
                layers.push(Layer::Conv { input, output });
                layers.push(Layer::Relu {
                    tap: block >= FIRST_TAP && repeat == 0,
                });
                input = output;
            }
            layers.push(Layer::Pool);
        }
        layers
    }

    /// Layers up to the last tap.
    fn trunk_length(&self) -> usize {
        let last = self
            .layers()
            .iter()
            .rposition(|layer| *layer == Layer::Relu { tap: true });
        last.map_or(0, |index| index + 1)
    }
}

impl<B: Backend> Vgg<B> {
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, normalised, H and W at least 16
    /// - output: three maps at strides 4, 8 and 16, sizes rounded down
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        taps(&self.segments(), image, |segment, input| {
            self.run(segment, input)
        })
    }

    /// Every tap and every pooling ends one; blocks are layers here.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let mut segments = Vec::new();
        let mut start = 0;
        for (index, layer) in self.layers.iter().enumerate() {
            let is_tap = *layer == Layer::Relu { tap: true };
            if is_tap || *layer == Layer::Pool {
                segments.push(Segment {
                    stage: 0,
                    blocks: start..index + 1,
                    is_tap,
                });
                start = index + 1;
            }
        }
        segments
    }

    pub(super) fn run(&self, segment: &Segment, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let layers = self.layers.iter().zip(&self.features);
        let layers = layers.take(segment.blocks.end).skip(segment.blocks.start);
        layers.fold(input, |features, (layer, conv)| match (layer, conv) {
            (_, Some(conv)) => conv.forward(features),
            (Layer::Pool, None) => max_pool2d(features, [2, 2], [2, 2], [0, 0], [1, 1], false),
            (_, None) => relu(features),
        })
    }
}
