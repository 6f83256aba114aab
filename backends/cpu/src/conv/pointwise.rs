use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::blank::{self, Blank};
use super::geometry::Conv;
use super::product::{Matrix, add_product, set_product};
use super::tensor;

/// Tasks wanted per convolution, a number that depends on the sizes alone.
const TASKS: usize = 8;

/// Fewest rows of a product: each task packs the pixels anew.
const FEWEST: usize = 48;

/// Whether windows are single pixels, which are then read where they lie.
pub(in super::super) fn is_pointwise(conv: &Conv) -> bool {
    conv.is_pointwise() && conv.inputs.min(conv.outputs) > 1
}

/// The convolution with 1×1 windows as `weight · x + bias`, image by image.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - `weight`: `[C_out, C_in / groups, 1, 1]`
/// - `bias`: `[C_out]`
/// - result: `[N, C_out, H, W]`
pub(in super::super) fn pointwise(
    conv: &Conv,
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
) -> FlexTensor {
    let bias = bias.map(|bias| bias.to_contiguous());
    let bias = bias.as_ref().map(|bias| bias.storage::<f32>());
    products(conv, x, weight, bias, false)
}

/// Gradient of its input as `weightᵀ · output_grad`.
///
/// # Shapes
/// - `weight`: `[C_out, C_in / groups, 1, 1]`
/// - `output_grad`: `[N, C_out, H, W]`
/// - result: `[N, C_in, H, W]`
pub(in super::super) fn pointwise_input(
    conv: &Conv,
    weight: FlexTensor,
    output_grad: FlexTensor,
) -> FlexTensor {
    products(conv, output_grad, weight, None, true)
}

/// `weight · x`, or with the weight of each group transposed.
fn products(
    conv: &Conv,
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<&[f32]>,
    is_transposed: bool,
) -> FlexTensor {
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let (x, weight) = (x.storage::<f32>(), weight.storage::<f32>());
    let (inner, rows) = match is_transposed {
        false => (conv.inputs, conv.outputs),
        true => (conv.outputs, conv.inputs),
    };
    let plane = conv.input_plane();
    let channels = conv.groups * rows;
    let mut out = Blank::new(conv.batch * channels * plane);
    let parts = TASKS.div_ceil(conv.batch * conv.groups);
    let block = rows.div_ceil(parts).next_multiple_of(4).max(FEWEST);
    let groups = out.slots().chunks_exact_mut(rows * plane).enumerate();
    let tasks: Vec<_> = groups
        .flat_map(|(index, out)| {
            let blocks = out.chunks_mut(block * plane).enumerate();
            blocks.map(move |(part, out)| (index, part * block, out))
        })
        .collect();
    tasks.into_par_iter().for_each(|(index, first, out)| {
        let group = index % conv.groups;
        let own = &weight[group * conv.outputs * conv.inputs..];
        let left = match is_transposed {
            false => Matrix {
                values: &own[first * inner..],
                row_stride: inner,
                column_stride: 1,
            },
            true => Matrix {
                values: &own[first..],
                row_stride: 1,
                column_stride: rows,
            },
        };
        let right = Matrix {
            values: &x[index * inner * plane..],
            row_stride: plane,
            column_stride: 1,
        };
        let sizes = [out.len() / plane, inner, plane];
        let Some(bias) = bias else {
            set_product(out, sizes, left, right);
            return;
        };
        let planes = out.chunks_exact_mut(plane);
        let bias = &bias[group * rows + first..][..sizes[0]];
        planes
            .zip(bias)
            .for_each(|(plane, bias)| blank::fill(plane, *bias));
        // SAFETY: a task has whole planes, each of which was filled.
        let out = unsafe { blank::written(out) };
        add_product(out, sizes, left, right);
    });
    let (height, width) = (conv.rows.input, conv.columns.input);
    // SAFETY: the tasks are all planes of all images, and each fills its own.
    let out = unsafe { out.filled() };
    tensor(out, [conv.batch, channels, height, width])
}
