use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::lanes::{LANES, Lanes};
use super::points::{Grid, INPUTS, OfInputs, OfOutputs, OfWeights, Points, TAPS, ToWeights, both};
use super::tiles::{Map, POINTS, Tiles, store};
use super::{at_point, inputs_of, longest_pitch, parts, pitch, transform};
use crate::cpu::conv::geometry::Conv;
use crate::cpu::conv::product::{Matrix, add_product};
use crate::cpu::conv::zeros;

/// A weight at the points of the transform: `[C_out, POINTS, pitch]` of `C_in` numbers each.
pub(super) struct TransformedWeight {
    values: Vec<f32>,
    pitch: usize,
}

impl TransformedWeight {
    /// `[C_out, C_in]` at one point.
    pub(super) fn at(&self, point: usize) -> Matrix<'_> {
        at_point(&self.values, point, self.pitch)
    }
}

/// Transforms a weight `[C_out, C_in, 3, 3]`.
pub(super) fn transformed_weight(
    weight: &[f32],
    outputs: usize,
    inputs: usize,
) -> TransformedWeight {
    let pitch = pitch(inputs);
    let mut values = zeros(outputs * POINTS * pitch);
    let rows = values.par_chunks_exact_mut(POINTS * pitch);
    rows.zip(weight.par_chunks_exact(inputs * TAPS * TAPS))
        .for_each(|(to, from)| {
            Arch::new().dispatch(There { from, to, pitch });
        });
    TransformedWeight { values, pitch }
}

/// Transforms the kernels `[C_in, 3, 3]` of one output channel to `[POINTS, pitch]`.
struct There<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    pitch: usize,
}

impl NullaryFnOnce for There<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (index, kernels) in self.from.chunks(LANES * TAPS * TAPS).enumerate() {
            let mut taps: Grid<TAPS, TAPS> = [[Lanes::ZERO; TAPS]; TAPS];
            for (lane, kernel) in kernels.chunks_exact(TAPS * TAPS).enumerate() {
                for (tap, value) in kernel.iter().enumerate() {
                    taps[tap / TAPS][tap % TAPS].0[lane] = *value;
                }
            }
            let points: Points = both::<OfWeights, _, _, _, _>(taps);
            store(points, self.to, index * LANES, self.pitch);
        }
    }
}

/// Gradient of the weight, summed over batch and positions.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - `output_grad`: `[N, C_out, H_out, W_out]`
/// - result: `[C_out, C_in, 3, 3]`, without its shape
pub(in super::super) fn gradient(conv: &Conv, x: &[f32], output_grad: &[f32]) -> Vec<f32> {
    let tiles = Tiles::of(conv);
    let longest = longest_pitch(conv, tiles);
    let mut inputs = zeros(conv.inputs * POINTS * longest);
    let mut gradients = zeros(conv.outputs * POINTS * longest);
    let pairs = conv.outputs * conv.inputs;
    let mut sums = zeros(POINTS * pairs);
    let output_gradients = Map {
        values: output_grad,
        channels: conv.outputs,
        height: conv.rows.output,
        width: conv.columns.output,
        padding: [0; 2],
    };
    for rows in parts(conv, tiles) {
        let pitch = pitch(rows.len() * tiles.columns);
        let inputs = &mut inputs[..conv.inputs * POINTS * pitch];
        let gradients = &mut gradients[..conv.outputs * POINTS * pitch];
        transform::<OfInputs, 4, 6>(inputs_of(conv, x), tiles, &rows, inputs, pitch);
        transform::<OfOutputs, 2, 4>(output_gradients, tiles, &rows, gradients, pitch);
        let count = rows.len() * tiles.columns;
        sums.par_chunks_exact_mut(pairs)
            .enumerate()
            .for_each(|(point, sum)| {
                let windows = Matrix {
                    values: &inputs[point * pitch..],
                    row_stride: 1,
                    column_stride: POINTS * pitch,
                };
                let left = at_point(gradients, point, pitch);
                add_product(sum, [conv.outputs, count, conv.inputs], left, windows);
            });
    }
    let mut gradient = vec![0.0; pairs * TAPS * TAPS];
    gradient
        .par_chunks_exact_mut(conv.inputs * TAPS * TAPS)
        .enumerate()
        .for_each(|(output, to)| {
            Arch::new().dispatch(Back {
                from: &sums[output * conv.inputs..],
                distance: pairs,
                to,
            });
        });
    gradient
}

/// Gradients of the kernels of one output channel, `[C_in, 3, 3]`, from their values at the points.
struct Back<'a> {
    /// A run of `C_in` for each point, `distance` apart.
    from: &'a [f32],
    distance: usize,
    to: &'a mut [f32],
}

impl NullaryFnOnce for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (index, kernels) in self.to.chunks_mut(LANES * TAPS * TAPS).enumerate() {
            let count = kernels.len() / (TAPS * TAPS);
            let mut points: Points = [[Lanes::ZERO; INPUTS[1]]; INPUTS[0]];
            for (row, lanes) in points.iter_mut().enumerate() {
                for (column, lanes) in lanes.iter_mut().enumerate() {
                    let start = (row * INPUTS[1] + column) * self.distance + index * LANES;
                    lanes.0[..count].copy_from_slice(&self.from[start..][..count]);
                }
            }
            let taps: Grid<TAPS, TAPS> = both::<ToWeights, _, _, _, _>(points);
            for (lane, kernel) in kernels.chunks_exact_mut(TAPS * TAPS).enumerate() {
                for (tap, value) in kernel.iter_mut().enumerate() {
                    *value = taps[tap / TAPS][tap % TAPS].0[lane];
                }
            }
        }
    }
}
