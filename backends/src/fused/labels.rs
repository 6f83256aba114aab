use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use super::on_gpus;

/// Weight, bias and labels.
pub(crate) type Operands<B> = (Tensor<B, 4>, Tensor<B, 1>, Tensor<B, 3, Int>);

/// A 3x3 convolution over labels, equal to one over their one-hot form with zero padding.
///
/// With a kernel, which there is without a graph on GPUs alone, one pass. Composed, nine selections of
/// rows of the weight.
///
/// # Shapes
/// - weight: `[C, classes, 3, 3]`
/// - bias: `[C]`
/// - labels: `[N, H, W]`, each less than the number of classes
/// - output: `[N, C, H, W]`
pub fn convolve_labels<B: Backend>(
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    labels: Tensor<B, 3, Int>,
) -> Tensor<B, 4> {
    in_one_pass((weight, bias, labels)).unwrap_or_else(composed)
}

fn in_one_pass<B: Backend>(operands: Operands<B>) -> Result<Tensor<B, 4>, Operands<B>> {
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::labels::convolve::<Runtime, Bool>(own)
    });
    Err(operands)
}

fn composed<B: Backend>((weight, bias, labels): Operands<B>) -> Tensor<B, 4> {
    let [batch, height, width] = labels.dims();
    let [channels, classes, ..] = weight.dims();
    let device = labels.device();
    // One more "class" with zero weights stands for the padding around the map.
    let border = Tensor::zeros([channels, 1, 3, 3], &device);
    let rows = classes + 1;
    // Held until the table is in the graph: burn-autodiff 0.21 lets go of it before (decision 0017).
    let held = weight.clone();
    let table = Tensor::cat(vec![weight, border], 1)
        .permute([2, 3, 1, 0])
        .reshape([9 * rows, channels]);
    drop(held);
    let padded = Tensor::full([batch, height + 2, width + 2], classes as i64, &device)
        .slice_assign([0..batch, 1..height + 1, 1..width + 1], labels);
    let mut output = bias.unsqueeze::<2>();
    for tap in 0..9 {
        let (dy, dx) = (tap / 3, tap % 3);
        let shifted = padded
            .clone()
            .slice([0..batch, dy..dy + height, dx..dx + width]);
        let indices = shifted.reshape([batch * height * width]) + (tap * rows) as i64;
        output = output + table.clone().select(0, indices);
    }
    output
        .reshape([batch, height, width, channels])
        .permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;
    use burn::tensor::{ElementConversion, TensorData};

    use super::super::testing::{assert_close, backend_tests, is_gpu, numbers};
    use super::*;

    fn operands<B: Backend>(shape: [usize; 3], classes: usize) -> Operands<B> {
        let count = shape.iter().product::<usize>();
        let labels: Vec<_> = (0..count)
            .map(|at| (at * at / 3 % classes) as i32)
            .collect();
        let labels = Tensor::from_data(TensorData::new(labels, shape), &Default::default());
        (numbers([5, classes, 3, 3], 1), numbers([5], 2), labels)
    }

    fn agrees_with_the_composed_form<B: AutodiffBackend>() {
        for (shape, classes) in [([1, 1, 1], 1), ([2, 5, 7], 4), ([3, 16, 9], 13)] {
            let operands = || operands::<B::InnerBackend>(shape, classes);
            assert_eq!(in_one_pass(operands()).is_ok(), is_gpu::<B>());
            let (weight, bias, labels) = operands();
            let found = convolve_labels(weight, bias, labels);
            assert_close(found, composed(operands()), 0.0, "labels");
        }
    }

    fn a_graph_goes_on<B: AutodiffBackend>() {
        let (weight, bias, labels) = operands::<B>([2, 3, 4], 3);
        let weight = weight.require_grad();
        let output = convolve_labels(weight.clone(), bias, labels);
        let gradients = output.sum().backward();
        // A pixel is seen by the taps that lie on the map.
        let taps = 2 * (3 * 3 - 2) * (3 * 4 - 2) * 5;
        let gradient = weight.grad(&gradients).unwrap();
        assert!(largest_difference(gradient.sum(), taps as f32) < 1e-3);
    }

    fn largest_difference<B: Backend>(found: Tensor<B, 1>, expected: f32) -> f32 {
        (found - expected).abs().max().into_scalar().elem()
    }

    backend_tests!(agrees_with_the_composed_form, a_graph_goes_on);
}
