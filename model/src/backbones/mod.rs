//! Pre-trained image networks, frozen: features for the discriminator, for the contrastive loss
//! and for evaluation.
//!
//! A registry entry ([`BackboneKind`]) is an architecture, its taps, the normalisation of its
//! input and the files its weights are known under. Images go in as the generator makes them, in
//! [-1, 1]; every backbone applies its own normalisation (notes D25). Weights never receive a
//! gradient, the image does.

mod bottleneck;
mod convnext;
mod efficientnet_lite;
mod files;
mod head;
#[cfg(test)]
mod parity;
mod pointwise;
mod registry;
mod resnet;
mod segment;
mod swin;
mod vgg;

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

pub use bottleneck::{Bottleneck, BottleneckConfig, Strided};
pub use convnext::{ConvNext, ConvNextBlock, ConvNextConfig, ConvNextStage};
pub use efficientnet_lite::{EfficientNetLite, EfficientNetLiteConfig, MobileBlock};
pub use head::{LITE_FEATURES, LiteHead};
pub use pointwise::{ChannelNorm, Mlp, TokenNorm, normalised};
pub(crate) use registry::{Architecture, architecture};
pub use registry::{BackboneInfo, BackboneKind, info};
pub use resnet::{ResNet, ResNetConfig};
pub use segment::Segment;
pub use swin::{
    PatchEmbed, PatchMerging, Swin, SwinBlock, SwinConfig, SwinStage, WindowAttention, WindowFit,
};
pub use vgg::{Vgg, VggConfig};

pub use crate::weights::WeightSource;
use crate::weights::WeightsError;

/// A frozen pre-trained network that turns an image into feature maps.
#[derive(Module, Debug)]
pub struct Backbone<B: Backend> {
    network: Network<B>,
    /// Factor and offset that take [-1, 1] to the normalised input, `[1, 3, 1, 1]`, if it is another.
    normalisation: Option<[Tensor<B, 4>; 2]>,
}

#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a program holds a few of them, never a collection"
)]
enum Network<B: Backend> {
    ConvNext(ConvNext<B>),
    EfficientNetLite(EfficientNetLite<B>),
    ResNet(ResNet<B>),
    Swin(Swin<B>),
    Vgg(Vgg<B>),
}

/// Builds the backbone `kind` with frozen weights from `source`.
///
/// # Errors
///
/// [`WeightsError::Mismatch`] when the tensors are not those of the architecture. A classifier
/// head, and layers behind the last tap, are recognised by name and left out.
pub fn build<B: Backend>(
    kind: BackboneKind,
    source: WeightSource,
    device: &B::Device,
) -> Result<Backbone<B>, WeightsError> {
    let info = info(kind);
    let network = network(architecture(kind), source, kind.name(), device)?;
    Ok(Backbone::new(network, info.mean, info.std, device))
}

/// The frozen network of an architecture that messages call `name`.
fn network<B: Backend>(
    architecture: Architecture,
    source: WeightSource,
    name: &str,
    device: &B::Device,
) -> Result<Network<B>, WeightsError> {
    let rng = &mut source.rng(name);
    Ok(match architecture {
        Architecture::ConvNext(config) => {
            Network::ConvNext(source.load(config.init(rng, device), &config.keys(name))?)
        }
        Architecture::EfficientNetLite(config) => {
            Network::EfficientNetLite(source.load(config.init(rng, device), &config.keys(name))?)
        }
        Architecture::ResNet(config) => {
            let source = source.without(&["fc."]);
            Network::ResNet(source.load(config.init(rng, device), &config.keys(name))?)
        }
        Architecture::Swin(config) => {
            Network::Swin(source.load(config.init(rng, device), &config.keys(name))?)
        }
        Architecture::Vgg(config) => {
            Network::Vgg(source.load(config.init(rng, device), &config.keys(name))?)
        }
    })
}

impl<B: Backend> Backbone<B> {
    /// `mean` and `std` are those of the image in [0, 1].
    fn new(network: Network<B>, mean: [f32; 3], std: [f32; 3], device: &B::Device) -> Self {
        let scale = std.map(|std| 0.5 / std);
        let shift = std::array::from_fn(|channel| (0.5 - mean[channel]) / std[channel]);
        let differs = scale != [1.0; 3] || shift != [0.0; 3];
        Self {
            network,
            normalisation: differs.then(|| {
                let channels = |values| Tensor::<B, 1>::from_floats(values, device);
                [scale, shift].map(|values| channels(values).reshape([1, 3, 1, 1]))
            }),
        }
    }

    /// Feature maps of an image, finest first.
    ///
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]` in [-1, 1]
    /// - output: one `[N, channels, ceil(H / stride), ceil(W / stride)]` per entry of
    ///   [`BackboneInfo`]; networks without padding in their strided layers (ConvNeXt, VGG) round
    ///   down instead, Swin rounds down at stride 4 and up from there
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        segment::taps(&self.segments(), image, |segment, input| {
            self.run(segment, input)
        })
    }

    /// The parts of the network, in order; the taps among their outputs are the feature maps.
    pub fn segments(&self) -> Vec<Segment> {
        match &self.network {
            Network::ConvNext(network) => network.segments(),
            Network::EfficientNetLite(network) => network.segments(),
            Network::ResNet(network) => network.segments(),
            Network::Swin(network) => network.segments(),
            Network::Vgg(network) => network.segments(),
        }
    }

    /// Runs one of its segments on the output of the segment before, the first on an image.
    ///
    /// # Shapes
    ///
    /// - `input`, output: `[N, channels, H, W]`
    pub fn run(&self, segment: &Segment, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let input = if segment.is_first() {
            self.normalise(input)
        } else {
            input
        };
        match &self.network {
            Network::ConvNext(network) => network.run(segment, input),
            Network::EfficientNetLite(network) => network.run(segment, input),
            Network::ResNet(network) => network.run(segment, input),
            Network::Swin(network) => network.run(segment, input),
            Network::Vgg(network) => network.run(segment, input),
        }
    }

    fn normalise(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        match &self.normalisation {
            Some([scale, shift]) => image * scale.clone() + shift.clone(),
            None => image,
        }
    }
}
