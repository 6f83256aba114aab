use std::ops::Range;

use burn_backend::ops::IntTensorOps;
use burn_backend::tensor::IndexingUpdateOp;
use burn_backend::{
    BoolDType, Distribution, ExecutionError, FloatDType, IntDType, Scalar, Shape, Slice, TensorData,
};
use burn_flex::{Flex, FlexDevice, FlexTensor};

use super::Cpu;
use super::profile::Timer;

impl IntTensorOps<Self> for Cpu {
    delegate!(IntTensorOps {
        int_from_data(data: TensorData, device: &FlexDevice) -> FlexTensor;
        int_device(tensor: &FlexTensor) -> FlexDevice;
        int_to_device(tensor: FlexTensor, device: &FlexDevice) -> FlexTensor;
        int_cat(tensors: Vec<FlexTensor>, dim: usize) -> FlexTensor;
        int_reshape(tensor: FlexTensor, shape: Shape) -> FlexTensor;
        int_slice(tensor: FlexTensor, slices: &[Slice]) -> FlexTensor;
        int_empty(shape: Shape, device: &FlexDevice, dtype: IntDType) -> FlexTensor;
        int_mask_where(tensor: FlexTensor, mask: FlexTensor, value: FlexTensor) -> FlexTensor;
        int_mask_fill(tensor: FlexTensor, mask: FlexTensor, value: Scalar) -> FlexTensor;
        int_slice_assign(tensor: FlexTensor, slices: &[Slice], value: FlexTensor) -> FlexTensor;
        int_gather(dim: usize, tensor: FlexTensor, indices: FlexTensor) -> FlexTensor;
        int_scatter_add(
            dim: usize, tensor: FlexTensor, indices: FlexTensor, value: FlexTensor
        ) -> FlexTensor;
        int_scatter_nd(
            data: FlexTensor, indices: FlexTensor, values: FlexTensor, reduction: IndexingUpdateOp
        ) -> FlexTensor;
        int_gather_nd(data: FlexTensor, indices: FlexTensor) -> FlexTensor;
        int_select(tensor: FlexTensor, dim: usize, indices: FlexTensor) -> FlexTensor;
        int_select_add(
            tensor: FlexTensor, dim: usize, indices: FlexTensor, value: FlexTensor
        ) -> FlexTensor;
        int_equal(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        int_equal_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        int_greater(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        int_greater_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        int_greater_equal(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        int_greater_equal_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        int_lower(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        int_lower_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        int_lower_equal(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        int_lower_equal_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        int_add(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        int_add_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        int_sub(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        int_sub_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        int_mul(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        int_mul_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        int_div(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        int_div_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        int_remainder(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        int_remainder_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        int_into_float(tensor: FlexTensor, out_dtype: FloatDType) -> FlexTensor;
        int_swap_dims(tensor: FlexTensor, dim1: usize, dim2: usize) -> FlexTensor;
        int_permute(tensor: FlexTensor, axes: &[usize]) -> FlexTensor;
        int_flip(tensor: FlexTensor, axes: &[usize]) -> FlexTensor;
        int_random(
            shape: Shape, distribution: Distribution, device: &FlexDevice, dtype: IntDType
        ) -> FlexTensor;
        int_expand(tensor: FlexTensor, shape: Shape) -> FlexTensor;
        int_matmul(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        int_sum(tensor: FlexTensor) -> FlexTensor;
        int_sum_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_prod(tensor: FlexTensor) -> FlexTensor;
        int_prod_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_mean_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_cumsum(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_cumprod(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_cummin(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_cummax(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_argmax(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_argtopk(tensor: FlexTensor, dim: usize, k: usize) -> FlexTensor;
        int_argmin(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_abs(tensor: FlexTensor) -> FlexTensor;
        bitwise_and(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bitwise_and_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        bitwise_or(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bitwise_or_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        bitwise_xor(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bitwise_xor_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        bitwise_not(tensor: FlexTensor) -> FlexTensor;
        bitwise_left_shift(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bitwise_left_shift_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        bitwise_right_shift(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bitwise_right_shift_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        int_cast(tensor: FlexTensor, dtype: IntDType) -> FlexTensor;
        int_unfold(tensor: FlexTensor, dim: usize, size: usize, step: usize) -> FlexTensor;
        int_neg(tensor: FlexTensor) -> FlexTensor;
        int_clamp(tensor: FlexTensor, min: Scalar, max: Scalar) -> FlexTensor;
        int_clamp_min(tensor: FlexTensor, min: Scalar) -> FlexTensor;
        int_clamp_max(tensor: FlexTensor, max: Scalar) -> FlexTensor;
        int_sign(tensor: FlexTensor) -> FlexTensor;
        int_mean(tensor: FlexTensor) -> FlexTensor;
        int_max(tensor: FlexTensor) -> FlexTensor;
        int_max_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_min(tensor: FlexTensor) -> FlexTensor;
        int_min_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_max_dim_with_indices(tensor: FlexTensor, dim: usize) -> (FlexTensor, FlexTensor);
        int_min_dim_with_indices(tensor: FlexTensor, dim: usize) -> (FlexTensor, FlexTensor);
        int_any(tensor: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        int_any_dim(tensor: FlexTensor, dim: usize, out_dtype: BoolDType) -> FlexTensor;
        int_all(tensor: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        int_all_dim(tensor: FlexTensor, dim: usize, out_dtype: BoolDType) -> FlexTensor;
        int_powi(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        int_zeros(shape: Shape, device: &FlexDevice, dtype: IntDType) -> FlexTensor;
        int_ones(shape: Shape, device: &FlexDevice, dtype: IntDType) -> FlexTensor;
        int_full(
            shape: Shape, fill_value: Scalar, device: &FlexDevice, dtype: IntDType
        ) -> FlexTensor;
        int_transpose(tensor: FlexTensor) -> FlexTensor;
        int_repeat_dim(tensor: FlexTensor, dim: usize, times: usize) -> FlexTensor;
        int_not_equal(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        int_not_equal_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        int_sort(tensor: FlexTensor, dim: usize, descending: bool) -> FlexTensor;
        int_sort_with_indices(
            tensor: FlexTensor, dim: usize, descending: bool
        ) -> (FlexTensor, FlexTensor);
        int_argsort(tensor: FlexTensor, dim: usize, descending: bool) -> FlexTensor;
        int_powi_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        int_powi_scalar_impl(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        int_max_abs(tensor: FlexTensor) -> FlexTensor;
        int_max_abs_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        int_arange(range: Range<i64>, device: &FlexDevice, dtype: IntDType) -> FlexTensor;
        int_arange_step(
            range: Range<i64>, step: usize, device: &FlexDevice, dtype: IntDType
        ) -> FlexTensor;
    });

    async fn int_into_data(tensor: FlexTensor) -> Result<TensorData, ExecutionError> {
        <Flex as IntTensorOps<Flex>>::int_into_data(tensor).await
    }
}
