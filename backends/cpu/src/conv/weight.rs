use std::borrow::Cow;
use std::ops::Range;

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::geometry::Conv;
use super::input::mirror;
use super::product::{Matrix, add_product, dot};
use super::{tensor, winograd};

/// Columns of the weight gradient, `channels * K_h * K_w`, that one task computes.
const BLOCK: usize = 144;

/// Tasks wanted per convolution. The sum over positions is cut into as many parts as that takes,
/// a number that depends on the sizes alone.
const TASKS: usize = 16;

/// Output planes below this size are joined over the batch, so that the matrix products are long
/// enough; pixels.
const SMALL_PLANE: usize = 512;

/// Rows whose distance is a multiple of this fall into few cache sets, which makes the matrix
/// product more than twice as slow; elements.
const ALIAS: usize = 256;

/// Added to the distance of rows to keep it off the multiples of [`ALIAS`]; elements.
const PAD: usize = 16;

/// Gradient of the weight: `output_grad · windowsᵀ`, summed over batch and positions.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - `output_grad`: `[N, C_out, H_out, W_out]`
/// - result: `[C_out, C_in / groups, K_h, K_w]`
pub(in super::super) fn weight_gradient(
    conv: &Conv,
    x: FlexTensor,
    output_grad: FlexTensor,
) -> FlexTensor {
    let (x, output_grad) = (x.to_contiguous(), output_grad.to_contiguous());
    let (x, output_grad) = (x.storage::<f32>(), output_grad.storage::<f32>());
    let gradient = match conv.exchanged() {
        _ if conv.inputs == 1 => depthwise(conv, x, output_grad),
        _ if winograd::suits_gradient(conv) => winograd::gradient(conv, x, output_grad),
        Some(exchanged) if conv.taps() > 1 && conv.narrows() => mirror(
            &by_products(&exchanged, output_grad, x),
            [conv.groups, conv.inputs, conv.outputs, conv.taps()],
        ),
        _ => by_products(conv, x, output_grad),
    };
    let channels = conv.groups * conv.outputs;
    let (rows, columns) = (conv.rows.kernel, conv.columns.kernel);
    tensor(gradient, [channels, conv.inputs, rows, columns])
}

/// One input channel per group: every tap is a dot product of two planes.
fn depthwise(conv: &Conv, x: &[f32], output_grad: &[f32]) -> Vec<f32> {
    let channels = conv.groups * conv.outputs;
    let tap = |channel: usize, tap_row: usize, tap_column: usize| {
        let inside = conv.columns.inside(tap_column);
        let mut total = 0.0;
        for image in 0..conv.batch {
            let grads = &output_grad[(image * channels + channel) * conv.output_plane()..];
            let plane = &x[(image * conv.groups + channel / conv.outputs) * conv.input_plane()..]
                [..conv.input_plane()];
            for row in conv.rows.inside(tap_row) {
                if inside.is_empty() {
                    continue;
                }
                let grads = &grads[row * conv.columns.output..][inside.clone()];
                let read = &plane[conv.rows.read_at(row, tap_row) * conv.columns.input
                    + conv.columns.read_at(inside.start, tap_column)..];
                total += if conv.columns.stride == 1 {
                    dot(grads, &read[..grads.len()])
                } else {
                    let read = read.iter().step_by(conv.columns.stride);
                    grads.iter().zip(read).map(|(a, b)| a * b).sum()
                };
            }
        }
        total
    };
    (0..channels * conv.taps())
        .into_par_iter()
        .map(|index| {
            let (channel, index) = (index / conv.taps(), index % conv.taps());
            tap(
                channel,
                index / conv.columns.kernel,
                index % conv.columns.kernel,
            )
        })
        .collect()
}

