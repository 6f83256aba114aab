//! Products of matrices.

use burn_backend::ops::FloatTensorOps;
use burn_backend::{Shape, Slice};
use burn_cubecl::{BoolElement, CubeRuntime, ops};

use super::{Inner, T};

/// Lengths of which no number of stages of burn's kernels is odd.
const STEP: usize = 64;

/// A batched product of matrices.
///
/// The double-buffered kernels that autotune may choose take an even number of stages along the inner
/// axis; with an odd number they add what lies behind the operands in memory (tracel-ai/burn#5626).
/// They check bounds where the length is no multiple of a stage, and the length of a stage is a power of
/// two, at most 32, so that odd lengths are safe, and multiples of [`STEP`]. Others are filled up with zeros.
/// A product with one column has stages of 128 where a device reads eight numbers at once: that case
/// is left to the comparison with the processor.
pub(super) fn matmul<R: CubeRuntime, BT: BoolElement>(lhs: T<R>, rhs: T<R>) -> T<R> {
    let axis = lhs.meta.shape().len() - 1;
    let inner = lhs.meta.shape()[axis];
    let (lhs, rhs) = match padded(inner) {
        Some(length) => (
            fill::<R, BT>(lhs, axis, length),
            fill::<R, BT>(rhs, axis - 1, length),
        ),
        None => (lhs, rhs),
    };
    <Inner<R, BT> as FloatTensorOps<Inner<R, BT>>>::float_matmul(lhs, rhs)
}

/// The length that an inner axis has to be filled up to, if it has to be. Only autotune chooses the
/// kernels.
fn padded(inner: usize) -> Option<usize> {
    let is_safe = !cfg!(feature = "autotune") || inner % 2 == 1 || inner.is_multiple_of(STEP);
    // One more makes it odd, which costs less than many zeros.
    let length = if inner < 16 {
        inner + 1
    } else {
        inner.next_multiple_of(STEP)
    };
    (!is_safe && inner > 0).then_some(length)
}

fn fill<R: CubeRuntime, BT: BoolElement>(tensor: T<R>, axis: usize, length: usize) -> T<R> {
    let mut shape = tensor.meta.shape().clone();
    let slices: Vec<Slice> = shape.iter().map(|&size| Slice::from(0..size)).collect();
    shape[axis] = length;
    let shape: Shape = shape;
    let zeros = ops::numeric::zeros(tensor.device.clone(), shape, tensor.dtype);
    <Inner<R, BT> as FloatTensorOps<Inner<R, BT>>>::float_slice_assign(zeros, &slices, tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filled_length_has_an_odd_number_of_stages() {
        for inner in 1..2000 {
            let length = padded(inner).unwrap_or(inner);
            assert!(length >= inner);
            for stage in [2, 4, 8, 16, 32] {
                let is_checked = !length.is_multiple_of(stage);
                let is_even = (length / stage).is_multiple_of(2);
                let is_safe = is_checked || is_even || !cfg!(feature = "autotune");
                assert!(is_safe, "{inner} as {length}, {stage}");
            }
        }
    }
}
