use burn::tensor::{Tensor, backend::Backend};

/// Concatenates along `dim`, and may run beside the backward pass of another thread.
///
/// burn-autodiff 0.21.0 lets go of the inputs before the output is in the graph. A backward pass
/// that ends on another thread in between takes their part of the graph for abandoned, and the
/// gradients behind them are lost without a word. Holding on to the inputs costs nothing.
///
/// # Shapes
/// - tensors: at least one; all dimensions but `dim` equal
/// - output: theirs, `dim` summed
pub fn concat<B: Backend, const D: usize>(tensors: Vec<Tensor<B, D>>, dim: usize) -> Tensor<B, D> {
    if let [only] = &tensors[..] {
        return only.clone();
    }
    let held = tensors.clone();
    let output = Tensor::cat(tensors, dim);
    drop(held);
    output
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use burn::tensor::backend::AutodiffBackend;

    use super::*;

    fn weight<B: AutodiffBackend>() -> Tensor<B, 2> {
        Tensor::from_floats([[2.0]], &Default::default()).require_grad()
    }

    fn all_have_gradients<B: AutodiffBackend>(weights: &[Tensor<B, 2>; 2]) -> bool {
        let input = Tensor::<B, 2>::from_floats([[3.0]], &Default::default());
        let outputs = weights
            .iter()
            .map(|weight| input.clone().matmul(weight.clone()));
        let gradients = concat(outputs.collect(), 1).sum().backward();
        weights
            .iter()
            .all(|weight| weight.grad(&gradients).is_some())
    }

    fn loses_no_gradient_beside_another_backward_pass<B: AutodiffBackend>() {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let weight = weight::<B>();
                while !done.load(Ordering::Relaxed) {
                    weight.clone().sum().backward();
                }
            });
            let weights = [weight::<B>(), weight()];
            let lost = (0..20_000)
                .filter(|_| !all_have_gradients(&weights))
                .count();
            done.store(true, Ordering::Relaxed);
            assert_eq!(lost, 0);
        });
    }

    backend_tests!(loses_no_gradient_beside_another_backward_pass);
}
