use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::backbones::{ResNet, ResNetConfig};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::{Conv, ConvConfig, resize_bilinear};
use dp_sims_model::weights::{FileLayer, KeyMap, WeightSource, WeightsError};

use super::segmenter::standardise;

/// Mean of the image in [0, 1] (`mit_semseg/dataset.py`; notes M9).
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Its standard deviation.
const STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Sides of the pooled maps.
const POOL_SIDES: [usize; 4] = [1, 2, 3, 6];

/// Size of a UPerNet over a ResNet with three convolutions in its stem. The default is that of
/// `encoder_epoch_50.pth` and `decoder_epoch_50.pth` of `ade20k-resnet101-upernet` of
/// CSAILVision/semantic-segmentation-pytorch (BSD-3-Clause), notes M8.
#[derive(Config, Debug)]
pub struct UperNetConfig {
    /// Channels of the stem's convolutions.
    #[config(default = "[64, 64, 128]")]
    pub stem: [usize; 3],
    /// Blocks of each stage.
    #[config(default = "[3, 4, 23, 3]")]
    pub depths: [usize; 4],
    /// Channels inside the blocks of each stage; four times as many leave them.
    #[config(default = "[64, 128, 256, 512]")]
    pub widths: [usize; 4],
    /// Channels of each pooled map.
    #[config(default = "512")]
    pub pooled: usize,
    /// Channels of the feature pyramid.
    #[config(default = "512")]
    pub pyramid: usize,
    /// Classes.
    #[config(default = "150")]
    pub classes: usize,
}

/// UPerNet with batch norm folded.
#[derive(Module, Debug)]
pub struct UperNet<B: Backend> {
    /// ResNet, in the names of `encoder_epoch_50.pth`.
    pub encoder: ResNet<B>,
    /// Pyramid pooling, feature pyramid and classifier, in the names of `decoder_epoch_50.pth`.
    pub decoder: UperNetDecoder<B>,
}

/// What turns the ResNet's features into logits.
#[derive(Module, Debug)]
pub struct UperNetDecoder<B: Backend> {
    /// 1 × 1 convolution of each pooled map.
    pub ppm_conv: Vec<Conv<B>>,
    /// 3 × 3 convolution over the coarsest features and the pooled maps.
    pub ppm_last_conv: Conv<B>,
    /// 1 × 1 convolution of the other features, finest first.
    pub fpn_in: Vec<Conv<B>>,
    /// 3 × 3 convolution of each of their levels.
    pub fpn_out: Vec<Conv<B>>,
    /// 3 × 3 convolution over all levels, and the 1 × 1 classifier.
    pub conv_last: Vec<Conv<B>>,
}

impl UperNetConfig {
    fn encoder(&self) -> ResNetConfig {
        ResNetConfig::new(self.depths)
            .with_widths(self.widths)
            .with_stem(self.stem.into())
    }

    /// Weights in the scale of He et al.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> UperNet<B> {
        let encoder = self.encoder();
        let [finer @ .., coarsest] = encoder.tap_channels();
        let encoder = encoder.init(rng, device);
        let mut conv = |[input, output]: [usize; 2], kernel| {
            ConvConfig::new(input, output, kernel).init_he(2.0, rng, device)
        };
        let sides = POOL_SIDES.len();
        let pyramid = self.pyramid;
        let decoder = UperNetDecoder {
            ppm_conv: POOL_SIDES.map(|_| conv([coarsest, self.pooled], 1)).into(),
            ppm_last_conv: conv([coarsest + sides * self.pooled, pyramid], 3),
            fpn_in: finer.map(|channels| conv([channels, pyramid], 1)).into(),
            fpn_out: (0..3).map(|_| conv([pyramid; 2], 3)).collect(),
            conv_last: vec![
                conv([4 * pyramid, pyramid], 3),
                conv([pyramid, self.classes], 1),
            ],
        };
        UperNet { encoder, decoder }
    }

    /// From the tensors of the encoder's file to those of its module; messages call the network
    /// `name`.
    pub(super) fn encoder_keys(&self, name: &str) -> KeyMap<'static> {
        self.encoder().keys(&format!("the encoder of {name}"))
    }

    /// The same of the decoder.
    pub(super) fn decoder_keys(&self, name: &str) -> KeyMap<'static> {
        let mut layers = Vec::new();
        let mut unit = |file: String, module: String| {
            let layer = FileLayer::normed_in(&format!("{file}."), "0", "1");
            layers.push(layer.called(module));
        };
        for index in 0..POOL_SIDES.len() {
            unit(format!("ppm_conv.{index}"), format!("ppm_conv.{index}"));
        }
        unit("ppm_last_conv".into(), "ppm_last_conv".into());
        for level in 0..3 {
            unit(format!("fpn_in.{level}"), format!("fpn_in.{level}"));
            unit(format!("fpn_out.{level}.0"), format!("fpn_out.{level}"));
        }
        unit("conv_last.0".into(), "conv_last.0".into());
        KeyMap::new(format!("the decoder of {name}")).with_layers(layers)
    }

    /// The network with the tensors of its two files; messages call it `name`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists missing, unknown and misshapen tensors of one file.
    pub fn load<B: Backend>(
        &self,
        encoder: WeightSource,
        decoder: WeightSource,
        name: &str,
        device: &B::Device,
    ) -> Result<UperNet<B>, WeightsError> {
        let network = self.init::<B>(&mut encoder.rng(name), device);
        Ok(UperNet {
            encoder: encoder.load(network.encoder, &self.encoder_keys(name))?,
            decoder: decoder.load(network.decoder, &self.decoder_keys(name))?,
        })
    }
}

