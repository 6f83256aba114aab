use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};
#[cfg(feature = "flex")]
use dp_sims_cpu::fused::activation as kernels;

use super::on_gpus;
#[cfg(feature = "flex")]
use crate::attempt::attempt;

/// Leaky ReLU: negative elements are multiplied by `slope`.
///
/// With a kernel, one pass forward, in place where nobody else holds the input, and one backward; the
/// graph keeps the output alone.
pub fn leaky_relu<B: Backend, const D: usize>(input: Tensor<B, D>, slope: f64) -> Tensor<B, D> {
    in_one_pass(input, slope).unwrap_or_else(|input| activation::leaky_relu(input, slope))
}

fn in_one_pass<B: Backend, const D: usize>(
    input: Tensor<B, D>,
    slope: f64,
) -> Result<Tensor<B, D>, Tensor<B, D>> {
    #[cfg(feature = "flex")]
    let input = match attempt(input, |input| kernels::plain::<D>(input, slope)) {
        Err(input) => match attempt(input, |input| kernels::tracked::<D>(input, slope)) {
            Err(input) => input,
            output => return output,
        },
        output => return output,
    };
    let input = on_gpus!(input, Runtime, Bool, |own| {
        crate::gpu::fused::activation::plain::<Runtime, Bool, D>(own, slope)
    });
    let input = on_gpus!(input, Runtime, Bool, |own| {
        crate::gpu::fused::activation::tracked::<Runtime, Bool, D>(own, slope)
    });
    let _ = slope;
    Err(input)
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::{assert_close, backend_tests, has_kernels, is_gpu, numbers};
    use super::*;

    const SLOPE: f64 = 0.2;

    /// Value and gradient of both forms; the input is used a second time in the graph.
    fn agrees_on<B: AutodiffBackend, const D: usize>(make: impl Fn() -> Tensor<B, D>) {
        let run = |form: fn(Tensor<B, D>) -> Tensor<B, D>| {
            let leaf = make().require_grad();
            let input = leaf.clone() + 0.0;
            let output = form(input.clone());
            let probe = numbers::<B, D>(output.dims(), 5);
            let loss = (output.clone() * probe).sum() + input.square().sum();
            let gradient = leaf.grad(&loss.backward()).unwrap();
            (output.inner(), gradient)
        };
        let (found, gradient) = run(|input| leaky_relu(input, SLOPE));
        let (expected, expected_gradient) = run(|input| activation::leaky_relu(input, SLOPE));
        assert_close(found, expected, 0.0, "output");
        assert_close(gradient, expected_gradient, 1e-6, "gradient");
    }

    fn agrees_with_the_composed_form<B: AutodiffBackend>() {
        for shape in [
            [1, 1, 1, 1],
            [2, 3, 5, 7],
            [1, 1, 1, 40_000],
            [3, 40, 33, 31],
        ] {
            agrees_on(|| numbers::<B, 4>(shape, 0));
        }
        agrees_on(|| numbers::<B, 3>([20, 50, 60], 1).swap_dims(0, 2));
        agrees_on(|| numbers::<B, 3>([20, 50, 60], 1).narrow(1, 3, 11));
        // Zeros of both signs are not negative.
        let zeros = || Tensor::<B, 1>::from_floats([0.0, -0.0, 1.0, -1.0], &Default::default());
        agrees_on(zeros);
    }

    fn leaves_shared_operands_alone<B: AutodiffBackend>() {
        for shape in [[2, 3, 7], [4, 32, 1024]] {
            let input = numbers::<B::InnerBackend, 3>(shape, 0);
            let (held, before) = (input.clone(), input.to_data());
            let output = leaky_relu(input, SLOPE);
            assert_eq!(held.to_data(), before);
            let alone = leaky_relu(numbers::<B::InnerBackend, 3>(shape, 0), SLOPE);
            assert_close(alone, output, 0.0, "in place");
        }
    }

    fn takes_the_kernel<B: AutodiffBackend>() {
        let input = numbers::<B, 3>([2, 3, 7], 0);
        let has_kernels = has_kernels::<B>() || is_gpu::<B>();
        let plain = in_one_pass(input.clone().inner(), SLOPE).is_ok();
        let tracked = in_one_pass(input.clone(), SLOPE).is_ok();
        assert_eq!([plain, tracked], [has_kernels; 2]);
        let swapped = in_one_pass(input.swap_dims(1, 2), SLOPE).is_ok();
        assert_eq!(swapped, is_gpu::<B>());
    }

    backend_tests!(
        agrees_with_the_composed_form,
        leaves_shared_operands_alone,
        takes_the_kernel
    );
}
