//! Operations on every element, in `f32` and on all threads.
//!
//! Each function gives its operands back where they are not `f32`, not of shapes or in an order that it
//! knows, or too few for threads to pay; Flex takes those. Results are those of Flex to the bit, and
//! memory of an operand that nobody else holds is used again.

use burn_backend::ops::FloatTensorOps;
use burn_backend::{DType, TensorMetadata};
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::blank::Blank;
use super::conv::{shaped, sum};
use super::numbers::{own_values, values};
use super::repeated::repeated;
use super::strided;

/// Elements of a task.
const GRAIN: usize = 1 << 14;

/// Fewest elements that are worth a second thread.
const FEWEST: usize = 2 * GRAIN;

/// Shortest row whose sum is worth a task.
const LONG: usize = 256;

/// `operation` of every element.
pub(super) fn map(
    mut tensor: FlexTensor,
    operation: impl Fn(f32) -> f32 + Sync,
) -> Result<FlexTensor, FlexTensor> {
    let Some(from) = values(&tensor).filter(|values| values.len() >= FEWEST) else {
        return Err(tensor);
    };
    let length = from.len();
    if let Some(own) = own_values(&mut tensor) {
        let parts = own.par_chunks_mut(GRAIN);
        parts.for_each(|part| part.iter_mut().for_each(|value| *value = operation(*value)));
        return Ok(tensor);
    }
    let Some(from) = values(&tensor) else {
        return Err(tensor);
    };
    let mut out = Blank::new(length);
    let parts = out.slots().par_chunks_mut(GRAIN);
    parts.zip(from.par_chunks(GRAIN)).for_each(|(to, from)| {
        let pairs = to.iter_mut().zip(from);
        pairs.for_each(|(to, from)| _ = to.write(operation(*from)));
    });
    // SAFETY: there is a slot for each element, and it was written to.
    Ok(shaped(unsafe { out.filled() }, tensor.shape()))
}