impl<B: Backend> UperNet<B> {
    /// Classes.
    pub fn classes(&self) -> usize {
        self.decoder
            .conv_last
            .last()
            .map_or(0, |conv| conv.weight.dims()[0])
    }

    /// Logits of one size of an image; 1154 G multiply-adds over the five sizes of 256 × 256.
    ///
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, RGB in [0, 1]; the protocol has sides that 32 divides
    /// - output: `[N, classes, ceil(H / 4), ceil(W / 4)]`
    pub fn forward(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        self.decoder
            .forward(self.encoder.forward(standardise(image, MEAN, STD)))
    }

    /// Probabilities of one size of an image: the softmax of the logits resized to `size` by
    /// PyTorch's bilinear resize. The rule of `eval.py` averages these over the sizes.
    ///
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, RGB in [0, 1]
    /// - output: `[N, classes, size[0], size[1]]`
    pub fn scores(&self, image: Tensor<B, 4>, size: [usize; 2]) -> Tensor<B, 4> {
        softmax(resize_bilinear(self.forward(image), size[0], size[1]), 1)
    }
}

impl<B: Backend> UperNetDecoder<B> {
    /// # Shapes
    ///
    /// - `features`: four maps, finest first
    /// - output: `[N, classes, H, W]`, the size of the finest
    pub fn forward(&self, features: [Tensor<B, 4>; 4]) -> Tensor<B, 4> {
        let [finest, .., coarsest] = &features;
        let [_, _, rows, columns] = finest.dims();
        let mut top = relu(
            self.ppm_last_conv
                .forward(self.pyramid_pooling(coarsest.clone())),
        );
        let mut levels = vec![resize_bilinear(top.clone(), rows, columns)];
        let [first, second, third, _] = features;
        let convs = self.fpn_in.iter().zip(&self.fpn_out);
        for (lateral, (conv_in, conv_out)) in [first, second, third].into_iter().zip(convs).rev() {
            let lateral = relu(conv_in.forward(lateral));
            let [_, _, height, width] = lateral.dims();
            top = lateral + resize_bilinear(top, height, width);
            let level = relu(conv_out.forward(top.clone()));
            levels.push(resize_bilinear(level, rows, columns));
        }
        levels.reverse();
        let mut logits = Tensor::cat(levels, 1);
        for (index, conv) in self.conv_last.iter().enumerate() {
            logits = if index == 0 { logits } else { relu(logits) };
            logits = conv.forward(logits);
        }
        logits
    }

    /// The coarsest features beside their averages over 1, 4, 9 and 36 cells.
    ///
    /// The original resizes the averages before their 1 × 1 convolution. Both are linear, and the
    /// weights of the resize add up to one, so that the convolution can come first, on the few
    /// cells.
    fn pyramid_pooling(&self, features: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, rows, columns] = features.dims();
        let mut maps = vec![features.clone()];
        for (side, conv) in POOL_SIDES.into_iter().zip(&self.ppm_conv) {
            let cells = conv.forward(adaptive_avg_pool2d(features.clone(), [side; 2]));
            maps.push(relu(resize_bilinear(cells, rows, columns)));
        }
        Tensor::cat(maps, 1)
    }
}
