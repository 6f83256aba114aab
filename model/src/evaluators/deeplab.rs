use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::{Tensor, backend::Backend};

use super::names::{FileLayer, load_layers};
use super::segmenter::affine;
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig, resize_bilinear};
use crate::weights::{StateDict, WeightsError};

/// Mean of blue, green and red in 0 to 255 (`configs/cocostuff164k.yaml`; notes M11).
const MEAN_BGR: [f32; 3] = [104.008, 116.669, 122.675];
/// Sizes beside the full one (`libs/models/msc.py`).
const SCALES: [f64; 2] = [0.5, 0.75];

/// Size of a DeepLabV2 over a ResNet. The default is that of the published checkpoint
/// `deeplabv2_resnet101_msc-cocostuff164k-100000.pth` of kazuto1011/deeplab-pytorch (MIT;
/// notes M8).
#[derive(Config, Debug)]
pub struct DeepLabConfig {
    /// Blocks of each stage.
    #[config(default = "[3, 4, 23, 3]")]
    pub depths: [usize; 4],
    /// Channels of the first convolution; 4, 8, 16 and 32 times as many leave the stages.
    #[config(default = "64")]
    pub width: usize,
    /// Dilations of the four classifiers, which are added up.
    #[config(default = "[6, 12, 18, 24]")]
    pub rates: [usize; 4],
    /// Classes.
    #[config(default = "182")]
    pub classes: usize,
}

/// DeepLabV2 with batch norm folded, in the names of its authors.
///
/// Its ResNet is that of Caffe: the first 1 × 1 convolution of a block carries the stride, and the
/// pooling of the stem rounds its size up. The last two stages are dilated instead of strided, so
/// that the logits are at stride 8.
#[derive(Module, Debug)]
pub struct DeepLab<B: Backend> {
    /// 7 × 7 convolution with stride 2.
    pub layer1: Conv<B>,
    /// Blocks at stride 4.
    pub layer2: Vec<CaffeBottleneck<B>>,
    /// Blocks at stride 8.
    pub layer3: Vec<CaffeBottleneck<B>>,
    /// Blocks at stride 8, dilation 2.
    pub layer4: Vec<CaffeBottleneck<B>>,
    /// Blocks at stride 8, dilation 4.
    pub layer5: Vec<CaffeBottleneck<B>>,
    /// Classifiers.
    pub aspp: Vec<Conv<B>>,
}

/// Bottleneck of Caffe's ResNet.
#[derive(Module, Debug)]
pub struct CaffeBottleneck<B: Backend> {
    /// 1 × 1 convolution to fewer channels, with the stride of the block.
    pub reduce: Conv<B>,
    /// 3 × 3 convolution.
    pub conv3x3: Conv<B>,
    /// 1 × 1 convolution to four times as many channels.
    pub increase: Conv<B>,
    /// 1 × 1 convolution of the shortcut, in the first block of a stage.
    pub shortcut: Option<Conv<B>>,
}

impl DeepLabConfig {
    /// Channels that leave a stage, its stride and its dilation.
    fn stages(&self) -> [(usize, usize, usize); 4] {
        [(4, 1, 1), (8, 2, 1), (16, 1, 2), (32, 1, 4)]
            .map(|(factor, stride, dilation)| (factor * self.width, stride, dilation))
    }

    /// Weights in the scale of He et al.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> DeepLab<B> {
        let layer1 = ConvConfig::new(3, self.width, 7).with_stride(2);
        let layer1 = layer1.init_he(2.0, rng, device);
        let mut input = self.width;
        let mut depths = self.depths.into_iter();
        let [layer2, layer3, layer4, layer5] = self.stages().map(|(output, stride, dilation)| {
            let blocks = (0..depths.next().unwrap_or(0)).map(|block| {
                let stride = if block == 0 { stride } else { 1 };
                let from = std::mem::replace(&mut input, output);
                CaffeBottleneck::new([from, output], stride, dilation, block == 0, rng, device)
            });
            blocks.collect()
        });
        let classifier = ConvConfig::new(input, self.classes, 3);
        let aspp = self.rates.map(|rate| {
            let classifier = classifier.with_dilation(rate);
            classifier.init_he(2.0, rng, device)
        });
        DeepLab {
            layer1,
            layer2,
            layer3,
            layer4,
            layer5,
            aspp: aspp.into(),
        }
    }

    /// Layers in the names of the file and of the module.
    pub(super) fn layers(&self) -> Vec<FileLayer> {
        let mut layers = Vec::new();
        let mut unit = |file: String, module: String| {
            layers.push(FileLayer::normed(
                format!("base.{file}.conv"),
                format!("base.{file}.bn"),
                module,
            ));
        };
        unit("layer1.conv1".into(), "layer1".into());
        for (stage, depth) in (2..).zip(self.depths) {
            for block in 0..depth {
                let shortcut = (block == 0).then_some("shortcut");
                for conv in ["reduce", "conv3x3", "increase"]
                    .into_iter()
                    .chain(shortcut)
                {
                    unit(
                        format!("layer{stage}.block{}.{conv}", block + 1),
                        format!("layer{stage}.{block}.{conv}"),
                    );
                }
            }
        }
        for branch in 0..self.rates.len() {
            let (file, module) = (format!("base.aspp.c{branch}"), format!("aspp.{branch}"));
            layers.push(FileLayer::plain(file, module));
        }
        layers
    }

    /// The network with the tensors of a file; `origin` and `name` are for messages.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists missing, unknown and misshapen tensors.
    pub fn load<B: Backend>(
        &self,
        dict: StateDict,
        origin: &str,
        name: &str,
        device: &B::Device,
    ) -> Result<DeepLab<B>, WeightsError> {
        let network = self.init(&mut InitRng::unset(), device);
        load_layers(network, current_names(dict), &self.layers(), origin, name)
    }
}

