use burn_backend::ops::IntTensorOps;
use burn_backend::tensor::IndexingUpdateOp;
use burn_backend::{
    BoolDType, Distribution, ExecutionError, FloatDType, IntDType, Scalar, Shape, Slice, TensorData,
};
use burn_cubecl::kernel::into_contiguous_aligned;
use burn_cubecl::{BoolElement, CubeRuntime};

use super::{Gpu, Inner, T, traffic, view};

impl<R: CubeRuntime, BT: BoolElement> IntTensorOps<Self> for Gpu<R, BT> {
    delegate!(IntTensorOps (shape: Shape, device: &R::Device, dtype: IntDType) -> T<R> {
        int_empty int_zeros int_ones
    });
    delegate!(IntTensorOps (tensor: &T<R>) -> R::Device {
        int_device
    });
    delegate!(IntTensorOps (tensor: T<R>, device: &R::Device) -> T<R> {
        int_to_device
    });
    delegate!(IntTensorOps (tensor: T<R>, slices: &[Slice]) -> T<R> {
        int_slice
    });
    delegate!(IntTensorOps (tensor: T<R>, ranges: &[Slice], value: T<R>) -> T<R> {
        int_slice_assign
    });
    delegate!(IntTensorOps (lhs: T<R>, rhs: T<R>) -> T<R> {
        int_matmul int_add int_sub int_mul int_div int_remainder bitwise_and bitwise_or
        bitwise_xor bitwise_left_shift bitwise_right_shift
    });
    delegate!(IntTensorOps (tensor: T<R>, mask: T<R>, value: T<R>) -> T<R> {
        int_mask_where
    });
    delegate!(IntTensorOps (tensor: T<R>, mask: T<R>, value: Scalar) -> T<R> {
        int_mask_fill
    });
    delegate!(IntTensorOps (dim: usize, tensor: T<R>, indices: T<R>) -> T<R> {
        int_gather
    });
    delegate!(IntTensorOps (dim: usize, tensor: T<R>, indices: T<R>, value: T<R>) -> T<R> {
        int_scatter_add
    });
    delegate!(IntTensorOps (data: T<R>, indices: T<R>, values: T<R>, reduction: IndexingUpdateOp) -> T<R> {
        int_scatter_nd
    });
    delegate!(IntTensorOps (data: T<R>, indices: T<R>) -> T<R> {
        int_gather_nd
    });
    delegate!(IntTensorOps (tensor: T<R>, dim: usize, indices: T<R>) -> T<R> {
        int_select
    });
    delegate!(IntTensorOps (tensor: T<R>, dim: usize, indices: T<R>, value: T<R>) -> T<R> {
        int_select_add
    });
    delegate!(IntTensorOps (lhs: T<R>, rhs: T<R>, out_dtype: BoolDType) -> T<R> {
        int_equal int_greater int_greater_equal int_lower int_lower_equal
    });
    delegate!(IntTensorOps (lhs: T<R>, rhs: Scalar, out_dtype: BoolDType) -> T<R> {
        int_equal_elem int_greater_elem int_greater_equal_elem int_lower_elem
        int_lower_equal_elem
    });
    delegate!(IntTensorOps (lhs: T<R>, rhs: Scalar) -> T<R> {
        int_add_scalar int_sub_scalar int_mul_scalar int_div_scalar int_remainder_scalar
        bitwise_and_scalar bitwise_or_scalar bitwise_xor_scalar bitwise_left_shift_scalar
        bitwise_right_shift_scalar
    });
    delegate!(IntTensorOps (shape: Shape, fill_value: Scalar, device: &R::Device, dtype: IntDType) -> T<R> {
        int_full
    });
    delegate!(IntTensorOps (tensor: T<R>) -> T<R> {
        int_abs int_sign bitwise_not
    });
    delegate!(IntTensorOps (tensor: T<R>, dim: usize) -> T<R> {
        int_cumsum int_cumprod int_cummin int_cummax });
    delegate!(IntTensorOps (tensor: T<R>, min: Scalar, max: Scalar) -> T<R> {
        int_clamp
    });
    delegate!(IntTensorOps (tensor: T<R>, out_dtype: FloatDType) -> T<R> {
        int_into_float
    });
    delegate!(IntTensorOps (tensor: T<R>, dim1: usize, dim2: usize) -> T<R> {
        int_swap_dims
    });
    delegate!(IntTensorOps (tensor: T<R>, dim: usize, times: usize) -> T<R> {
        int_repeat_dim
    });
    delegate!(IntTensorOps (shape: Shape, distribution: Distribution, device: &R::Device, dtype: IntDType) -> T<R> {
        int_random
    });
    delegate!(IntTensorOps (tensor: T<R>, axes: &[usize]) -> T<R> {
        int_permute int_flip
    });
    delegate!(IntTensorOps (tensor: T<R>, shape: Shape) -> T<R> {
        int_expand
    });
    delegate!(IntTensorOps (tensor: T<R>, dtype: IntDType) -> T<R> {
        int_cast
    });
    delegate!(IntTensorOps (tensor: T<R>, dim: usize, size: usize, step: usize) -> T<R> {
        int_unfold
    });

    // As for floats.
    delegate!(in_order IntTensorOps (tensor: T<R>) -> T<R> {
        int_sum int_prod int_max int_max_abs int_min
    });
    delegate!(in_order IntTensorOps (tensor: T<R>, dim: usize) -> T<R> {
        int_sum_dim int_prod_dim int_max_dim int_max_abs_dim int_min_dim int_mean_dim int_argmax
        int_argmin
    });
    delegate!(in_order IntTensorOps (tensor: T<R>, dim: usize, k: usize) -> T<R> {
        int_topk int_argtopk
    });

    fn int_from_data(data: TensorData, device: &R::Device) -> T<R> {
        traffic::uploaded(data.bytes.len());
        <Inner<R, BT> as IntTensorOps<Inner<R, BT>>>::int_from_data(data, device)
    }

    async fn int_into_data(tensor: T<R>) -> Result<TensorData, ExecutionError> {
        traffic::downloaded();
        <Inner<R, BT> as IntTensorOps<Inner<R, BT>>>::int_into_data(tensor).await
    }

    fn int_reshape(tensor: T<R>, shape: Shape) -> T<R> {
        view::reshape(tensor, shape)
    }
}
