//! Multiply-adds and trained parameters of networks, counted from their configurations.
//!
//! Counted are convolutions, linear layers and the products inside attention: all but a few
//! percent of the arithmetic. Not counted are normalisation, activations, resizing, the power
//! iteration of spectral norm, losses, and label convolutions, which gather instead of multiplying
//! (a dense convolution over one-hot maps, as the figures of facts G20 have it, is not executed
//! here). A multiply-add is two floating-point operations.

mod backbone;
#[cfg(test)]
mod tests;

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::Serialize;

pub use backbone::backbone;

use crate::discriminator::DiscriminatorConfig;
use crate::generator::{GeneratorConfig, NoiseMode};
use crate::layers::ConvConfig;
use crate::losses::ContrastiveConfig;

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

/// Cost of a generator by part. Each is that of one image under one latent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GeneratorCost {
    /// What depends on the label map alone and runs once however many latents it is given: label
    /// convolutions and the encoder up to its first attention to the noise.
    pub labels: Cost,
    /// Mapping network, noise convolutions, and the encoder from its first attention on.
    pub noise: Cost,
    /// SPADE blocks from the start grid to full resolution.
    pub blocks: Vec<Cost>,
    /// Convolution to RGB.
    pub to_image: Cost,
}

impl GeneratorCost {
    /// The whole generator.
    pub fn total(&self) -> Cost {
        self.labels + self.features() + self.to_image
    }

    /// What runs again for every further latent of a label map to get features.
    pub fn features(&self) -> Cost {
        self.noise + self.blocks.iter().copied().sum()
    }
}

/// Cost of the generator for label maps of `classes` classes and `height` by `width` pixels, which
/// the configuration must accept ([`GeneratorConfig::validate`]).
pub fn generator(
    config: &GeneratorConfig,
    classes: usize,
    height: usize,
    width: usize,
) -> GeneratorCost {
    let widths = config.widths();
    let (rows, columns) = (
        height / config.start_stride(),
        width / config.start_stride(),
    );
    let (mut labels, mut noise) = encoder(config, classes, height, width);
    labels += label_conv(classes, widths[0]);
    if config.noise == NoiseMode::Concat {
        let conv = ConvConfig::new(config.latent_dim, widths[0], 3).with_bias(false);
        noise += convolution(conv, rows, columns);
    } else {
        let hidden = config.mapping_width;
        noise += linear(config.latent_dim, hidden, 1)
            + linear(hidden, hidden, 1)
            + linear(hidden, config.tokens * config.token_dim, 1);
    }
    let channels = &config.encoder_channels;
    let blocks = (0..config.blocks())
        .map(|index| {
            let condition = channels[config.blocks()] + channels[config.blocks() - index];
            let shape = [widths[index], widths[index + 1], condition];
            spade_block(shape, rows << index, columns << index)
        })
        .collect();
    let to_image = convolution(
        ConvConfig::new(widths[config.blocks()], 3, 3),
        height,
        width,
    );
    GeneratorCost {
        labels,
        noise,
        blocks,
        to_image,
    }
}

/// Cost of the encoder: before the noise enters, and from there on.
fn encoder(config: &GeneratorConfig, classes: usize, height: usize, width: usize) -> (Cost, Cost) {
    let channels = &config.encoder_channels;
    let mut labels = label_conv(classes, channels[0]);
    let mut noise = Cost::default();
    let mut noisy = config.noise == NoiseMode::Concat;
    if noisy {
        let conv = ConvConfig::new(config.latent_dim, channels[0], 3).with_bias(false);
        noise += convolution(conv, height, width);
    }
    let affine = |channels: usize| Cost {
        macs: 0,
        parameters: 2 * channels as u64,
    };
    labels += affine(channels[0]);
    for (level, pair) in channels.windows(2).enumerate() {
        let stride = 1 << level;
        let (rows, columns) = (height / stride, width / stride);
        let (channels, pixels) = (pair[1], rows * columns);
        let attends = stride >= config.attention_stride;
        let conv = convolution(ConvConfig::new(pair[0], channels, 3), rows, columns);
        *if noisy { &mut noise } else { &mut labels } += conv + affine(channels);
        if attends && config.noise == NoiseMode::CrossAttention {
            noisy = true;
            noise += linear(channels, channels, pixels)
                + linear(config.token_dim, channels, config.tokens)
                + linear(config.token_dim, channels, config.tokens)
                + attention(pixels, config.tokens, channels)
                + Cost {
                    macs: 0,
                    parameters: 1,
                };
        }
        let mut rest = convolution(ConvConfig::new(channels, channels, 1), rows, columns);
        if attends && config.self_attention {
            rest += (0..4)
                .map(|_| linear(channels, channels, pixels))
                .sum::<Cost>()
                + attention(pixels, pixels, channels);
        }
        *if noisy { &mut noise } else { &mut labels } += rest;
    }
    (labels, noise)
}

