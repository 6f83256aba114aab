//! Multiply-adds and trained parameters of networks, counted from their configurations.
//!
//! Counted are convolutions, linear layers and the products inside attention: all but a few
//! percent of the arithmetic. Convolutions count by their definition, however they are computed. Not
//! counted are normalisation, activations, most resizing, the power iteration of spectral norm, losses, and label convolutions, which gather instead of multiplying
//! (see [`Convention`]). A multiply-add is two floating-point operations.

mod backbone;
mod discriminator;
mod generator;
mod statistics;
#[cfg(test)]
mod tests;

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::Serialize;

pub use backbone::backbone;
pub use discriminator::{DiscriminatorCost, discriminator};
pub use generator::{GeneratorCost, generator};
pub use statistics::{discriminator_statistics, generator_statistics};

use crate::layers::ConvConfig;
use crate::losses::ContrastiveConfig;

/// What counts as a multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// What this program executes.
    Executed,
    /// What published figures count: convolutions over one-hot label maps and over latents
    /// repeated over all pixels, 1×1 convolutions of shortcuts on the finer of their two sides,
    /// and SPADEs that read a resized map (notes G14, G20, D5).
    Published,
}

/// Cost of one forward pass over one image, and size, of a network or a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Multiply-adds.
    pub macs: u64,
    /// Weights and biases, without buffers.
    pub parameters: u64,
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            macs: self.macs + other.macs,
            parameters: self.parameters + other.parameters,
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}

/// Cost of the contrastive loss's projections for feature maps with these channels and sizes.
pub fn projector(config: &ContrastiveConfig, channels: &[usize], maps: &[[usize; 2]]) -> Cost {
    let scale = |(&channels, &[rows, columns]): (&usize, &[usize; 2])| {
        let positions = (config.negatives + 1).min(rows * columns);
        convolution(ConvConfig::new(channels, config.dim, 3), rows, columns)
            + linear(config.dim, config.dim, positions)
            + linear(config.dim, config.dim, positions)
    };
    channels.iter().zip(maps).map(scale).sum()
}

/// A convolution that leaves `rows` by `columns` pixels.
fn convolution(config: ConvConfig, rows: usize, columns: usize) -> Cost {
    let bias = if config.bias { config.channels_out } else { 0 };
    Cost {
        macs: config.macs(rows, columns),
        parameters: config.macs(1, 1) + bias as u64,
    }
}

/// A linear layer with bias, applied to `tokens` vectors.
fn linear(from: usize, to: usize, tokens: usize) -> Cost {
    convolution(ConvConfig::new(from, to, 1), 1, tokens)
}

/// Scores and weighted sum of single-head attention.
fn attention(queries: usize, keys: usize, channels: usize) -> Cost {
    Cost {
        macs: (2 * queries * keys * channels) as u64,
        parameters: 0,
    }
}

/// A 3×3 convolution over a label map of `pixels` pixels.
fn label_conv(
    [classes, offsets]: [usize; 2],
    channels: usize,
    pixels: usize,
    convention: Convention,
) -> Cost {
    let dense = convolution(ConvConfig::new(classes, channels, 3), 1, pixels);
    let labels = match convention {
        Convention::Executed => Cost { macs: 0, ..dense },
        Convention::Published => dense,
    };
    let offsets = ConvConfig::new(offsets, channels, 3).with_bias(false);
    labels + convolution(offsets, 1, pixels)
}

/// A 3×3 convolution without bias over a latent repeated over `pixels` pixels.
fn latent_conv(latent: usize, channels: usize, pixels: usize, convention: Convention) -> Cost {
    let computed = match convention {
        Convention::Executed => pixels.min(9),
        Convention::Published => pixels,
    };
    let config = ConvConfig::new(latent, channels, 3).with_bias(false);
    convolution(config, 1, computed)
}
