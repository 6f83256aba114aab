use burn_backend::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::product::sum;
use super::tensor;

/// Gradient of the bias: the sum of the output gradient over batch and space.
///
/// # Shapes
/// - `output_grad`: `[N, C_out, H_out, W_out]`
/// - result: `[C_out]`
pub(in super::super) fn bias_gradient(output_grad: FlexTensor) -> FlexTensor {
    let output_grad = output_grad.to_contiguous();
    let [batch, channels, height, width] = output_grad.shape().dims();
    let values = output_grad.storage::<f32>();
    let plane = height * width;
    let of_channel = |channel: usize| {
        (0..batch)
            .map(|image| sum(&values[(image * channels + channel) * plane..][..plane]))
            .sum()
    };
    let gradient = (0..channels).into_par_iter().map(of_channel).collect();
    tensor(gradient, [channels])
}
