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

/// What a segment of a network keeps, and what it makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeptSegment {
    /// What it keeps for its backward pass.
    pub kept: Kept,
    /// Numbers in its outputs, for one image.
    pub outputs: f64,
}

/// What the [segments](crate::segments) of a network keep, in their order; nothing for no network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptSegments(pub Vec<KeptSegment>);

impl KeptSegments {
    fn push(&mut self, kept: Kept, outputs: f64) {
        self.0.push(KeptSegment { kept, outputs });
    }

    /// What all of them keep together.
    pub fn all(&self) -> Kept {
        let mut all = Kept::default();
        for segment in &self.0 {
            all += segment.kept;
        }
        all
    }

    /// Numbers between the segments and behind them, for a pass over so many images: what is kept to compute them
    /// again.
    pub fn outputs(&self, images: usize) -> f64 {
        let outputs: f64 = self.0.iter().map(|segment| segment.outputs).sum();
        outputs * images as f64
    }

    /// Numbers at the peak of a backward pass in which segments are computed again one by one: the graph of one, its
    /// outputs and their gradients, the outputs of those before it, and gradients of the weights of those behind it
    /// where they take any.
    pub fn peak(&self, images: usize, trained: bool) -> f64 {
        let mut before = 0.0;
        let mut behind: f64 = self.0.iter().map(|segment| segment.kept.weights).sum();
        let mut peak: f64 = 0.0;
        for segment in &self.0 {
            behind -= segment.kept.weights;
            let gradients = if trained { behind } else { 0.0 };
            let outputs = segment.outputs * images as f64;
            let own = segment.kept.of_images(images) + 2.0 * outputs;
            peak = peak.max(before + own + gradients);
            before += outputs;
        }
        peak
    }
}

/// Pixels of a map of this stride.
fn pixels([height, width]: [usize; 2], stride: usize) -> f64 {
    (height * width) as f64 / (stride * stride) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_the_largest_graph_with_what_lies_before_and_behind_it() {
        let segment = |maps: f64, weights: f64, outputs: f64| KeptSegment {
            kept: Kept { maps, weights },
            outputs,
        };
        let segments = KeptSegments(vec![
            segment(5.0, 100.0, 2.0),
            segment(40.0, 30.0, 7.0),
            segment(50.0, 1.0, 9.0),
        ]);
        let (maps, weights) = (95.0, 131.0);
        assert_eq!(segments.all(), Kept { maps, weights });
        assert_eq!(segments.outputs(2), 36.0);
        // Of the first, the second and the third: 5 + 100 + 4 + 31, 2 + 40 + 30 + 14 + 1, 9 + 50 + 1 + 18.
        assert_eq!(segments.peak(1, true), 140.0);
        assert_eq!(segments.peak(1, false), 109.0);
        assert_eq!(segments.peak(10, false), 90.0 + 501.0 + 180.0);
    }
}