/// Brings the names of the project's first checkpoints into those of its published ones: the
/// network was called `scale` in the multi-scale wrapper, the shortcut `proj`, and the classifiers
/// were one level deeper.
fn current_names(dict: StateDict) -> StateDict {
    if !dict.keys().all(|name| name.starts_with("scale.")) {
        return dict;
    }
    dict.into_iter()
        .map(|(name, data)| {
            let name = name.replacen("scale.", "base.", 1);
            let name = name
                .replace(".proj.", ".shortcut.")
                .replace(".aspp.stages.", ".aspp.");
            (name, data)
        })
        .collect()
}

impl<B: Backend> DeepLab<B> {
    /// Classes.
    pub fn classes(&self) -> usize {
        self.aspp.first().map_or(0, |conv| conv.weight.dims()[0])
    }

    /// Logits of one size of an image; 62 G multiply-adds at 256 × 256.
    ///
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, RGB in [0, 1]
    /// - output: `[N, classes, h, w]` at stride 8, with h = ⌈(⌊⌈H / 2⌉ / 2⌋ + 1) / 2⌉
    pub fn forward(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        self.logits(normalise(image))
    }

    /// Maximum of the logits over the scales 1, 0.5 and 0.75; 113 G multiply-adds at 256 × 256.
    ///
    /// The smaller images are made from the normalised one by PyTorch's bilinear resize without
    /// antialiasing, their sides rounded down, and their logits are resized in the same way to
    /// those of the full size before the maximum, and the maximum to `size`.
    ///
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, RGB in [0, 1]
    /// - output: `[N, classes, size[0], size[1]]`
    pub fn scores(&self, image: Tensor<B, 4>, size: [usize; 2]) -> Tensor<B, 4> {
        let image = normalise(image);
        let mut logits = self.logits(image.clone());
        let [_, _, rows, columns] = logits.dims();
        for scale in SCALES {
            let [_, _, height, width] = image.dims();
            let side = |side: usize| ((side as f64 * scale) as usize).max(1);
            let small = resize_bilinear(image.clone(), side(height), side(width));
            let other = resize_bilinear(self.logits(small), rows, columns);
            logits = logits.max_pair(other);
        }
        resize_bilinear(logits, size[0], size[1])
    }

    /// Logits of a normalised image.
    fn logits(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        let stem = relu(self.layer1.forward(image));
        let mut features = max_pool2d(stem, [3, 3], [2, 2], [1, 1], [1, 1], true);
        for stage in [&self.layer2, &self.layer3, &self.layer4, &self.layer5] {
            for block in stage {
                features = block.forward(features);
            }
        }
        let branches = self.aspp.iter().map(|conv| conv.forward(features.clone()));
        branches
            .reduce(|sum, branch| sum + branch)
            .unwrap_or(features)
    }
}

/// RGB in [0, 1] to blue, green, red less their means.
fn normalise<B: Backend>(image: Tensor<B, 4>) -> Tensor<B, 4> {
    affine(image.flip([1]), [255.0; 3], MEAN_BGR.map(|mean| -mean))
}

impl<B: Backend> CaffeBottleneck<B> {
    fn new(
        [input, output]: [usize; 2],
        stride: usize,
        dilation: usize,
        first: bool,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let inner = output / 4;
        let conv3x3 = ConvConfig::new(inner, inner, 3).with_dilation(dilation);
        let strided = |output| ConvConfig::new(input, output, 1).with_stride(stride);
        Self {
            reduce: strided(inner).init_he(2.0, rng, device),
            conv3x3: conv3x3.init_he(2.0, rng, device),
            increase: ConvConfig::new(inner, output, 1).init_he(2.0, rng, device),
            shortcut: first.then(|| strided(output).init_he(2.0, rng, device)),
        }
    }

    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`
    /// - output: `[N, out, ceil(H / stride), ceil(W / stride)]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let hidden = relu(self.reduce.forward(input.clone()));
        let hidden = self.increase.forward(relu(self.conv3x3.forward(hidden)));
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(input),
            None => input,
        };
        relu(hidden + shortcut)
    }
}
