//! 3×3 convolutions of stride 1 by the minimal filtering of Winograd, F(2×4, 3×3) (Lavin and Gray,
//! "Fast Algorithms for Convolutional Neural Networks", 2016): a tile of two by four outputs takes 24
//! products per pair of channels, where the definition takes 72.
//!
//! Inputs are transformed tile by tile to 24 points; at each point, the products over channels are
//! one matrix product; the result is transformed back. Rounding errors are those of the definition.

mod band;
mod forward;
mod lanes;
mod points;
mod tiles;
mod weight;

use std::marker::PhantomData;
use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use self::lanes::LANES;
use self::points::{INPUTS, Transform};
use self::tiles::{Map, POINTS, Tiles, Transformation};
use super::geometry::Conv;
use super::product::Matrix;

pub(in super::super) use self::forward::filtered;
pub(in super::super) use self::weight::Kernels;
pub(super) use self::weight::gradient;

/// Fewest channels on either side for which the matrix products outweigh the transforms.
const FEWEST_CHANNELS: usize = 16;

/// Fewest tiles for which the products saved outweigh the transform of the weight.
const FEWEST_TILES: usize = 48;

/// Elements of the transformed tiles that are worked on at once: they should stay in the
/// last-level cache.
const WORKING_SET: usize = 1 << 21;

/// Fewest tiles at once, so that the matrix products run at full speed.
const SHORTEST: usize = 64;

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

/// Distance of runs of `length` elements: room for lanes behind the last one, and off the multiples
/// that fall into few cache sets when the runs of all points lie between rows of a matrix.
fn pitch(length: usize) -> usize {
    let pitch = length.next_multiple_of(LANES) + LANES;
    if pitch.is_multiple_of(32) {
        pitch + LANES
    } else {
        pitch
    }
}

/// Rows of tiles that are worked on at once, counted through the batch.
fn parts(conv: &Conv, tiles: Tiles) -> impl Iterator<Item = Range<usize>> {
    let per_tile = POINTS * (conv.inputs + conv.outputs);
    let most = (WORKING_SET / per_tile).max(SHORTEST);
    let rows = (most / tiles.columns).max(1);
    (0..tiles.all_rows)
        .step_by(rows)
        .map(move |start| start..(start + rows).min(tiles.all_rows))
}

/// The longest [`pitch`] of all parts.
fn longest_pitch(conv: &Conv, tiles: Tiles) -> usize {
    let pitches = parts(conv, tiles).map(|rows| pitch(rows.len() * tiles.columns));
    pitches.max().unwrap_or(0)
}

/// The input of a convolution as a map.
fn inputs_of<'a>(conv: &Conv, x: &'a [f32]) -> Map<'a> {
    Map {
        values: x,
        channels: conv.inputs,
        height: conv.rows.input,
        width: conv.columns.input,
        padding: [conv.rows.padding, conv.columns.padding],
    }
}

/// Transforms all channels of a map at some rows of tiles: `[channels, POINTS, pitch]`.
fn transform<T, const R: usize, const C: usize>(
    map: Map,
    tiles: Tiles,
    rows: &Range<usize>,
    to: &mut [f32],
    pitch: usize,
) where
    T: Transform<R, { INPUTS[0] }> + Transform<C, { INPUTS[1] }>,
{
    let channels = to.par_chunks_exact_mut(POINTS * pitch).enumerate();
    channels.for_each(|(channel, to)| {
        Arch::new().dispatch(Transformation::<T, R, C> {
            map,
            channel,
            tiles,
            rows: rows.clone(),
            to,
            pitch,
            transform: PhantomData,
        });
    });
}

/// The transformed tiles of all channels at one point: `[channels, tiles]`.
fn at_point(values: &[f32], point: usize, pitch: usize) -> Matrix<'_> {
    Matrix {
        values: &values[point * pitch..],
        row_stride: POINTS * pitch,
        column_stride: 1,
    }
}
