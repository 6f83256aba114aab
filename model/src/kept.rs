//! Numbers that training keeps in memory until its backward passes need them, counted from the
//! configurations of networks.
//!
//! Counted are the maps and weights that operations keep on [`dp_sims_backends::FlexAutodiff`]: inputs of convolutions,
//! outputs of normalisation and activations, all of a [`gelu`](crate::layers::gelu). Other backends keep
//! the same, but for a few operations that are one on some and several on others. Not counted are numbers per
//! channel, biases, and what is freed before the next operation.

mod backbone;
mod discriminator;
mod generator;

use std::ops::{Add, AddAssign};

pub use backbone::backbone;
pub use discriminator::discriminator;
pub use generator::generator;

/// Maps that a GELU keeps: its input, that over √2, and the distribution function of it.
const GELU: usize = 3;

/// What one forward pass keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kept {
    /// Numbers in maps, for one image.
    pub maps: f64,
    /// Numbers in weights as convolutions read them, cut up or divided by their norm, for any number of
    /// images.
    pub weights: f64,
}

impl Kept {
    /// Maps with `channels` channels in all and so many pixels.
    fn maps(channels: usize, pixels: f64) -> Self {
        Self {
            maps: channels as f64 * pixels,
            weights: 0.0,
        }
    }

    /// For a pass over so many images.
    pub fn of_images(self, images: usize) -> f64 {
        self.maps * images as f64 + self.weights
    }
}

impl Add for Kept {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            maps: self.maps + other.maps,
            weights: self.weights + other.weights,
        }
    }
}

impl AddAssign for Kept {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Pixels of a map of this stride.
fn pixels([height, width]: [usize; 2], stride: usize) -> f64 {
    (height * width) as f64 / (stride * stride) as f64
}