fn spade_block([from, to, condition]: [usize; 3], rows: usize, columns: usize) -> Cost {
    let middle = from.min(to);
    let spade = |channels| convolution(ConvConfig::new(condition, 2 * channels, 3), rows, columns);
    let mut cost = spade(from)
        + convolution(ConvConfig::new(from, middle, 3), rows, columns)
        + spade(middle)
        + convolution(ConvConfig::new(middle, to, 3), rows, columns);
    if from != to {
        let shortcut = ConvConfig::new(from, to, 1).with_bias(false);
        cost += spade(from) + convolution(shortcut, rows, columns);
    }
    cost
}

/// Cost of the trained part of a discriminator. Its backbone is counted by [`backbone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiscriminatorCost {
    /// Convolutions that read nothing but the image or the backbone's features: when the
    /// discriminator is trained, no gradient has to reach their input.
    pub inputs: Cost,
    /// Every other convolution.
    pub inner: Cost,
}

impl DiscriminatorCost {
    /// The whole trained part.
    pub fn total(&self) -> Cost {
        self.inputs + self.inner
    }
}

/// Cost of the discriminator over features with these channels and strides, fine to coarse, which
/// the configuration must accept ([`DiscriminatorConfig::validate`]), for images of `height` by
/// `width` pixels, multiples of the coarsest stride.
pub fn discriminator(
    config: &DiscriminatorConfig,
    channels: &[usize],
    strides: &[usize],
    classes: usize,
    height: usize,
    width: usize,
) -> DiscriminatorCost {
    let (mut inputs, mut inner) = (Cost::default(), Cost::default());
    let blocks = config.decoder_channels.len();
    let mut decoded = 0;
    for (index, &to) in config.decoder_channels.iter().enumerate() {
        let stride = 1 << (blocks - index);
        let skip = strides
            .iter()
            .zip(channels)
            .find(|(s, _)| **s == stride)
            .map_or(0, |(_, c)| *c);
        let coarse = (height / stride, width / stride);
        let (entry, exit) = residual(skip + decoded, to, coarse, (2 * coarse.0, 2 * coarse.1));
        *if index == 0 { &mut inputs } else { &mut inner } += entry;
        inner += exit;
        decoded = to;
    }
    let full = config.full_resolution_channels;
    for index in 0..config.full_resolution_blocks {
        let from = if index == 0 { 3 } else { full };
        let (entry, exit) = residual(from, full, (height, width), (height, width));
        *if index == 0 { &mut inputs } else { &mut inner } += entry;
        inner += exit;
    }
    inner += convolution(
        ConvConfig::new(decoded + full, classes + 1, 1),
        height,
        width,
    );
    DiscriminatorCost { inputs, inner }
}

/// A residual block of the discriminator: what reads its input (first convolution and shortcut,
/// the latter at the input's size), and the second convolution.
fn residual(
    from: usize,
    to: usize,
    (rows, columns): (usize, usize),
    (height, width): (usize, usize),
) -> (Cost, Cost) {
    let mut entry = convolution(ConvConfig::new(from, to, 3), height, width);
    if from != to {
        entry += convolution(ConvConfig::new(from, to, 1), rows, columns);
    }
    (
        entry,
        convolution(ConvConfig::new(to, to, 3), height, width),
    )
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

/// A convolution over a label map: weights, but no multiplication.
fn label_conv(classes: usize, channels: usize) -> Cost {
    Cost {
        macs: 0,
        parameters: (9 * classes * channels + channels) as u64,
    }
}
