//! Products of matrices.

use burn_backend::ops::FloatTensorOps;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, calculate_cube_count_elemwise};
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
        Some(length) => (fill(lhs, axis, length), fill(rhs, axis - 1, length)),
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

/// The tensor with zeros behind its elements along an axis, in one launch.
fn fill<R: CubeRuntime>(tensor: T<R>, axis: usize, length: usize) -> T<R> {
    let mut shape = tensor.meta.shape().clone();
    shape[axis] = length;
    let output = ops::numeric::empty_device_contiguous_dtype(
        tensor.client.clone(),
        tensor.device.clone(),
        shape,
        tensor.dtype,
    );
    let count = output.meta.num_elements();
    let dim = CubeDim::new(&tensor.client, count);
    fill_kernel::launch::<R>(
        &tensor.client.clone(),
        calculate_cube_count_elemwise(&tensor.client, count, dim),
        dim,
        tensor.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        output.meta.shape().len(),
        output.dtype.into(),
    );
    output
}

#[cube(launch)]
fn fill_kernel<E: Numeric>(
    input: &Tensor<E>,
    output: &mut Tensor<E>,
    #[comptime] rank: usize,
    #[define(E)] _dtype: StorageType,
) {
    if ABSOLUTE_POS >= output.len() {
        terminate!();
    }
    let mut rest = ABSOLUTE_POS;
    let mut place = 0usize;
    let mut is_inside = true;
    #[unroll]
    for step in 0..rank {
        let axis = comptime!(rank - 1 - step);
        let size = output.shape(axis);
        let at = rest % size;
        rest /= size;
        is_inside = is_inside && at < input.shape(axis);
        place += at * input.stride(axis);
    }
    if is_inside {
        output[ABSOLUTE_POS] = input[place];
    } else {
        output[ABSOLUTE_POS] = E::from_int(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "wgpu")]
    #[test]
    fn zeros_are_behind_what_was_there_on_gpus() {
        use burn::tensor::{Tensor, TensorPrimitive};

        type Wgpu = super::super::Gpu<burn_wgpu::WgpuRuntime, u32>;
        let device = Default::default();
        let whole = Tensor::<Wgpu, 1, burn::tensor::Int>::arange(1..61, &device).float();
        let whole = whole.reshape([3, 4, 5]);
        let layouts = [
            whole.clone(),
            whole.clone().swap_dims(1, 2).reshape([3, 4, 5]),
            whole.clone().swap_dims(0, 2),
            whole.clone().narrow(1, 1, 2),
            whole.narrow(0, 1, 1).expand([2, 4, 5]),
        ];
        for tensor in layouts {
            for axis in [1, 2] {
                let length = tensor.dims()[axis] + 3;
                let mut missing = tensor.dims();
                missing[axis] = 3;
                let zeros = Tensor::zeros(missing, &device);
                let expected = Tensor::cat(vec![tensor.clone(), zeros], axis);
                let filled = fill(tensor.clone().into_primitive().tensor(), axis, length);
                let filled = Tensor::<Wgpu, 3>::from_primitive(TensorPrimitive::Float(filled));
                assert_eq!(filled.to_data(), expected.to_data());
            }
        }
    }

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
