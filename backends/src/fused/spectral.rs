use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
#[cfg(feature = "flex")]
use dp_sims_cpu::fused::spectral as kernels;

use super::on_gpus;
#[cfg(feature = "flex")]
use crate::attempt::attempt;
use crate::terms::EPSILON;

/// Weight and vectors, left and right.
type Operands<B> = (Tensor<B, 4>, [Tensor<B, 1>; 2]);

/// What [`spectral_norm`] makes of a weight.
#[derive(Clone, Debug)]
pub struct Scaled<B: Backend> {
    /// The weight divided by its largest singular value, `[C_out, C_in, kh, kw]`.
    pub weight: Tensor<B, 4>,
    /// Left vector, `[C_out]`; a constant for the gradient.
    pub left: Tensor<B, 1>,
    /// Right vector, `[C_in · kh · kw]`; a constant for the gradient.
    pub right: Tensor<B, 1>,
}

/// What a kernel makes: the weight and the vectors.
#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
fn scaled<B: Backend>((weight, [left, right]): Operands<B>) -> Scaled<B> {
    Scaled {
        weight,
        left,
        right,
    }
}

/// Divides a weight by the estimate σ = uᵀWv of its largest singular value, after a power iteration of
/// the vectors if `iterate`. The vectors are constants for the gradient; σ is not.
///
/// With a kernel, the weight is read twice (three times with a power iteration), the result written
/// once, and two passes make the gradient. The graph keeps the weight and the vectors.
///
/// # Shapes
/// - weight: `[C_out, C_in, kh, kw]`, flattened with output channels as rows
/// - left: `[C_out]`, right: `[C_in · kh · kw]`
pub fn spectral_norm<B: Backend>(
    weight: Tensor<B, 4>,
    vectors @ [_, _]: [Tensor<B, 1>; 2],
    iterate: bool,
) -> Scaled<B> {
    in_few_passes((weight, vectors), iterate).unwrap_or_else(|operands| composed(operands, iterate))
}

fn in_few_passes<B: Backend>(
    operands: Operands<B>,
    iterate: bool,
) -> Result<Scaled<B>, Operands<B>> {
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, |own| {
        kernels::plain(own, iterate, EPSILON).map(scaled)
    }) {
        Err(operands) => operands,
        scaled => return scaled,
    };
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, |own| {
        kernels::tracked(own, iterate, EPSILON).map(scaled)
    }) {
        Err(operands) => operands,
        scaled => return scaled,
    };
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::spectral::plain::<Runtime, Bool>(own, iterate).map(scaled)
    });
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::spectral::tracked::<Runtime, Bool>(own, iterate).map(scaled)
    });
    let _ = iterate;
    Err(operands)
}

fn composed<B: Backend>((weight, [left, right]): Operands<B>, iterate: bool) -> Scaled<B> {
    let [rows, inner, height, width] = weight.dims();
    let columns = inner * height * width;
    let matrix = weight.clone().reshape([rows, columns]);
    let mut u = left.reshape([rows, 1]);
    let mut v = right.reshape([columns, 1]);
    if iterate {
        let constant = matrix.clone().detach();
        v = normalised(constant.clone().transpose().matmul(u));
        u = normalised(constant.matmul(v.clone()));
    }
    let sigma = (matrix.matmul(v.clone()) * u.clone()).sum();
    Scaled {
        weight: weight / sigma.reshape([1, 1, 1, 1]),
        left: u.reshape([rows]),
        right: v.reshape([columns]),
    }
}

/// Scales a column to length one; a zero column stays zero.
fn normalised<B: Backend>(column: Tensor<B, 2>) -> Tensor<B, 2> {
    let length = column.clone().square().sum().sqrt().clamp_min(EPSILON);
    column / length.reshape([1, 1])
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::{assert_close, backend_tests, has_kernels, is_gpu, numbers};
    use super::*;

    const SHAPES: [[usize; 4]; 5] = [
        [1, 1, 1, 1],
        [5, 3, 3, 3],
        [7, 1, 1, 1],
        [1, 13, 3, 1],
        [40, 100, 3, 3],
    ];

    /// A weight, and vectors after some power iterations: between others, σ is a small difference of
    /// large numbers.
    fn operands<B: Backend>(shape @ [rows, inner, height, width]: [usize; 4]) -> Operands<B> {
        let columns = inner * height * width;
        let vectors = [numbers([rows], 2), numbers([columns], 3)];
        let weight = numbers(shape, 1);
        let vectors = (0..3).fold(vectors, |vectors, _| {
            let Scaled { left, right, .. } = composed((weight.clone(), vectors), true);
            [left, right]
        });
        (numbers(shape, 1), vectors)
    }

    fn agrees_with_the_composed_form<B: AutodiffBackend>() {
        for shape in SHAPES {
            for (iterate, reused) in [(false, false), (true, false), (true, true)] {
                let run = |form: fn(Operands<B>, bool) -> Scaled<B>| {
                    let (leaf, vectors) = operands::<B>(shape);
                    let leaf = leaf.require_grad();
                    let weight = leaf.clone() + 0.0;
                    let scaled = form((weight.clone(), vectors), iterate);
                    let mut loss = (scaled.weight.clone() * numbers(shape, 4)).sum();
                    if reused {
                        loss = loss + weight.square().sum();
                    }
                    let gradient = leaf.grad(&loss.backward()).unwrap();
                    (scaled, gradient)
                };
                let (found, gradient) =
                    run(|(weight, vectors), iterate| spectral_norm(weight, vectors, iterate));
                let (expected, expected_gradient) = run(composed);
                // σ is a sum over all elements of the weight, in another order.
                let largest = expected.weight.clone().abs().max();
                assert_close(found.weight, expected.weight, 4e-6, "weight");
                assert_close(found.left, expected.left, 4e-6, "left");
                assert_close(found.right, expected.right, 4e-6, "right");
                // Of a single number, whose gradient is zero, rounding is left: hence the weight.
                let near = |gradient: Tensor<B::InnerBackend, 4>| {
                    Tensor::cat(
                        vec![gradient.flatten::<1>(0, 3), largest.clone().inner()],
                        0,
                    )
                };
                assert_close(near(gradient), near(expected_gradient), 4e-6, "gradient");
            }
        }
    }

    fn leaves_shared_operands_alone<B: AutodiffBackend>() {
        for shape in SHAPES {
            let (weight, vectors) = operands::<B::InnerBackend>(shape);
            let (held, before) = (weight.clone(), weight.to_data());
            let output = spectral_norm(weight, vectors, true);
            assert_eq!(held.to_data(), before);
            let (weight, vectors) = operands::<B::InnerBackend>(shape);
            let alone = spectral_norm(weight, vectors, true);
            assert_close(alone.weight, output.weight, 0.0, "in place");
        }
    }

    fn takes_the_kernel<B: AutodiffBackend>() {
        let (weight, [left, right]) = operands::<B>([5, 3, 3, 3]);
        let taken = |weight: Tensor<B, 4>, left: Tensor<B, 1>| {
            in_few_passes((weight, [left, right.clone()]), true).is_ok()
        };
        let has_kernels = has_kernels::<B>() || is_gpu::<B>();
        assert_eq!(taken(weight.clone(), left.clone()), has_kernels);
        // Its gradient would reach the vectors.
        assert!(!taken(weight.clone(), left.clone().require_grad()));
        assert_eq!(taken(weight.swap_dims(2, 3), left), is_gpu::<B>());
    }

    backend_tests!(
        agrees_with_the_composed_form,
        leaves_shared_operands_alone,
        takes_the_kernel
    );
}
