use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
#[cfg(feature = "flex")]
use dp_sims_cpu::fused::product as kernels;

#[cfg(feature = "flex")]
use crate::attempt::attempt;

/// A map plus a product of matrices, of which the right one is known to have many zeros, such as one
/// that interpolates.
///
/// With a kernel, one pass over the map, in place where nobody else holds it, which leaves out the
/// zeros of `right`; the graph keeps `right` alone. An infinity of `left` has no effect where `right` is
/// zero, then.
///
/// # Shapes
/// - base: `[N, C, H, W]`
/// - left: `[N · C · H · W / columns, inner]`
/// - right: `[inner, columns]`
/// - output: `[N, C, H, W]`
pub fn add_product<B: Backend>(
    base: Tensor<B, 4>,
    left: Tensor<B, 2>,
    right: Tensor<B, 2>,
) -> Tensor<B, 4> {
    in_one_pass(base, left, right).unwrap_or_else(|(base, left, right)| composed(base, left, right))
}

fn in_one_pass<B: Backend>(
    base: Tensor<B, 4>,
    left: Tensor<B, 2>,
    right: Tensor<B, 2>,
) -> Result<Tensor<B, 4>, (Tensor<B, 4>, Tensor<B, 2>, Tensor<B, 2>)> {
    let operands = (base, left, right);
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, kernels::plain) {
        Err(operands) => match attempt(operands, kernels::tracked) {
            Err(operands) => operands,
            output => return output,
        },
        output => return output,
    };
    Err(operands)
}

fn composed<B: Backend>(
    base: Tensor<B, 4>,
    left: Tensor<B, 2>,
    right: Tensor<B, 2>,
) -> Tensor<B, 4> {
    let shape = base.dims();
    base + left.matmul(right).reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::{assert_close, backend_tests, has_kernels, numbers};
    use super::*;

    type Form<B> = fn(Tensor<B, 4>, Tensor<B, 2>, Tensor<B, 2>) -> Tensor<B, 4>;

    /// Shape of the base, inner and columns.
    const SIZES: [([usize; 4], usize, usize); 7] = [
        ([1, 1, 1, 1], 1, 1),
        ([2, 3, 5, 7], 4, 7),
        ([2, 3, 4, 8], 36, 32),
        ([1, 3, 5, 37], 6, 37),
        ([3, 7, 3, 16], 3, 16),
        ([2, 40, 33, 48], 24, 48),
        ([1, 2, 1, 20_000], 2, 20_000),
    ];

    /// Numbers around a diagonal, zeros elsewhere.
    fn band<B: Backend>(inner: usize, columns: usize) -> Tensor<B, 2> {
        let all = numbers::<B, 2>([inner, columns], 3).to_data();
        let values = all.iter::<f32>().enumerate().map(|(index, value)| {
            let [row, column] = [index / columns, index % columns];
            let is_near = (row * columns).abs_diff(column * inner) <= 2 * columns.max(inner);
            if is_near { value } else { 0.0 }
        });
        let values: Vec<f32> = values.collect();
        let data = burn::tensor::TensorData::new(values, [inner, columns]);
        Tensor::from_data(data, &Default::default())
    }

    fn left<B: Backend>(shape: [usize; 4], inner: usize, columns: usize) -> Tensor<B, 2> {
        let elements: usize = shape.iter().product();
        numbers([elements / columns, inner], 2)
    }

    fn agrees_with_the_composed_form<B: AutodiffBackend>() {
        for (shape, inner, columns) in SIZES {
            for right in [band::<B>(inner, columns), numbers([inner, columns], 4)] {
                let run = |form: Form<B>, is_shared: bool| {
                    let a = numbers::<B, 4>(shape, 1).require_grad();
                    let b = left::<B>(shape, inner, columns).require_grad();
                    let (base, left) = (a.clone() + 0.0, b.clone() + 0.0);
                    let output = form(base.clone(), left.clone(), right.clone());
                    let mut loss = (output.clone() * numbers(shape, 5)).sum();
                    if is_shared {
                        loss = loss + base.square().sum() + left.square().sum();
                    }
                    let gradients = loss.backward();
                    let of_left = b.grad(&gradients).unwrap();
                    (output.inner(), a.grad(&gradients).unwrap(), of_left)
                };
                for is_shared in [false, true] {
                    let found = run(add_product, is_shared);
                    let expected = run(composed, is_shared);
                    assert_close(found.0, expected.0, 1e-6, "output");
                    assert_close(found.1, expected.1, 1e-6, "gradient of the base");
                    assert_close(found.2, expected.2, 1e-6, "gradient of the left matrix");
                }
            }
        }
    }

    fn leaves_a_shared_base_alone<B: AutodiffBackend>() {
        for (shape, inner, columns) in SIZES {
            let make = || numbers::<B::InnerBackend, 4>(shape, 1);
            let (left, right) = (left(shape, inner, columns), band(inner, columns));
            let held = make();
            let shared = add_product(held.clone(), left.clone(), right.clone());
            assert_eq!(held.to_data(), make().to_data());
            assert_close(add_product(make(), left, right), shared, 0.0, "in place");
        }
    }

    fn takes_the_kernel<B: AutodiffBackend>() {
        let shape = [2, 3, 5, 7];
        let (base, left) = (numbers::<B, 4>(shape, 1), left::<B>(shape, 4, 7));
        let right = numbers::<B, 2>([4, 7], 3);
        let taken = |base: Tensor<B, 4>, right: Tensor<B, 2>| {
            in_one_pass(base, left.clone(), right).is_ok()
        };
        let has_kernels = has_kernels::<B>();
        assert_eq!(taken(base.clone(), right.clone()), has_kernels);
        let [plain, swapped, tracked] = [
            in_one_pass(
                base.clone().inner(),
                left.clone().inner(),
                right.clone().inner(),
            )
            .is_ok(),
            taken(base.clone().swap_dims(2, 3), right.clone()),
            // Its gradient has no kernel.
            taken(base.clone(), right.clone().require_grad()),
        ];
        assert_eq!([plain, swapped, tracked], [has_kernels, false, false]);
        let right = right.require_grad();
        let output = add_product(base, left, right.clone());
        let gradients = output.sum().backward();
        assert!(right.grad(&gradients).is_some());
    }

    backend_tests!(
        agrees_with_the_composed_form,
        leaves_a_shared_base_alone,
        takes_the_kernel
    );
}
