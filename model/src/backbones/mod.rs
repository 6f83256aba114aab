//! Pre-trained image networks, frozen: features for the discriminator, for the contrastive loss
//! and for evaluation.
//!
//! A registry entry ([`BackboneKind`]) is an architecture, its taps, the normalisation of its
//! input and the files its weights are known under. Images go in as the generator makes them, in
//! [-1, 1]; every backbone applies its own normalisation (facts D25). Weights never receive a
//! gradient, the image does.

mod convnext;
mod efficientnet_lite;
mod fold;
#[cfg(test)]
mod parity;
mod parts;
mod registry;
mod vgg;

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

pub use convnext::{ConvNext, ConvNextBlock, ConvNextConfig, ConvNextMlp, ConvNextStage};
pub use efficientnet_lite::{EfficientNetLite, EfficientNetLiteConfig, MobileBlock};
pub use parts::{ChannelNorm, Conv2d, Linear};
pub(crate) use registry::{Architecture, architecture};
pub use registry::{BackboneInfo, BackboneKind, info};
pub use vgg::{Vgg, VggConfig};

use crate::init::InitRng;
use crate::weights::{StateDict, WeightsError, load_network};

/// Where the weights of a backbone come from.
#[derive(Debug, Clone)]
pub enum WeightSource {
    /// Drawn from the initialisation of the architecture: for tests and for the experiment that
    /// shows what pre-training is worth.
    Random {
        /// Seed of the draw.
        seed: u64,
    },
    /// Tensors in the naming of the original project, and the file they were read from, which
    /// error messages name.
    State(StateDict, String),
}

/// A frozen pre-trained network that turns an image into feature maps.
#[derive(Module, Debug)]
pub struct Backbone<B: Backend> {
    network: Network<B>,
    /// Factor that takes [-1, 1] to the normalised input, by colour channel.
    scale: [f32; 3],
    /// Offset that takes [-1, 1] to the normalised input, by colour channel.
    shift: [f32; 3],
}

#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a program holds a few of them, never a collection"
)]
enum Network<B: Backend> {
    ConvNext(ConvNext<B>),
    EfficientNetLite(EfficientNetLite<B>),
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
    let seed = if let WeightSource::Random { seed } = source {
        seed
    } else {
        0
    };
    let mut rng = InitRng::new(seed, info.name);
    let network = match registry::architecture(kind) {
        registry::Architecture::ConvNext(config) => {
            let network = config.init(&mut rng, device);
            Network::ConvNext(load(network, source, info.name, |dict, _, _| {
                Ok(config.trunk(dict))
            })?)
        }
        registry::Architecture::EfficientNetLite(config) => {
            let network = config.init(&mut rng, device);
            Network::EfficientNetLite(load(network, source, info.name, |dict, origin, name| {
                config.fold(dict, origin, name)
            })?)
        }
        registry::Architecture::Vgg(config) => {
            let network = config.init(&mut rng, device);
            Network::Vgg(load(network, source, info.name, |dict, _, _| {
                Ok(config.trunk(dict))
            })?)
        }
    };
    Ok(Backbone::new(network, info.mean, info.std))
}

/// Loads `source` after `convert` has brought its names into those of the module, and freezes.
fn load<B: Backend, M: Module<B>>(
    network: M,
    source: WeightSource,
    name: &str,
    convert: impl FnOnce(StateDict, &str, &str) -> Result<StateDict, WeightsError>,
) -> Result<M, WeightsError> {
    let network = match source {
        WeightSource::Random { .. } => network,
        WeightSource::State(dict, origin) => {
            let dict = convert(dict, &origin, name)?;
            load_network(network, &dict, &origin, name)?
        }
    };
    Ok(network.no_grad())
}

impl<B: Backend> Backbone<B> {
    /// `mean` and `std` are those of the image in [0, 1].
    fn new(network: Network<B>, mean: [f32; 3], std: [f32; 3]) -> Self {
        Self {
            network,
            scale: std.map(|std| 0.5 / std),
            shift: std::array::from_fn(|channel| (0.5 - mean[channel]) / std[channel]),
        }
    }

    /// Feature maps of an image, finest first.
    ///
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]` in [-1, 1]
    /// - output: one `[N, channels, ceil(H / stride), ceil(W / stride)]` per entry of
    ///   [`BackboneInfo`]; networks without padding in their strided layers (ConvNeXt, VGG) round
    ///   down instead
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let image = self.normalise(image);
        match &self.network {
            Network::ConvNext(network) => network.forward(image),
            Network::EfficientNetLite(network) => network.forward(image),
            Network::Vgg(network) => network.forward(image),
        }
    }

    fn normalise(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        if self.scale == [1.0; 3] && self.shift == [0.0; 3] {
            return image;
        }
        let device = image.device();
        let channels = |values| Tensor::<B, 1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
        image * channels(self.scale) + channels(self.shift)
    }
}
