use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::init::InitRng;
use dp_sims_model::known::{PublishedFile, VGG16_FILE};
use dp_sims_model::layers::{Conv, ConvConfig, Padding};
use strum::VariantArray;

/// Classifier whose features LPIPS compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum LpipsTrunk {
    /// VGG-16, taps relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3: the one of OASIS's diversity
    /// figures (notes M20).
    Vgg,
    /// AlexNet, taps behind its five ReLUs: the authors' default and that of SDM (notes M22).
    /// Distances of the two trunks cannot be compared.
    AlexNet,
}

/// One layer of torchvision's sequence.
#[derive(Debug, Clone)]
enum Layer {
    Conv(ConvConfig),
    Relu { tap: bool },
    Pool { kernel: usize },
}

/// The convolutional part of a trunk up to its last tap.
///
/// The convolutions have torchvision's names: `features` holds one entry per layer of
/// torchvision's sequence, empty for activations and pooling.
#[derive(Module, Debug)]
pub struct LpipsNetwork<B: Backend> {
    features: Vec<Option<Conv<B>>>,
    #[module(skip)]
    layers: Vec<Layer>,
}

impl LpipsTrunk {
    /// Every trunk, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    /// What messages call LPIPS with this trunk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vgg => "LPIPS with VGG-16",
            Self::AlexNet => "LPIPS with AlexNet",
        }
    }

    /// Channels of the five taps.
    pub fn channels(self) -> [usize; 5] {
        match self {
            Self::Vgg => [64, 128, 256, 512, 512],
            Self::AlexNet => [64, 192, 384, 256, 256],
        }
    }

    /// Smallest height and width of an image: anything less leaves the last tap without a pixel.
    pub fn min_size(self) -> usize {
        match self {
            Self::Vgg => 16,
            Self::AlexNet => 31,
        }
    }

    /// The weights that LPIPS was trained on. Length and hash are those that several public
    /// repositories record for the file; eight digits of the hash are in its name.
    pub const fn file(self) -> PublishedFile {
        match self {
            Self::Vgg => VGG16_FILE,
            Self::AlexNet => PublishedFile {
                name: "alexnet-owt-7be5be79.pth",
                address: "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                bytes: 244_408_911,
                sha256: "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
                source: "AlexNet, ImageNet-1k, torchvision",
                licence: "BSD-3-Clause",
            },
        }
    }

    /// torchvision's sequence up to the last tap.
    fn layers(self) -> Vec<Layer> {
        match self {
            Self::Vgg => vgg_layers(),
            Self::AlexNet => alexnet_layers(),
        }
    }
}

fn vgg_layers() -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut input = 3;
    for (block, output) in LpipsTrunk::Vgg.channels().into_iter().enumerate() {
        if block > 0 {
            layers.push(Layer::Pool { kernel: 2 });
        }
        let convolutions = if block < 2 { 2 } else { 3 };
        for place in 1..=convolutions {
            layers.push(Layer::Conv(ConvConfig::new(input, output, 3)));
            layers.push(Layer::Relu {
                tap: place == convolutions,
            });
            input = output;
        }
    }
    layers
}

fn alexnet_layers() -> Vec<Layer> {
    let [first, second, third, fourth, fifth] = LpipsTrunk::AlexNet.channels();
    let stem = ConvConfig::new(3, first, 11);
    let relu = Layer::Relu { tap: true };
    let pool = Layer::Pool { kernel: 3 };
    vec![
        Layer::Conv(stem.with_stride(4).with_padding(Padding::Zeros(2))),
        relu.clone(),
        pool.clone(),
        Layer::Conv(ConvConfig::new(first, second, 5)),
        relu.clone(),
        pool,
        Layer::Conv(ConvConfig::new(second, third, 3)),
        relu.clone(),
        Layer::Conv(ConvConfig::new(third, fourth, 3)),
        relu.clone(),
        Layer::Conv(ConvConfig::new(fourth, fifth, 3)),
        relu,
    ]
}

impl<B: Backend> LpipsNetwork<B> {
    /// Random weights in the scale of He et al.
    pub(super) fn new(trunk: LpipsTrunk, rng: &mut InitRng, device: &B::Device) -> Self {
        let layers = trunk.layers();
        let features = layers.iter().map(|layer| match layer {
            Layer::Conv(config) => Some(config.init_he(2.0, rng, device)),
            Layer::Relu { .. } | Layer::Pool { .. } => None,
        });
        Self {
            features: features.collect(),
            layers,
        }
    }

    /// # Shapes
    ///
    /// - `images`: `[N, 3, H, W]`, normalised
    /// - output: the five taps, finest first, not negative
    pub fn forward(&self, images: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let mut features = images;
        let mut taps = Vec::with_capacity(5);
        for (layer, conv) in self.layers.iter().zip(&self.features) {
            features = match (layer, conv) {
                (Layer::Pool { kernel }, _) => {
                    max_pool2d(features, [*kernel; 2], [2, 2], [0, 0], [1, 1], false)
                }
                (_, Some(conv)) => conv.forward(features),
                (_, None) => relu(features),
            };
            if matches!(layer, Layer::Relu { tap: true }) {
                taps.push(features.clone());
            }
        }
        taps
    }
}
