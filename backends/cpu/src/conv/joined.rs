//! Convolutions of maps so small that the pixels of the whole batch are one matrix. The weight, which
//! is then the larger operand, is read once; by image it would be packed anew for each.

use std::borrow::Cow;

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::blank::Blank;
use super::geometry::Conv;
use super::product::{Matrix, set_product};
use super::{tensor, zeros};

/// Most output pixels of the batch.
const MOST: usize = 512;

/// Tasks per group of channels, a number that depends on the sizes alone.
const TASKS: usize = 8;

/// Fewest rows of a product that are worth a task of their own.
const FEWEST: usize = 24;

/// Whether the maps are that small.
pub(in super::super) fn joins(conv: &Conv) -> bool {
    conv.batch * conv.output_plane() <= MOST && conv.inputs.min(conv.outputs) > 1
}

/// The convolution as `weight · windows + bias` of the whole batch.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - `weight`: `[C_out, C_in / groups, K_h, K_w]`
/// - `bias`: `[C_out]`
/// - result: `[N, C_out, H_out, W_out]`
pub(in super::super) fn joined(
    conv: &Conv,
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
) -> FlexTensor {
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let (x, weight) = (x.storage::<f32>(), weight.storage::<f32>());
    let bias = bias.map(|bias| bias.to_contiguous());
    let bias = bias.as_ref().map(|bias| bias.storage::<f32>());
    let plane = conv.output_plane();
    let positions = conv.batch * plane;
    let inner = conv.inputs * conv.taps();
    let windows = windows(conv, x);
    let channels = conv.groups * conv.outputs;
    let mut out = Blank::new(channels * conv.batch * plane);
    let block = channels_of_task(conv.outputs, 1);
    let tasks = blocks(
        out.slots(),
        conv.batch,
        conv.groups,
        conv.outputs,
        block,
        plane,
    );
    tasks.into_par_iter().for_each(|task| {
        let (first, group) = (task.first, task.group);
        let count = task.count;
        let left = Matrix {
            values: &weight[first * inner..],
            row_stride: inner,
            column_stride: 1,
        };
        let right = Matrix {
            values: &windows[group * inner * positions..],
            row_stride: positions,
            column_stride: 1,
        };
        let product = product([count, inner, positions], left, right);
        for (image, planes) in task.planes.into_iter().enumerate() {
            for (row, to) in planes.chunks_exact_mut(plane).enumerate() {
                let from = &product[row * positions + image * plane..][..plane];
                let bias = bias.map_or(0.0, |bias| bias[first + row]);
                let pairs = to.iter_mut().zip(from);
                pairs.for_each(|(to, from)| _ = to.write(from + bias));
            }
        }
    });
    let (height, width) = (conv.rows.output, conv.columns.output);
    // SAFETY: the blocks are all planes of all images, and each task writes all of its own.
    let out = unsafe { out.filled() };
    tensor(out, [conv.batch, channels, height, width])
}

/// Gradient of the input as `weightᵀ · output_grad` of the whole batch, folded back.
///
/// # Shapes
/// - `weight`: `[C_out, C_in / groups, K_h, K_w]`
/// - `output_grad`: `[N, C_out, H_out, W_out]`
/// - result: `[N, C_in, H, W]`
pub(in super::super) fn joined_folded(
    conv: &Conv,
    weight: FlexTensor,
    output_grad: FlexTensor,
) -> FlexTensor {
    let (weight, output_grad) = (weight.to_contiguous(), output_grad.to_contiguous());
    let (weight, output_grad) = (weight.storage::<f32>(), output_grad.storage::<f32>());
    let positions = conv.batch * conv.output_plane();
    let grads = by_channel(output_grad, conv.batch, conv.output_plane());
    let (taps, row) = (conv.taps(), conv.inputs * conv.taps());
    let channels = conv.groups * conv.inputs;
    let plane = conv.input_plane();
    let mut gradient = zeros(conv.batch * channels * plane);
    let block = channels_of_task(conv.inputs, taps);
    let tasks = blocks(
        &mut gradient,
        conv.batch,
        conv.groups,
        conv.inputs,
        block,
        plane,
    );
    tasks.into_par_iter().for_each(|task| {
        let first_output = task.group * conv.outputs;
        let first = task.first - task.group * conv.inputs;
        let left = Matrix {
            values: &weight[first_output * row + first * taps..],
            row_stride: 1,
            column_stride: row,
        };
        let right = Matrix {
            values: &grads[first_output * positions..],
            row_stride: positions,
            column_stride: 1,
        };
        let sizes = [task.count * taps, conv.outputs, positions];
        let product = product(sizes, left, right);
        for (image, planes) in task.planes.into_iter().enumerate() {
            let from = image * conv.output_plane();
            conv.fold(&product, positions, from, 0..conv.rows.output, planes);
        }
    });
    tensor(
        gradient,
        [conv.batch, channels, conv.rows.input, conv.columns.input],
    )
}