/// The general case: per block of input channels, the output gradient times unfolded windows.
fn by_products(conv: &Conv, x: &[f32], output_grad: &[f32]) -> Vec<f32> {
    let grads = Grads::new(conv, output_grad);
    let tiles = grads.tiles(conv);
    let block = (BLOCK / conv.taps()).clamp(1, conv.inputs);
    let blocks: Vec<Range<usize>> = (0..conv.inputs)
        .step_by(block)
        .map(|first| first..(first + block).min(conv.inputs))
        .collect();
    let columns = conv.groups * blocks.len();
    let parts = TASKS.div_ceil(columns).min(tiles.len()).max(1);
    let per_part = tiles.len().div_ceil(parts).max(1);

    let jobs: Vec<_> = (0..conv.groups)
        .flat_map(|group| blocks.iter().map(move |block| (group, block.clone())))
        .flat_map(|(group, block)| {
            let parts = tiles.chunks(per_part);
            parts.map(move |tiles| (group, block.clone(), tiles))
        })
        .collect();
    let sums: Vec<Vec<f32>> = jobs
        .par_iter()
        .map(|(group, block, tiles)| part(conv, x, &grads, *group, block.clone(), tiles))
        .collect();

    let row = conv.inputs * conv.taps();
    let mut gradient = vec![0.0; conv.groups * conv.outputs * row];
    for ((group, block, _), sum) in jobs.iter().zip(&sums) {
        let width = block.len() * conv.taps();
        for (output, from) in sum.chunks_exact(width).enumerate() {
            let start = (group * conv.outputs + output) * row + block.start * conv.taps();
            let to = &mut gradient[start..start + width];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    }
    gradient
}

/// Weight gradient of one group and block of input channels, summed over some tiles.
///
/// Returns `[outputs, block * K_h * K_w]`.
fn part(
    conv: &Conv,
    x: &[f32],
    grads: &Grads,
    group: usize,
    block: Range<usize>,
    tiles: &[Range<usize>],
) -> Vec<f32> {
    let width = block.len() * conv.taps();
    let channels = group * conv.inputs + block.start..group * conv.inputs + block.end;
    let mut sum = vec![0.0; conv.outputs * width];
    let direct = conv.is_pointwise() && !grads.joined;
    let longest = tiles.iter().map(Range::len).max().unwrap_or(0);
    let pitch = longest * conv.columns.output + PAD;
    let mut buffer = vec![0.0; if direct { 0 } else { width * pitch }];
    for rows in tiles {
        let positions = rows.len() * conv.columns.output;
        let (values, column_stride) = if direct {
            let (image, row) = (rows.start / conv.rows.output, rows.start % conv.rows.output);
            let plane = image * conv.groups * conv.inputs + channels.start;
            let first = plane * conv.input_plane() + row * conv.columns.input;
            (&x[first..], conv.input_plane())
        } else {
            conv.unfold(x, channels.clone(), rows.clone(), pitch, &mut buffer);
            (buffer.as_slice(), pitch)
        };
        let windows = Matrix {
            values,
            row_stride: 1,
            column_stride,
        };
        let left = grads.matrix(conv, group, rows.start);
        add_product(&mut sum, [conv.outputs, positions, width], left, windows);
    }
    sum
}

/// The output gradient in a layout that suits the matrix products.
struct Grads<'a> {
    values: Cow<'a, [f32]>,
    /// `[C_out, N * H_out * W_out + PAD]` rather than `[N, C_out, H_out, W_out]`.
    joined: bool,
}

impl<'a> Grads<'a> {
    fn new(conv: &Conv, output_grad: &'a [f32]) -> Self {
        let plane = conv.output_plane();
        let small = conv.batch > 1 && plane < SMALL_PLANE;
        let joined = small || plane.is_multiple_of(ALIAS);
        if !joined {
            let values = Cow::Borrowed(output_grad);
            return Self { values, joined };
        }
        let channels = conv.groups * conv.outputs;
        let run = Self::run(conv);
        let mut values = vec![0.0; channels * run];
        values
            .par_chunks_exact_mut(run)
            .enumerate()
            .for_each(|(channel, values)| {
                for (image, values) in values.chunks_exact_mut(plane).take(conv.batch).enumerate() {
                    let from = (image * channels + channel) * plane;
                    values.copy_from_slice(&output_grad[from..from + plane]);
                }
            });
        let values = Cow::Owned(values);
        Self { values, joined }
    }

    /// Elements from one output channel to the next when joined.
    fn run(conv: &Conv) -> usize {
        conv.batch * conv.output_plane() + PAD
    }

    /// Runs of output rows, counted through the batch, that are contiguous in every channel.
    fn tiles(&self, conv: &Conv) -> Vec<Range<usize>> {
        let total = conv.batch * conv.rows.output;
        let run = if self.joined { total } else { conv.rows.output };
        let cut = |run: Range<usize>| {
            run.clone()
                .step_by(conv.tile_rows())
                .map(move |start| start..(start + conv.tile_rows()).min(run.end))
        };
        (0..total)
            .step_by(run.max(1))
            .flat_map(|start| cut(start..start + run))
            .collect()
    }

    /// `[outputs, positions]`: the output channels of a group from an output row on.
    fn matrix(&self, conv: &Conv, group: usize, row: usize) -> Matrix<'_> {
        let (width, plane) = (conv.columns.output, conv.output_plane());
        let (start, row_stride) = if self.joined {
            let run = Self::run(conv);
            (group * conv.outputs * run + row * width, run)
        } else {
            let (image, row) = (row / conv.rows.output, row % conv.rows.output);
            let channel = (image * conv.groups + group) * conv.outputs;
            (channel * plane + row * width, plane)
        };
        Matrix {
            values: &self.values[start..],
            row_stride,
            column_stride: 1,
        }
    }
}
