use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::backbones::{ResNet, ResNetConfig, Strided};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::{Conv, ConvConfig, resize_bilinear};
use dp_sims_model::weights::{FileLayer, KeyMap, StateDict, WeightSource, WeightsError};

use super::segmenter::affine;

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

/// DeepLabV2 with batch norm folded.
///
/// Its ResNet is that of Caffe: the first 1 × 1 convolution of a block carries the stride, and the
/// pooling of the stem rounds its size up. The last two stages are dilated instead of strided, so
/// that the logits are at stride 8.
#[derive(Module, Debug)]
pub struct DeepLab<B: Backend> {
    /// The ResNet.
    pub base: ResNet<B>,
    /// Classifiers.
    pub aspp: Vec<Conv<B>>,
}

impl DeepLabConfig {
    fn base(&self) -> ResNetConfig {
        ResNetConfig::new(self.depths)
            .with_widths([1, 2, 4, 8].map(|factor| factor * self.width))
            .with_stem(vec![self.width])
            .with_strides([1, 2, 1, 1])
            .with_dilations([1, 1, 2, 4])
            .with_strided(Strided::First)
    }

    /// Weights in the scale of He et al.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> DeepLab<B> {
        let base = self.base();
        let [.., features] = base.tap_channels();
        let classifier = ConvConfig::new(features, self.classes, 3);
        let base = base.init(rng, device);
        let aspp = self.rates.map(|rate| {
            let classifier = classifier.with_dilation(rate);
            classifier.init_he(2.0, rng, device)
        });
        DeepLab {
            base,
            aspp: aspp.into(),
        }
    }

    /// From the tensors of the file to those of the module; messages call the network `name`.
    pub(super) fn keys(&self, name: &str) -> KeyMap<'static> {
        let unit = |file: String, module: String| {
            let file = format!("base.{file}.");
            FileLayer::normed_in(&file, "conv", "bn").called(format!("base.{module}"))
        };
        let mut layers = vec![unit("layer1.conv1".into(), "conv1".into())];
        for (stage, blocks) in self.base().stages().iter().enumerate() {
            for (index, block) in blocks.iter().enumerate() {
                let shortcut = block.has_shortcut().then_some(("shortcut", "downsample.0"));
                let convs = [
                    ("reduce", "conv1"),
                    ("conv3x3", "conv2"),
                    ("increase", "conv3"),
                ];
                layers.extend(convs.into_iter().chain(shortcut).map(|(file, module)| {
                    unit(
                        format!("layer{}.block{}.{file}", stage + 2, index + 1),
                        format!("layer{}.{index}.{module}", stage + 1),
                    )
                }));
            }
        }
        for branch in 0..self.rates.len() {
            let (file, module) = (format!("base.aspp.c{branch}"), format!("aspp.{branch}"));
            layers.push(FileLayer::plain(file, module));
        }
        let keys = KeyMap::new(name).with_names(current_names);
        keys.with_layers(layers)
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
    ) -> Result<DeepLab<B>, WeightsError> {
        let network = self.init(&mut source.rng(name), device);
        source.load(network, &self.keys(name))
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
        let [.., features] = self.base.forward(image);
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
