use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::blank::slots;
use super::geometry::Conv;
use super::product::{Matrix, set_product};
use super::{tensor, zeros};

/// Rows of the matrix of unfolded windows that one task fills.
const BLOCK: usize = 144;

/// Gradient of the input as window gradients `weightᵀ · output_grad`, folded back, plus `bias`.
///
/// The bias is for the caller that computes a convolution as the input gradient of another.
///
/// # Shapes
/// - `weight`: `[C_out, C_in / groups, K_h, K_w]`
/// - `output_grad`: `[N, C_out, H_out, W_out]`
/// - `bias`: `[C_in]`
/// - result: `[N, C_in, H, W]`
pub(in super::super) fn folded(
    conv: &Conv,
    weight: FlexTensor,
    output_grad: FlexTensor,
    bias: Option<FlexTensor>,
) -> FlexTensor {
    let bias = bias.map(|bias| bias.to_contiguous());
    let bias = bias.as_ref().map(|bias| bias.storage::<f32>());
    let (weight, output_grad) = (weight.to_contiguous(), output_grad.to_contiguous());
    let (weight, output_grad) = (weight.storage::<f32>(), output_grad.storage::<f32>());
    let taps = conv.taps();
    let block = (BLOCK / taps).clamp(1, conv.inputs);
    let channels = conv.groups * conv.inputs;
    let mut gradient = zeros(conv.batch * channels * conv.input_plane());

    // Every task owns some channels of one image: nothing is shared, so neither does the order
    // of the additions depend on the threads.
    let mut tasks = Vec::new();
    let mut rest = gradient.as_mut_slice();
    for image in 0..conv.batch {
        for group in 0..conv.groups {
            for first in (0..conv.inputs).step_by(block) {
                let count = block.min(conv.inputs - first);
                let (own, others) = rest.split_at_mut(count * conv.input_plane());
                rest = others;
                tasks.push((image, group, first, count, own));
            }
        }
    }
    tasks
        .into_par_iter()
        .for_each(|(image, group, first, count, own)| {
            if let Some(bias) = bias {
                let planes = own.chunks_exact_mut(conv.input_plane());
                planes
                    .zip(&bias[group * conv.inputs + first..])
                    .for_each(|(plane, bias)| plane.fill(*bias));
            }
            let first_output = group * conv.outputs;
            let left = Matrix {
                values: &weight[(first_output * conv.inputs + first) * taps..],
                row_stride: 1,
                column_stride: conv.inputs * taps,
            };
            let plane = conv.output_plane();
            let grads = &output_grad[(image * conv.groups * conv.outputs + first_output) * plane..];
            let width = conv.columns.output;
            let mut buffer = vec![0.0; count * taps * conv.tile_rows() * width];
            for start in (0..conv.rows.output).step_by(conv.tile_rows()) {
                let end = (start + conv.tile_rows()).min(conv.rows.output);
                let positions = (end - start) * width;
                let right = Matrix {
                    values: &grads[start * width..],
                    row_stride: plane,
                    column_stride: 1,
                };
                let tile = &mut buffer[..count * taps * positions];
                let sizes = [count * taps, conv.outputs, positions];
                // SAFETY: a product writes numbers.
                let slots = unsafe { slots(tile) };
                set_product(slots, sizes, left, right);
                conv.fold(tile, positions, 0, start..end, own);
            }
        });
    let shape = [conv.batch, channels, conv.rows.input, conv.columns.input];
    tensor(gradient, shape)
}

/// Weight of the [exchanged](Conv::exchanged) convolution: input and
/// output channels exchanged within each group, both kernel axes reversed.
///
/// # Shapes
/// - `weight`: `[groups * outputs, inputs, K_h, K_w]`
/// - result: `[groups * inputs, outputs, K_h, K_w]`
pub(in super::super) fn mirror_weight(conv: &Conv, weight: FlexTensor) -> FlexTensor {
    let weight = weight.to_contiguous();
    let mirrored = mirror(
        weight.storage::<f32>(),
        [conv.groups, conv.outputs, conv.inputs, conv.taps()],
    );
    let (rows, columns) = (conv.rows.kernel, conv.columns.kernel);
    tensor(
        mirrored,
        [conv.groups * conv.inputs, conv.outputs, rows, columns],
    )
}

/// `[groups, a, b, taps] -> [groups, b, a, taps]` with the taps reversed.
pub(super) fn mirror(weight: &[f32], [groups, a, b, taps]: [usize; 4]) -> Vec<f32> {
    let mut mirrored = zeros(groups * a * b * taps);
    let rows = mirrored.par_chunks_exact_mut(a * taps).enumerate();
    rows.for_each(|(row, to)| {
        let (group, of_b) = (row / b, row % b);
        for (of_a, to) in to.chunks_exact_mut(taps).enumerate() {
            let kernel = &weight[((group * a + of_a) * b + of_b) * taps..][..taps];
            let reversed = kernel.iter().rev();
            to.iter_mut()
                .zip(reversed)
                .for_each(|(to, from)| *to = *from);
        }
    });
    mirrored
}
