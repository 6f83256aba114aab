use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig, resize_bilinear_corners};

/// Frozen random projections across channels and scales (CCM and CSM of Projected GAN;
/// notes D30 to D33), for two rows of Table 5.
///
/// Every level passes through a random 1×1 convolution. Then, from the coarsest level to the
/// finest: add the level, double the resolution, mix channels with another random 1×1 convolution.
/// Nothing in it is trained, but it is part of the state of the discriminator: a run cannot go on
/// with other projections.
#[derive(Module, Debug)]
pub struct Projections<B: Backend> {
    /// Across channels, fine to coarse.
    pub channels: Vec<Conv<B>>,
    /// Across scales, fine to coarse.
    pub scales: Vec<Conv<B>>,
}

/// Channels of level `level` after the projection across channels.
fn width(base: usize, level: usize) -> usize {
    base << level
}

/// Channels of the projected features, fine to coarse: each level has half of its channels, but
/// the finest keeps all (notes D31, D32).
pub(super) fn outputs(base: usize, levels: usize) -> Vec<usize> {
    (0..levels)
        .map(|level| width(base, level.max(1) - 1))
        .collect()
}

impl<B: Backend> Projections<B> {
    /// Projections of levels with these channels, fine to coarse.
    pub fn new(base: usize, channels: &[usize], rng: &mut InitRng, device: &B::Device) -> Self {
        let across_channels = channels
            .iter()
            .enumerate()
            .map(|(level, &from)| frozen(from, width(base, level), rng, device))
            .collect();
        let across_scales = outputs(base, channels.len())
            .into_iter()
            .enumerate()
            .map(|(level, to)| frozen(width(base, level), to, rng, device))
            .collect();
        Self {
            channels: across_channels,
            scales: across_scales,
        }
    }

    /// Projects the features of all levels.
    ///
    /// # Shapes
    /// - features: `[N, C_l, H_l, W_l]`, fine to coarse, each level half the size of the one before
    /// - output: `[N, outputs, 2 H_l, 2 W_l]`, fine to coarse
    pub fn forward(&self, features: Vec<Tensor<B, 4>>) -> Vec<Tensor<B, 4>> {
        let mut projected = Vec::with_capacity(features.len());
        let levels = features.into_iter().zip(&self.channels).zip(&self.scales);
        for ((level, across_channels), across_scales) in levels.rev() {
            let mut mixed = across_channels.forward(level);
            if let Some(coarser) = projected.last() {
                mixed = mixed + Tensor::clone(coarser);
            }
            // The convolution runs before the resize: the same function at a quarter of the cost,
            // since both are linear and the weights of the resize sum to one.
            let mixed = across_scales.forward(mixed);
            let [_, _, height, width] = mixed.dims();
            projected.push(resize_bilinear_corners(mixed, 2 * height, 2 * width));
        }
        projected.reverse();
        projected
    }
}

/// A 1×1 convolution that is never trained, with PyTorch's default initialisation (notes D33).
fn frozen<B: Backend>(from: usize, to: usize, rng: &mut InitRng, device: &B::Device) -> Conv<B> {
    ConvConfig::new(from, to, 1)
        .init_torch(rng, device)
        .no_grad()
}
