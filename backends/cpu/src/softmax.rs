use burn_backend::{DType, TensorMetadata};
use burn_flex::FlexTensor;
use pulp::Arch;
use rayon::prelude::*;

use super::conv::{shaped, zeros};
use super::exponential::{Exponentials, Shares};
use super::numbers::{own_values, values};
use super::strided;

/// Elements of a task.
const GRAIN: usize = 1 << 14;

/// Fewest elements that are worth leaving the way of Flex.
const FEWEST: usize = 1 << 12;

/// Exponentials along an axis over their sum.
///
/// Costs a copy of a tensor that somebody else holds, that is a view, or whose axis is not the last.
/// Declines types other than `f32`, and tensors of a few thousand elements.
///
/// # Shapes
/// - `tensor`: any
/// - result: the same
pub(super) fn softmax(tensor: FlexTensor, dim: usize) -> Result<FlexTensor, FlexTensor> {
    let shape = tensor.shape();
    if tensor.dtype() != DType::F32 || shape.num_elements() < FEWEST {
        return Err(tensor);
    }
    let last = shape.num_dims() - 1;
    if dim == last {
        return Ok(along_rows(tensor));
    }
    let weights = along_rows(tensor.transpose(dim, last));
    Ok(weights.transpose(dim, last))
}

/// The same along the last axis.
fn along_rows(tensor: FlexTensor) -> FlexTensor {
    let shape = tensor.shape();
    let length = shape[shape.num_dims() - 1];
    let part = GRAIN.div_ceil(length) * length;
    let mut tensor = strided::in_order(tensor);
    if let Some(own) = own_values(&mut tensor) {
        let parts = own.par_chunks_mut(part);
        parts.for_each(|rows| normalise(rows, length));
        return tensor;
    }
    let mut out = zeros(shape.num_elements());
    if let Some(from) = values(&tensor) {
        let parts = out.par_chunks_mut(part).zip(from.par_chunks(part));
        parts.for_each(|(rows, from)| {
            rows.copy_from_slice(from);
            normalise(rows, length);
        });
    }
    shaped(out, shape)
}

fn normalise(rows: &mut [f32], length: usize) {
    let mut sums = vec![0.0; rows.len() / length];
    let arch = Arch::new();
    arch.dispatch(Exponentials {
        rows: &mut *rows,
        sums: &mut sums,
    });
    arch.dispatch(Shares { rows, sums: &sums });
}

#[cfg(test)]
mod tests {
    use burn_backend::Shape;
    use burn_backend::ops::ActivationOps;
    use burn_flex::Flex;

    use super::*;

    fn numbers(shape: [usize; 3], factor: f32) -> FlexTensor {
        let count: usize = shape.iter().product();
        let number = |index: usize| (index as f32 * 0.7371).sin() * factor;
        shaped((0..count).map(number).collect(), Shape::from(shape))
    }

    fn assert_like_flex(tensor: &FlexTensor, dim: usize) {
        let expected = Flex::softmax(tensor.clone(), dim).to_contiguous();
        let shared = softmax(tensor.clone(), dim).unwrap();
        let own = softmax(tensor.to_contiguous(), dim).unwrap();
        for found in [shared, own] {
            assert_eq!(found.shape(), expected.shape());
            let found = found.to_contiguous();
            let pairs = found.storage::<f32>().iter().zip(expected.storage::<f32>());
            for (found, expected) in pairs {
                let what = format!("{:?} along {dim}: {found}, {expected}", tensor.shape());
                assert!(
                    (found - expected).abs() <= 1e-5 * expected + 1e-37,
                    "{what}"
                );
            }
        }
    }

    #[test]
    fn weights_are_those_of_flex() {
        for shape in [[4096, 1, 1], [20, 30, 10], [5, 70, 33], [3, 2, 40_000]] {
            for factor in [1.0, 1e4] {
                let tensor = numbers(shape, factor);
                for dim in 0..3 {
                    assert_like_flex(&tensor, dim);
                    assert_like_flex(&tensor.transpose(0, 2), dim);
                }
            }
        }
    }

    #[test]
    fn a_tensor_that_somebody_holds_stays_as_it_is() {
        let tensor = numbers([20, 30, 10], 1.0);
        let before = tensor.clone().into_data();
        softmax(tensor.clone(), 2).unwrap();
        assert_eq!(tensor.into_data(), before);
    }

    #[test]
    fn what_it_declines_is_left_to_flex() {
        for shape in [[2, 0, 3], [2, 3, 10]] {
            assert!(softmax(numbers(shape, 1.0), 2).is_err());
        }
    }
}