/// `operation` of every two elements of tensors of one shape, or of a tensor and a right operand that
/// is repeated along axes of one element. Operands in another order are copied first.
#[allow(
    clippy::result_large_err,
    reason = "an error is no failure: it hands both operands back, as they came"
)]
pub(super) fn zip(
    mut left: FlexTensor,
    mut right: FlexTensor,
    operation: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<FlexTensor, (FlexTensor, FlexTensor)> {
    let is_plain = |tensor: &FlexTensor| tensor.dtype() == DType::F32;
    let is_known = is_plain(&left) && is_plain(&right) && repeats(&left, &right);
    let is_small = left.shape().num_elements() < FEWEST;
    let is_empty = left.shape().num_elements() == 0;
    // Flex is fast with few elements that are not repeated.
    if !is_known || is_empty || is_small && left.shape() == right.shape() {
        return Err((left, right));
    }
    (left, right) = (strided::in_order(left), strided::in_order(right));
    let (Some(from), Some(other)) = (values(&left), values(&right)) else {
        return Err((left, right));
    };
    let length = from.len();
    if is_small {
        return repeated(left, &right, operation).map_err(|left| (left, right));
    }
    if let &[value] = other {
        let result = map(left, |element| operation(element, value));
        return result.map_err(|left| (left, right));
    }
    if left.shape() != right.shape() {
        if let Some(row) = row_length(&left, &right) {
            let other = other.to_vec();
            let result = by_row(left, &other, row, operation);
            return result.map_err(|left| (left, right));
        }
        right = strided::in_order(Flex::float_expand(right, left.shape()));
    }
    if let Some(own) = own_values(&mut left) {
        if let Some(other) = values(&right) {
            let parts = own.par_chunks_mut(GRAIN).zip(other.par_chunks(GRAIN));
            parts.for_each(|(to, other)| {
                let pairs = to.iter_mut().zip(other);
                pairs.for_each(|(to, other)| *to = operation(*to, *other));
            });
        }
        return Ok(left);
    }
    if let Some(own) = own_values(&mut right) {
        if let Some(from) = values(&left) {
            let parts = own.par_chunks_mut(GRAIN).zip(from.par_chunks(GRAIN));
            parts.for_each(|(to, from)| {
                let pairs = to.iter_mut().zip(from);
                pairs.for_each(|(to, from)| *to = operation(*from, *to));
            });
        }
        return Ok(right);
    }
    let (Some(from), Some(other)) = (values(&left), values(&right)) else {
        return Err((left, right));
    };
    let mut out = Blank::new(length);
    let parts = from.par_chunks(GRAIN).zip(other.par_chunks(GRAIN));
    let parts = out.slots().par_chunks_mut(GRAIN).zip(parts);
    parts.for_each(|(to, (from, other))| {
        let pairs = to.iter_mut().zip(from.iter().zip(other));
        pairs.for_each(|(to, (from, other))| _ = to.write(operation(*from, *other)));
    });
    // SAFETY: both operands have an element for each slot, and it was written to.
    Ok(shaped(unsafe { out.filled() }, left.shape()))
}

/// Whether `right` has the shape of `left` but for axes of one element.
fn repeats(left: &FlexTensor, right: &FlexTensor) -> bool {
    let (left, right) = (left.shape(), right.shape());
    let mut pairs = left.iter().zip(right.iter());
    left.num_dims() == right.num_dims() && pairs.all(|(a, b)| a == b || *b == 1)
}

/// Elements of a row of `left` for each of which `right`, which [`repeats`], has one value.
fn row_length(left: &FlexTensor, right: &FlexTensor) -> Option<usize> {
    let (left, right) = (left.shape(), right.shape());
    let pairs: Vec<_> = left.iter().zip(right.iter()).collect();
    let last = pairs.iter().rposition(|(_, right)| **right != 1)?;
    let first = pairs.iter().position(|(_, right)| **right != 1)?;
    let equal = pairs[first..=last]
        .iter()
        .all(|(left, right)| left == right);
    let row: usize = pairs[last + 1..].iter().map(|(left, _)| **left).product();
    (equal && row >= 64).then_some(row)
}

/// `operation` of every element and the value of its row; the values are used again and again.
fn by_row(
    mut left: FlexTensor,
    rows: &[f32],
    length: usize,
    operation: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<FlexTensor, FlexTensor> {
    if let Some(own) = own_values(&mut left) {
        let lines = own.par_chunks_exact_mut(length).enumerate();
        lines.for_each(|(row, line)| {
            let value = rows[row % rows.len()];
            line.iter_mut().for_each(|to| *to = operation(*to, value));
        });
        return Ok(left);
    }
    let Some(from) = values(&left) else {
        return Err(left);
    };
    let mut out = Blank::new(from.len());
    let lines = out
        .slots()
        .par_chunks_exact_mut(length)
        .zip(from.par_chunks_exact(length))
        .enumerate();
    lines.for_each(|(row, (line, from))| {
        let value = rows[row % rows.len()];
        let pairs = line.iter_mut().zip(from);
        pairs.for_each(|(to, from)| _ = to.write(operation(*from, value)));
    });
    // SAFETY: the tensor is whole rows, and each slot of a row was written to.
    Ok(shaped(unsafe { out.filled() }, left.shape()))
}

/// Sums along the last axis, and its length.
pub(super) fn sums(tensor: &FlexTensor, dim: usize) -> Option<(FlexTensor, usize)> {
    let from = values(tensor).filter(|values| values.len() >= FEWEST)?;
    let mut shape = tensor.shape();
    let length = shape[dim];
    if dim + 1 != shape.num_dims() || length < LONG {
        return None;
    }
    shape[dim] = 1;
    let rows = from.par_chunks_exact(length);
    Some((shaped(rows.map(sum).collect(), shape), length))
}

#[cfg(test)]
mod tests {
    use burn_backend::Scalar;
    use burn_backend::ops::{ActivationOps, FloatTensorOps};
    use burn_flex::Flex;

    use super::super::Cpu;
    use super::*;

    fn numbers(shape: &[usize], offset: usize) -> FlexTensor {
        let count: usize = shape.iter().product();
        let number = |index: usize| ((index + offset) as f32 * 0.7371).sin() + 0.1;
        let shape = burn_backend::Shape::from(shape.to_vec());
        shaped((0..count).map(number).collect(), shape)
    }

    fn assert_same(found: FlexTensor, expected: FlexTensor, what: &str) {
        assert_eq!(found.shape(), expected.shape(), "{what}");
        let [found, expected] = [found, expected].map(|tensor| tensor.to_contiguous());
        let pairs = found.storage::<f32>().iter().zip(expected.storage::<f32>());
        for (index, (found, expected)) in pairs.enumerate() {
            assert_eq!(found.to_bits(), expected.to_bits(), "{what}[{index}]");
        }
    }

    /// Both as tensors that nobody else holds and as shared ones, which must stay as they are.
    fn check(
        what: &str,
        operands: &[FlexTensor],
        ours: impl Fn(Vec<FlexTensor>) -> FlexTensor,
        flex: impl Fn(Vec<FlexTensor>) -> FlexTensor,
    ) {
        let copies = || operands.iter().map(copy).collect::<Vec<_>>();
        let expected = flex(copies());
        assert_same(ours(copies()), expected.clone(), what);
        let before = copies();
        assert_same(ours(operands.to_vec()), expected, what);
        for (after, before) in operands.iter().zip(before) {
            assert_same(after.clone(), before, what);
        }
    }

    fn copy(tensor: &FlexTensor) -> FlexTensor {
        let tensor = tensor.to_contiguous();
        shaped(tensor.storage::<f32>().to_vec(), tensor.shape())
    }

    const LARGE: [usize; 3] = [2, 17, 4096];

    #[test]
    fn operations_on_one_tensor_are_those_of_flex() {
        let x = [numbers(&LARGE, 0)];
        macro_rules! each {
            ($($name:ident),+) => {
                $(check(
                    stringify!($name),
                    &x,
                    |mut x| Cpu::$name(x.remove(0)),
                    |mut x| Flex::$name(x.remove(0)),
                );)+
            };
        }
        each!(
            float_neg, float_abs, float_sqrt, float_exp, float_log, float_tanh, float_erf, relu
        );
        macro_rules! each_with_scalar {
            ($($name:ident),+) => {
                $(check(
                    stringify!($name),
                    &x,
                    |mut x| Cpu::$name(x.remove(0), Scalar::Float(0.3)),
                    |mut x| Flex::$name(x.remove(0), Scalar::Float(0.3)),
                );)+
            };
        }
        each_with_scalar!(
            float_add_scalar,
            float_sub_scalar,
            float_mul_scalar,
            float_div_scalar,
            leaky_relu
        );
    }

    #[test]
    fn operations_on_two_tensors_are_those_of_flex() {
        let x = numbers(&LARGE, 0);
        let view = numbers(&[2, 20, 4096], 3).narrow(1, 2, 17);
        let first_half = numbers(&[4, 17, 4096], 5).narrow(0, 2, 2);
        let swapped = numbers(&[2, 4096, 17], 7).transpose(1, 2);
        let others = [
            numbers(&LARGE, 11),
            numbers(&[2, 17, 1], 13),
            numbers(&[1, 17, 1], 17),
            numbers(&[2, 1, 1], 19),
            numbers(&[1, 1, 4096], 23),
            numbers(&[1, 1, 1], 29),
            view,
            first_half,
            swapped,
        ];
        macro_rules! each {
            ($($name:ident),+) => {
                for other in &others {
                    for pair in [[x.clone(), other.clone()], [other.clone(), x.clone()]] {
                        $(check(
                            &format!("{} with {:?}", stringify!($name), other.shape()),
                            &pair,
                            |mut pair| Cpu::$name(pair.remove(0), pair.remove(0)),
                            |mut pair| Flex::$name(pair.remove(0), pair.remove(0)),
                        );)+
                    }
                }
            };
        }
        each!(float_add, float_sub, float_mul, float_div, relu_backward);
    }

    #[test]
    fn few_elements_are_repeated_as_flex_does_it() {
        let shape = [2, 3, 4, 5];
        let x = numbers(&shape, 0);
        // Every choice of axes along which the other operand is repeated.
        for repeated in 0..16 {
            let side = |axis: usize| {
                if repeated >> axis & 1 == 1 {
                    1
                } else {
                    shape[axis]
                }
            };
            let other = numbers(&[side(0), side(1), side(2), side(3)], 7);
            let swapped = numbers(&[side(0), side(1), side(3), side(2)], 7).transpose(2, 3);
            for other in [other, swapped] {
                check(
                    &format!("sub of {:?}", other.shape()),
                    &[x.clone(), other],
                    |mut pair| Cpu::float_sub(pair.remove(0), pair.remove(0)),
                    |mut pair| Flex::float_sub(pair.remove(0), pair.remove(0)),
                );
            }
        }
        for shape in [[1, 1, 1, 1], [0, 3, 4, 5]] {
            let pair = [numbers(&shape, 0), numbers(&[1, 1, 1, 1], 1)];
            let found = Cpu::float_mul(pair[0].clone(), pair[1].clone());
            let [a, b] = pair;
            assert_same(found, Flex::float_mul(a, b), "mul");
        }
    }

    #[test]
    fn a_tensor_with_itself_is_not_written_to_twice() {
        let x = numbers(&LARGE, 0);
        let square = Cpu::float_mul(x.clone(), x.clone());
        assert_same(square, Flex::float_mul(x.clone(), x.clone()), "square");
    }

    #[test]
    fn sums_are_those_of_flex_up_to_rounding() {
        for (shape, dim) in [(LARGE, 2), (LARGE, 1), (LARGE, 0), ([2, 65536, 3], 2)] {
            let x = numbers(&shape, 0);
            for (found, expected) in [
                (
                    Cpu::float_sum_dim(x.clone(), dim),
                    Flex::float_sum_dim(x.clone(), dim),
                ),
                (
                    Cpu::float_mean_dim(x.clone(), dim),
                    Flex::float_mean_dim(x.clone(), dim),
                ),
            ] {
                assert_eq!(found.shape(), expected.shape());
                let pairs = found.storage::<f32>().iter().zip(expected.storage::<f32>());
                for (found, expected) in pairs {
                    assert!((found - expected).abs() <= 1e-5 * expected.abs().max(0.01));
                }
            }
        }
    }
}
