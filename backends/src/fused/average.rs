use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

#[cfg(feature = "flex")]
use super::attempt;
use super::on_gpus;
#[cfg(feature = "flex")]
use crate::cpu::fused::average as kernels;

/// `decay · average + (1 − decay) · current`, of tensors of one shape.
///
/// With a kernel, which there is without a graph alone, one pass, in place where nobody else holds the
/// average.
pub fn moving_average<B: Backend, const D: usize>(
    average: Tensor<B, D>,
    current: Tensor<B, D>,
    decay: f64,
) -> Tensor<B, D> {
    in_one_pass(average, current, decay)
        .unwrap_or_else(|(average, current)| composed(average, current, decay))
}

fn in_one_pass<B: Backend, const D: usize>(
    average: Tensor<B, D>,
    current: Tensor<B, D>,
    decay: f64,
) -> Result<Tensor<B, D>, (Tensor<B, D>, Tensor<B, D>)> {
    let operands = (average, current);
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, |both| kernels::moving_average::<D>(both, decay)) {
        Err(operands) => operands,
        average => return average,
    };
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::average::moving_average::<Runtime, Bool, D>(own, decay)
    });
    let _ = decay;
    Err(operands)
}

fn composed<B: Backend, const D: usize>(
    average: Tensor<B, D>,
    current: Tensor<B, D>,
    decay: f64,
) -> Tensor<B, D> {
    average * decay + current * (1.0 - decay)
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::{assert_close, backend_tests, has_kernels, is_gpu, numbers};
    use super::*;

    const DECAY: f64 = 0.9999;

    fn agrees_with_the_composed_form<B: AutodiffBackend>() {
        for shape in [[1, 1, 1], [3, 5, 7], [40, 30, 33]] {
            let operands = || [0, 1].map(|offset| numbers::<B::InnerBackend, 3>(shape, offset));
            let [average, current] = operands();
            let expected = composed(average, current, DECAY);
            let [average, current] = operands();
            let (held, before) = (average.clone(), average.to_data());
            let found = moving_average(average, current, DECAY);
            assert_close(found, expected.clone(), 0.0, "shared");
            assert_eq!(held.to_data(), before);
            let [average, current] = operands();
            let found = moving_average(average, current.clone(), DECAY);
            assert_close(found, expected, 0.0, "in place");
            let own = moving_average(current.clone(), current.clone(), DECAY);
            assert_close(
                own,
                composed(current.clone(), current, DECAY),
                0.0,
                "itself",
            );
        }
    }

    fn takes_the_kernel<B: AutodiffBackend>() {
        let taken = |current: Tensor<B::InnerBackend, 3>| {
            in_one_pass(numbers(current.dims(), 0), current, DECAY).is_ok()
        };
        assert_eq!(
            taken(numbers([3, 5, 7], 1)),
            has_kernels::<B>() || is_gpu::<B>()
        );
        let swapped = numbers([3, 5, 7], 1).swap_dims(0, 2);
        assert_eq!(taken(swapped), is_gpu::<B>());
    }

    backend_tests!(agrees_with_the_composed_form, takes_the_kernel);
}
