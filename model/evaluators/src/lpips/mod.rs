//! LPIPS, a distance between images in the features of a classifier (notes M20, M21, M22).
//!
//! Version 0.1 with the linear heads of its authors. The heads are part of the program: the files
//! `vgg.safetensors` and `alex.safetensors` beside this one hold the tensors of `vgg.pth` and
//! `alex.pth` of the PyPI package `lpips`, under the BSD-2-Clause licence in `NOTICE`. The trunks
//! are torchvision's and have to be brought.

mod features;
mod heads;
#[cfg(test)]
mod tests;
mod trunk;

use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::init::buffer;
use dp_sims_model::weights::{KeyMap, WeightSource, WeightsError};

pub use features::LpipsFeatures;
pub use trunk::{LpipsNetwork, LpipsTrunk};

/// What is taken from an image in [-1, 1], by colour channel (notes M21).
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];

/// What it is divided by afterwards.
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];

/// Added to the norm of a feature vector, for vectors of zeros.
const EPSILON: f64 = 1e-10;

/// LPIPS: a trunk and what the differences of its features count.
#[derive(Module, Debug)]
pub struct Lpips<B: Backend> {
    network: LpipsNetwork<B>,
    /// Square root of the head of each tap, `[1, C, 1, 1]`.
    roots: Vec<Param<Tensor<B, 4>>>,
}

impl<B: Backend> Lpips<B> {
    /// Builds LPIPS with frozen weights: `weights` of the trunk in torchvision's names
    /// ([`LpipsTrunk::file`]) and `heads` in those of the authors ([`LpipsTrunk::heads`]).
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] when the tensors are not those of trunk and heads; the classifier
    /// of the trunk is recognised by name and left out. [`WeightsError::Format`] when a head is
    /// negative somewhere: the result would be no distance.
    pub fn load(
        trunk: LpipsTrunk,
        weights: WeightSource,
        heads: WeightSource,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let weights = weights.without(&["classifier."]);
        let network = LpipsNetwork::new(trunk, &mut weights.rng(trunk.name()), device);
        let network = weights.load(network, &KeyMap::new(trunk.name()))?;
        let roots = heads::roots(trunk, heads, device)?;
        let roots = roots.into_iter().map(buffer).collect();
        Ok(Self { network, roots })
    }

    /// What distances are computed from: the feature vectors at every pixel of the five taps,
    /// scaled to length one, times the square roots of head and of the share of a pixel in the
    /// mean over the map.
    ///
    /// Costs one pass of the trunk, at 256 × 256 about 20 billion multiply-adds an image with VGG
    /// and 0.9 billion with AlexNet. The result takes 32 MB an image with VGG, 2.6 MB with
    /// AlexNet.
    ///
    /// # Shapes
    ///
    /// - `images`: `[N, 3, H, W]` in [-1, 1], H and W at least [`LpipsTrunk::min_size`]
    pub fn features(&self, images: Tensor<B, 4>) -> LpipsFeatures<B> {
        let device = images.device();
        let channels = |values| Tensor::<B, 1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
        let images = (images - channels(SHIFT)) / channels(SCALE);
        let taps = self.network.forward(images);
        let maps = taps.into_iter().zip(&self.roots).map(|(tap, root)| {
            let [_, _, height, width] = tap.dims();
            let share = 1.0 / ((height * width) as f64).sqrt();
            let norm = tap.clone().square().sum_dim(1).sqrt() + EPSILON;
            tap * norm.recip() * (root.val() * share)
        });
        LpipsFeatures::new(maps.collect())
    }

    /// LPIPS of image n of `a` and image n of `b`; images of one size.
    ///
    /// Costs one pass over the features; the distance is symmetric, and zero for equal images.
    ///
    /// # Shapes
    ///
    /// - output: `[N]`, not negative
    pub fn distance(&self, a: &LpipsFeatures<B>, b: &LpipsFeatures<B>) -> Tensor<B, 1> {
        a.distance(b)
    }

    /// Mean LPIPS over all K (K - 1) / 2 pairs of K images, which are the images of all batches in
    /// `samples` together: the diversity of the samples of one label map (notes M20). None where
    /// there are fewer than two.
    ///
    /// Costs two passes over the features, not one per pair.
    ///
    /// # Shapes
    ///
    /// - output: `[1]`, not negative
    pub fn pairwise(&self, samples: &[LpipsFeatures<B>]) -> Option<Tensor<B, 1>> {
        LpipsFeatures::pairwise(samples)
    }
}
