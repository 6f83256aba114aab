use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::module::conv_transpose2d;
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::backbones::{Bottleneck, BottleneckConfig, Strided};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::{Conv, ConvConfig};
use dp_sims_model::weights::{FileLayer, KeyMap, WeightSource, WeightsError};

use super::segmenter::{pillow_bilinear, standardise};

/// Mean of the image in [0, 1] (`datasets/cityscapes/info.json`; notes M13).
const MEAN: [f32; 3] = [0.290_100_95, 0.328_081_44, 0.286_963_94];
/// Its standard deviation.
const STD: [f32; 3] = [0.182_954_05, 0.186_565_61, 0.184_475_1];
/// Stride of the logits before they are upsampled.
const STRIDE: usize = 8;

/// Size of a dilated residual network of type D with bottlenecks. The default is DRN-D-105 of
/// `drn-d-105_ms_cityscapes.pth` of fyu/drn (BSD-3-Clause), notes M8.
#[derive(Config, Debug)]
pub struct DrnConfig {
    /// Blocks of the four stages of bottlenecks.
    #[config(default = "[3, 4, 23, 3]")]
    pub depths: [usize; 4],
    /// Channels of the eight levels; four times as many leave the bottlenecks of levels 3 to 6.
    #[config(default = "[16, 32, 64, 128, 256, 512, 512, 512]")]
    pub channels: [usize; 8],
    /// Classes.
    #[config(default = "19")]
    pub classes: usize,
}

/// DRN-D with a classifier per pixel, batch norm folded, in the names of its authors.
#[derive(Module, Debug)]
pub struct Drn<B: Backend> {
    /// Levels 0 to 8.
    pub base: Vec<DrnLevel<B>>,
    /// 1 × 1 classifier.
    pub seg: Conv<B>,
    /// Upsampling by 8.
    pub up: Upsampling<B>,
}

/// A level of the network.
#[derive(Module, Debug)]
pub enum DrnLevel<B: Backend> {
    /// One convolution and ReLU: levels 0 to 2, 7 and 8.
    Convolution(Vec<Conv<B>>),
    /// Bottlenecks: levels 3 to 6.
    Blocks(Vec<Bottleneck<B>>),
}

/// Transposed convolution of 16 × 16 with stride 8, every class by itself. Its weights are
/// bilinear and were never trained, but are in the checkpoint and are taken from there.
#[derive(Module, Debug)]
pub struct Upsampling<B: Backend> {
    /// `[classes, 1, 16, 16]`
    pub weight: Param<Tensor<B, 4>>,
}

/// Numbers of a level.
enum LevelPlan {
    Convolution {
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        dilation: usize,
    },
    Blocks(Vec<BottleneckConfig>),
}

impl DrnConfig {
    fn levels(&self) -> [LevelPlan; 9] {
        let [c1, c2, c3, c4, c5, c6, c7, c8] = self.channels;
        let convolution = |input, output, kernel, stride, dilation| LevelPlan::Convolution {
            channels: [input, output],
            kernel,
            stride,
            dilation,
        };
        let blocks = |stage: usize, input, width, stride, dilation| {
            let first = BottleneckConfig {
                input,
                width,
                stride,
                strided: Strided::Second,
                dilation,
            };
            LevelPlan::Blocks(first.stage(self.depths[stage]))
        };
        [
            convolution(3, c1, 7, 1, 1),
            convolution(c1, c1, 3, 1, 1),
            convolution(c1, c2, 3, 2, 1),
            blocks(0, c2, c3, 2, 1),
            blocks(1, 4 * c3, c4, 2, 1),
            blocks(2, 4 * c4, c5, 1, 2),
            blocks(3, 4 * c5, c6, 1, 4),
            convolution(4 * c6, c7, 3, 1, 2),
            convolution(c7, c8, 3, 1, 1),
        ]
    }

    /// Weights in the scale of He et al.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Drn<B> {
        let base = self.levels().map(|level| match level {
            LevelPlan::Convolution {
                channels: [input, output],
                kernel,
                stride,
                dilation,
            } => {
                let config = ConvConfig::new(input, output, kernel)
                    .with_stride(stride)
                    .with_dilation(dilation);
                DrnLevel::Convolution(vec![config.init_he(2.0, rng, device)])
            }
            LevelPlan::Blocks(stage) => {
                let blocks = stage.iter().map(|block| block.init(rng, device));
                DrnLevel::Blocks(blocks.collect())
            }
        });
        let shape = [self.classes, 1, 2 * STRIDE, 2 * STRIDE];
        Drn {
            base: base.into(),
            seg: ConvConfig::new(self.channels[7], self.classes, 1).init_he(2.0, rng, device),
            up: Upsampling {
                weight: rng.normal(shape, 0.1, device),
            },
        }
    }

    /// From the tensors of the file to those of the module; messages call the network `name`.
    pub(super) fn keys(&self, name: &str) -> KeyMap<'static> {
        let mut layers = Vec::new();
        for (index, level) in self.levels().into_iter().enumerate() {
            let prefix = format!("base.{index}.");
            match level {
                LevelPlan::Convolution { .. } => {
                    layers.push(FileLayer::normed_in(&prefix, "0", "1"));
                }
                LevelPlan::Blocks(blocks) => {
                    let blocks = blocks.iter().enumerate();
                    layers.extend(
                        blocks.flat_map(|(index, block)| block.layers(&format!("{prefix}{index}"))),
                    );
                }
            }
        }
        KeyMap::new(name).with_layers(layers)
    }

    /// The network with the tensors of a file; messages call it `name`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists missing, unknown and misshapen tensors.
    pub fn load<B: Backend>(
        &self,
        source: WeightSource,
        name: &str,
        device: &B::Device,
    ) -> Result<Drn<B>, WeightsError> {
        let network = self.init(&mut source.rng(name), device);
        source.load(network, &self.keys(name))
    }
}

impl<B: Backend> Drn<B> {
    /// Classes.
    pub fn classes(&self) -> usize {
        self.seg.weight.dims()[0]
    }

    /// Logits of one size of an image; 113 G multiply-adds at 256 × 512.
    ///
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, RGB in [0, 1]
    /// - output: `[N, classes, 8 · ceil(H / 8), 8 · ceil(W / 8)]`
    pub fn forward(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut features = standardise(image, MEAN, STD);
        for level in &self.base {
            match level {
                DrnLevel::Convolution(convs) => {
                    for conv in convs {
                        features = relu(conv.forward(features));
                    }
                }
                DrnLevel::Blocks(blocks) => {
                    for block in blocks {
                        features = block.forward(features);
                    }
                }
            }
        }
        let classes = self.classes();
        let padding = [STRIDE / 2; 2];
        let options = ConvTransposeOptions::new([STRIDE; 2], padding, [0, 0], [1, 1], classes);
        conv_transpose2d(
            self.seg.forward(features),
            self.up.weight.val(),
            None,
            options,
        )
    }

    /// Log-softmax of one size of an image, resized to `size`; the rule of `segment.py` adds these
    /// up over the sizes.
    ///
    /// The resize is that of Pillow: every class is an image of mode F there, so that shrinking
    /// averages (a triangle filter as wide as the factor), unlike PyTorch's resize.
    ///
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, RGB in [0, 1]
    /// - output: `[N, classes, size[0], size[1]]`
    pub fn scores(&self, image: Tensor<B, 4>, size: [usize; 2]) -> Tensor<B, 4> {
        pillow_bilinear(log_softmax(self.forward(image), 1), size[0], size[1])
    }
}
