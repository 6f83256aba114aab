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

/// The same for the gradient of the weight, of which neither way reads a weight or writes a map.
///
/// Sums of products that are all zero are zero by the definition alone; here rounding is left over, and
/// the first step of Adam, which is as long for small gradients, moves a weight by it that otherwise
/// rests. Layers of fewer channels, such as those of the comparison with PyTorch, keep to the definition.
const FEWEST_CHANNELS_OF_GRADIENT: usize = 16;
const FEWEST_TILES_OF_GRADIENT: usize = 12;

/// Whether a convolution is computed this way.
pub(in super::super) fn suits(conv: &Conv) -> bool {
    is_plain(conv) && is_large(conv, FEWEST_CHANNELS, FEWEST_TILES)
}

/// Whether the gradient of its weight is computed this way.
pub(super) fn suits_gradient(conv: &Conv) -> bool {
    is_plain(conv) && is_large(conv, FEWEST_CHANNELS_OF_GRADIENT, FEWEST_TILES_OF_GRADIENT)
}

fn is_plain(conv: &Conv) -> bool {
    let axes = [conv.rows, conv.columns];
    let is_3x3 = axes
        .iter()
        .all(|axis| (axis.kernel, axis.stride, axis.dilation) == (3, 1, 1) && axis.padding <= 2);
    is_3x3 && conv.groups == 1
}

fn is_large(conv: &Conv, channels: usize, tiles: usize) -> bool {
    conv.inputs.min(conv.outputs) >= channels && Tiles::of(conv).count() >= tiles
}
