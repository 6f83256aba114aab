#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
#[cfg(feature = "flex")]
use dp_sims_cpu::fused::average as kernels;

use super::on_gpus;
#[cfg(feature = "flex")]
use crate::attempt::attempt;

type Pair<B, const D: usize> = (Tensor<B, D>, Tensor<B, D>);

/// `decay · average + (1 − decay) · current`, of tensors of one shape.
///
/// With a kernel, which there is for tensors without a part in a graph, one pass, in place where nobody
/// else holds the average.
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
) -> Result<Tensor<B, D>, Pair<B, D>> {
    let operands = (average, current);
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, |both| kernels::moving_average::<D>(both, decay)) {
        Err(operands) => operands,
        average => return average,
    };
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, |both| {
        without_graph(both, |both| kernels::moving_average::<D>(both, decay))
    }) {
        Err(operands) => operands,
        average => return average,
    };
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::average::moving_average::<Runtime, Bool, D>(own, decay)
    });
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        without_graph(own, |own| {
            crate::gpu::fused::average::moving_average::<Runtime, Bool, D>(own, decay)
        })
    });
    let _ = decay;
    Err(operands)
}

/// Operands on a backend with a graph, in which they have no part.
#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
fn without_graph<I: Backend, const D: usize>(
    (average, current): Pair<Autodiff<I>, D>,
    kernel: impl FnOnce(Pair<I, D>) -> Result<Tensor<I, D>, Pair<I, D>>,
) -> Result<Tensor<Autodiff<I>, D>, Pair<Autodiff<I>, D>> {
    let is_tracked = |tensor: &Tensor<Autodiff<I>, D>| {
        let primitive = tensor.clone().into_primitive();
        primitive.tensor().is_tracked()
    };
    if is_tracked(&average) || is_tracked(&current) {
        return Err((average, current));
    }
    match kernel((average.inner(), current.inner())) {
        Ok(output) => Ok(Tensor::from_inner(output)),
        Err((average, current)) => Err((Tensor::from_inner(average), Tensor::from_inner(current))),
    }
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

    fn a_graph_is_passed_by_but_not_cut<B: AutodiffBackend>() {
        let shape = [3, 5, 7];
        let operands = || [0, 1].map(|offset| numbers::<B, 3>(shape, offset));
        let [average, current] = operands();
        let found = in_one_pass(average, current, DECAY);
        assert_eq!(found.is_ok(), has_kernels::<B>() || is_gpu::<B>());
        let [average, current] = operands();
        let expected = composed(average.clone(), current.clone(), DECAY);
        let found = moving_average(average, current, DECAY);
        assert_close(found.inner(), expected.inner(), 0.0, "without a graph");
        let [average, current] = operands();
        let current = current.require_grad();
        let found = moving_average(average, current.clone(), DECAY);
        let gradients = found.sum().backward();
        let gradient = current.grad(&gradients).unwrap();
        let expected = gradient.ones_like() * (1.0 - DECAY);
        assert_close(gradient, expected, 1e-6, "gradient");
    }

    backend_tests!(
        agrees_with_the_composed_form,
        takes_the_kernel,
        a_graph_is_passed_by_but_not_cut
    );
}
