//! 3×3 convolutions of stride 1 by the minimal filtering of Winograd, F(2×4, 3×3) (Lavin and Gray,
//! "Fast Algorithms for Convolutional Neural Networks", 2016): a tile of two by four outputs takes 24
//! products per pair of channels, where the definition takes 72.
//!
//! Inputs are transformed tile by tile to 24 points; at each point, the products over channels are
//! one matrix product; the result is transformed back. Rounding errors are those of the definition.

mod band;
mod channels;
mod forward;
mod kernels;
mod lanes;
mod points;
mod sums;
mod tiles;
mod weight;

use self::tiles::Tiles;
use super::geometry::Conv;

pub(in super::super) use self::forward::filtered;
pub(in super::super) use self::kernels::Kernels;
pub(super) use self::weight::gradient;

/// Fewest channels on either side for which the matrix products outweigh the transforms.
const FEWEST_CHANNELS: usize = 16;

/// Fewest tiles for which the products saved outweigh the transform of the weight.
const FEWEST_TILES: usize = 48;

/// Whether a convolution is computed this way.
pub(in super::super) fn suits(conv: &Conv) -> bool {
    let axes = [conv.rows, conv.columns];
    let is_3x3 = axes
        .iter()
        .all(|axis| (axis.kernel, axis.stride, axis.dilation) == (3, 1, 1) && axis.padding <= 2);
    is_3x3
        && conv.groups == 1
        && conv.inputs.min(conv.outputs) >= FEWEST_CHANNELS
        && Tiles::of(conv).count() >= FEWEST_TILES
}
