use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::panels::PanelProduct;
use super::channels::{CHANNELS, Map, Transformation};
use super::points::{OfInputs, OfOutputs};
use super::tiles::{POINTS, Tiles};

/// Elements of the transformed tiles that a task works on at once: together with the sums, they
/// should stay in the second-level cache of a core.
const WORKING_SET: usize = 1 << 18;

/// Most tiles at once: more do not make the products faster, but the buffers larger.
const MOST_TILES: usize = 64;

/// What a task writes and reads again; kept for the next one.
#[derive(Default)]
pub(super) struct Buffers {
    /// Rows of pixels with their padding.
    lines: Vec<f32>,
    /// `[POINTS, panels, tiles, CHANNELS]`, as are the gradients
    inputs: Vec<f32>,
    gradients: Vec<f32>,
}

/// A task: the products of the transformed tiles of some output and input channels, summed over
/// some rows of tiles.
pub(super) struct Job<'a> {
    pub(super) tiles: Tiles,
    pub(super) inputs: Map<'a>,
    pub(super) gradients: Map<'a>,
    pub(super) input_channels: Range<usize>,
    pub(super) output_channels: Range<usize>,
    /// Rows of tiles, counted through the batch.
    pub(super) rows: Range<usize>,
    pub(super) buffers: &'a mut Buffers,
    /// `[POINTS, C_in / CHANNELS, C_out, CHANNELS]` of these channels
    pub(super) sums: &'a mut [f32],
}

impl WithSimd for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES == CHANNELS {
            self.run::<S, CHANNELS>(simd);
        } else {
            self.run::<S, { CHANNELS / 2 }>(simd);
        }
    }
}

impl Job<'_> {
    /// `L` numbers are computed side by side in the transforms.
    #[inline(always)]
    fn run<S: Simd, const L: usize>(self, simd: S) {
        let Buffers {
            lines,
            inputs,
            gradients,
        } = self.buffers;
        let in_panels = self.input_channels.len().div_ceil(CHANNELS);
        let out_panels = self.output_channels.len().div_ceil(CHANNELS);
        let per_tile = POINTS * (in_panels + out_panels) * CHANNELS;
        let most = (WORKING_SET / per_tile).min(MOST_TILES);
        let rows = (most / self.tiles.columns).max(1);
        // Equal steps.
        let rows = self.rows.len().div_ceil(self.rows.len().div_ceil(rows));
        for first in self.rows.clone().step_by(rows) {
            let rows = first..(first + rows).min(self.rows.end);
            let panel = rows.len() * self.tiles.columns * CHANNELS;
            // Runs of all points are written at once: off the distances that fall into few sets
            // of the cache.
            let in_distance = in_panels * panel + CHANNELS;
            let out_distance = out_panels * panel + CHANNELS;
            grow(inputs, POINTS * in_distance);
            grow(gradients, POINTS * out_distance);
            for (index, channels) in panels(&self.input_channels).enumerate() {
                Transformation {
                    map: self.inputs,
                    channels,
                    tiles: self.tiles,
                    rows: rows.clone(),
                    lines,
                    to: &mut inputs[index * panel..],
                    distance: in_distance,
                }
                .run::<OfInputs, 4, 6, L>();
            }
            for (index, channels) in panels(&self.output_channels).enumerate() {
                Transformation {
                    map: self.gradients,
                    channels,
                    tiles: self.tiles,
                    rows: rows.clone(),
                    lines,
                    to: &mut gradients[index * panel..],
                    distance: out_distance,
                }
                .run::<OfOutputs, 2, 4, L>();
            }
            let size = in_panels * self.output_channels.len() * CHANNELS;
            for (point, out) in self.sums.chunks_exact_mut(size).enumerate() {
                PanelProduct::<CHANNELS> {
                    left: &gradients[point * out_distance..],
                    left_distance: panel,
                    right: &inputs[point * in_distance..],
                    right_distance: panel,
                    inner: panel / CHANNELS,
                    rows: self.output_channels.len(),
                    out,
                    adds: first > self.rows.start,
                }
                .with_simd(simd);
            }
        }
    }
}

/// Makes a buffer at least so long.
#[inline(always)]
fn grow(buffer: &mut Vec<f32>, length: usize) {
    buffer.resize(buffer.len().max(length), 0.0);
}

/// The channels in runs of [`CHANNELS`].
#[inline(always)]
fn panels(channels: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = channels.end;
    let starts = channels.clone().step_by(CHANNELS);
    starts.map(move |start| start..(start + CHANNELS).min(end))
}