/// A matrix product, shapes as in [`set_product`].
fn product(sizes: [usize; 3], left: Matrix, right: Matrix) -> Vec<f32> {
    let [rows, _, columns] = sizes;
    let mut out = Blank::new(rows * columns);
    set_product(out.slots(), sizes, left, right);
    // SAFETY: a product fills its output.
    unsafe { out.filled() }
}

/// Channels of a task, of each of which there are `rows` in the product.
fn channels_of_task(channels: usize, rows: usize) -> usize {
    let fewest = FEWEST.div_ceil(rows).next_multiple_of(4);
    channels.div_ceil(TASKS).next_multiple_of(4).max(fewest)
}

/// Some channels of all images.
struct Block<'a, T> {
    group: usize,
    /// The first channel, counted through the groups.
    first: usize,
    count: usize,
    /// These channels of every image.
    planes: Vec<&'a mut [T]>,
}

/// Cuts `[N, groups * channels, plane]` into blocks of at most `block` channels of a group.
fn blocks<T>(
    values: &mut [T],
    batch: usize,
    groups: usize,
    channels: usize,
    block: usize,
    plane: usize,
) -> Vec<Block<'_, T>> {
    let firsts = (0..groups).flat_map(|group| {
        (0..channels)
            .step_by(block)
            .map(move |first| (group, first))
    });
    let mut blocks: Vec<_> = firsts
        .map(|(group, first)| Block {
            group,
            first: group * channels + first,
            count: block.min(channels - first),
            planes: Vec::with_capacity(batch),
        })
        .collect();
    for image in values.chunks_exact_mut(groups * channels * plane) {
        let mut rest = image;
        for block in &mut blocks {
            let (own, others) = rest.split_at_mut(block.count * plane);
            rest = others;
            block.planes.push(own);
        }
    }
    blocks
}

/// Windows of all images, `[groups * inputs * taps, N * positions]`.
fn windows<'a>(conv: &Conv, x: &'a [f32]) -> Cow<'a, [f32]> {
    if conv.is_pointwise() {
        return by_channel(x, conv.batch, conv.input_plane());
    }
    let positions = conv.batch * conv.output_plane();
    let mut windows = zeros(conv.groups * conv.inputs * conv.taps() * positions);
    let channels = windows.par_chunks_exact_mut(conv.taps() * positions);
    channels.enumerate().for_each(|(channel, to)| {
        let rows = 0..conv.batch * conv.rows.output;
        conv.unfold(x, channel..channel + 1, rows, positions, to);
    });
    Cow::Owned(windows)
}

/// `[N, C, plane]` to `[C, N * plane]`.
fn by_channel(values: &[f32], batch: usize, plane: usize) -> Cow<'_, [f32]> {
    if batch == 1 {
        return Cow::Borrowed(values);
    }
    let channels = values.len() / (batch * plane);
    let mut out = zeros(values.len());
    let rows = out.par_chunks_exact_mut(batch * plane).enumerate();
    rows.for_each(|(channel, to)| {
        for (image, to) in to.chunks_exact_mut(plane).enumerate() {
            to.copy_from_slice(&values[(image * channels + channel) * plane..][..plane]);
        }
    });
    Cow::Owned(out)
}
