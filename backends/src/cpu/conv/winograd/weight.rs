use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::lanes::{LANES, Lanes};
use super::points::{Grid, INPUTS, OfInputs, OfOutputs, OfWeights, Points, TAPS, ToWeights, both};
use super::tiles::{Map, POINTS, Tiles};
use super::{at_point, inputs_of, longest_pitch, parts, pitch, transform};
use crate::cpu::conv::geometry::Conv;
use crate::cpu::conv::panels::ROWS;
use crate::cpu::conv::product::{Matrix, add_product};
use crate::cpu::conv::zeros;

/// Kernels `[C_out, C_in, 3, 3]` of a convolution.
#[derive(Clone, Copy)]
pub(in super::super::super) enum Kernels<'a> {
    /// As they are.
    Plain(&'a [f32]),
    /// Those of the convolution that this one undoes, `[C_in, C_out, 3, 3]`: the taps of each are
    /// read backwards.
    Mirrored(&'a [f32]),
}

impl Kernels<'_> {
    /// The taps from one input to `count` outputs, side by side.
    #[inline(always)]
    fn taps<const L: usize>(
        self,
        [outputs, inputs]: [usize; 2],
        first: usize,
        count: usize,
        input: usize,
    ) -> Grid<TAPS, TAPS, L> {
        let mut taps = [[0.0; L]; TAPS * TAPS];
        let (from, distance, is_mirrored) = match self {
            Self::Plain(values) => (&values[input * 9..], inputs * 9, false),
            Self::Mirrored(values) => (&values[input * outputs * 9..], 9, true),
        };
        for lane in 0..count {
            let kernel: &[f32; 9] = match from[(first + lane) * distance..].first_chunk() {
                Some(kernel) => kernel,
                None => &[0.0; 9],
            };
            for (tap, taps) in taps.iter_mut().enumerate() {
                taps[lane] = if is_mirrored {
                    kernel[8 - tap]
                } else {
                    kernel[tap]
                };
            }
        }
        let mut grid = [[Lanes::ZERO; TAPS]; TAPS];
        for (lanes, taps) in grid.iter_mut().flatten().zip(taps) {
            *lanes = Lanes(taps);
        }
        grid
    }
}

/// Transforms kernels: panels of output channels, `[C_out / ROWS, POINTS, C_in, ROWS]`.
pub(super) fn transformed_weight(kernels: Kernels, outputs: usize, inputs: usize) -> Vec<f32> {
    let panel = POINTS * inputs * ROWS;
    let mut values = zeros(outputs.div_ceil(ROWS) * panel);
    let panels = values.par_chunks_exact_mut(panel).enumerate();
    panels.for_each(|(panel, to)| {
        Arch::new().dispatch(There {
            kernels,
            sizes: [outputs, inputs],
            first: panel * ROWS,
            to,
        });
    });
    values
}

/// Transforms the kernels of one panel of output channels to `[POINTS, C_in, ROWS]`.
struct There<'a> {
    kernels: Kernels<'a>,
    /// Output and input channels.
    sizes: [usize; 2],
    /// The first output channel.
    first: usize,
    to: &'a mut [f32],
}

impl NullaryFnOnce for There<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let [outputs, inputs] = self.sizes;
        let count = ROWS.min(outputs - self.first);
        for input in 0..inputs {
            let taps = self
                .kernels
                .taps::<ROWS>(self.sizes, self.first, count, input);
            let points: Points<ROWS> = both::<OfWeights, _, _, _, _, _>(taps);
            for (point, lanes) in points.into_iter().flatten().enumerate() {
                lanes.store(&mut self.to[(point * inputs + input) * ROWS..]);
            }
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
            let taps: Grid<TAPS, TAPS> = both::<ToWeights, _, _, _, _, _>(points);
            for (lane, kernel) in kernels.chunks_exact_mut(TAPS * TAPS).enumerate() {
                for (tap, value) in kernel.iter_mut().enumerate() {
                    *value = taps[tap / TAPS][tap % TAPS].0[lane];
                }
            }
        }
    }
}
