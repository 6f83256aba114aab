//! The Inception-v3 of FID: 2048 features of an image (notes M1, M2).
//!
//! It is the network of TensorFlow's `inception-2015-12-05`, with which FID was introduced, in the
//! weights and names of the PyPI package `pytorch-fid`. It differs from torchvision's Inception-v3
//! in its weights, in means that count no padding, and in a maximum in place of a mean in the last
//! block. FID, KID and precision and recall are computed from its features.

mod blocks;
mod network;
#[cfg(test)]
mod tests;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::known::PublishedFile;
use dp_sims_model::layers::resize_bilinear_single;
use dp_sims_model::weights::{KeyMap, WeightSource, WeightsError};

pub use blocks::{BasicConv, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE};
pub use network::Inception;

/// Length of the feature vector of an image, `pool3` in TensorFlow's graph.
pub const INCEPTION_FEATURES: usize = 2048;

/// Height and width that every image is resized to.
pub const INCEPTION_SIZE: usize = 299;

/// The weights that FID is defined with. The eight digits are the publisher's; length and whole
/// hash are those that several public repositories record for the file, and agree with them.
pub const INCEPTION_FILE: PublishedFile = PublishedFile {
    name: "pt_inception-2015-12-05-6726825d.pth",
    address: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    bytes: 95_628_359,
    sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    source: "TensorFlow's inception-2015-12-05 converted by pytorch-fid",
    licence: "Apache-2.0",
};

/// What messages call the network.
const NAME: &str = "the Inception-v3 of FID";

/// Batch norm epsilon, TensorFlow's.
const EPSILON: f64 = 1e-3;

/// Size of the network.
#[derive(Config, Debug)]
pub struct InceptionConfig {
    /// Divides every number of channels; 1 is the published network, and 16 divides all of them.
    #[config(default = "1")]
    pub narrowing: usize,
}

/// The feature extractor of FID: resize, normalisation and network.
#[derive(Module, Debug)]
pub struct FidInception<B: Backend> {
    network: Inception<B>,
}

impl InceptionConfig {
    /// Builds the extractor with frozen weights from `source`, in the names of [`INCEPTION_FILE`].
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] when the tensors are not those of the network. The classifier
    /// `fc`, an auxiliary classifier and `num_batches_tracked` are recognised by name and left out.
    pub fn load<B: Backend>(
        &self,
        source: WeightSource,
        device: &B::Device,
    ) -> Result<FidInception<B>, WeightsError> {
        let network: Inception<B> = self.init(&mut source.rng(NAME), device);
        let keys = KeyMap::new(NAME).with_layers(network.layers());
        let source = source.without(&["fc.", "AuxLogits."]);
        let network = source.load(network, &keys.with_epsilon(EPSILON))?;
        Ok(FidInception { network })
    }
}

impl<B: Backend> FidInception<B> {
    /// The published network with frozen weights from `source`, see [`InceptionConfig::load`].
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] when the tensors are not those of the network.
    pub fn load(source: WeightSource, device: &B::Device) -> Result<Self, WeightsError> {
        InceptionConfig::new().load(source, device)
    }

    /// Features of images, which are resized to 299 × 299 without regard to their aspect,
    /// bilinearly and without antialiasing (notes M2).
    ///
    /// Costs 5.7 billion multiply-adds an image whatever its size, and the resize, which is two
    /// matrix products: 0.13 billion at 256 × 256, 0.3 billion at 256 × 512.
    ///
    /// # Shapes
    ///
    /// - `images`: `[N, 3, H, W]` in [0, 1], not rounded to 8 bits
    /// - output: `[N, 2048]`, not negative
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let images = resize_bilinear_single(images, INCEPTION_SIZE, INCEPTION_SIZE);
        self.network.forward(images * 2.0 - 1.0)
    }
}
