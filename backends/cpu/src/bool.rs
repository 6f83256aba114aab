use burn_backend::ops::BoolTensorOps;
use burn_backend::{
    BoolDType, ExecutionError, FloatDType, IntDType, Scalar, Shape, Slice, TensorData,
};
use burn_flex::{Flex, FlexDevice, FlexTensor};

use super::Cpu;
use super::profile::Timer;

impl BoolTensorOps<Self> for Cpu {
    delegate!(BoolTensorOps {
        bool_from_data(data: TensorData, device: &FlexDevice) -> FlexTensor;
        bool_device(tensor: &FlexTensor) -> FlexDevice;
        bool_to_device(tensor: FlexTensor, device: &FlexDevice) -> FlexTensor;
        bool_cat(tensors: Vec<FlexTensor>, dim: usize) -> FlexTensor;
        bool_reshape(tensor: FlexTensor, shape: Shape) -> FlexTensor;
        bool_slice(tensor: FlexTensor, slices: &[Slice]) -> FlexTensor;
        bool_empty(shape: Shape, device: &FlexDevice, dtype: BoolDType) -> FlexTensor;
        bool_slice_assign(tensor: FlexTensor, slices: &[Slice], value: FlexTensor) -> FlexTensor;
        bool_into_int(tensor: FlexTensor, out_dtype: IntDType) -> FlexTensor;
        bool_into_float(tensor: FlexTensor, out_dtype: FloatDType) -> FlexTensor;
        bool_swap_dims(tensor: FlexTensor, dim1: usize, dim2: usize) -> FlexTensor;
        bool_permute(tensor: FlexTensor, axes: &[usize]) -> FlexTensor;
        bool_flip(tensor: FlexTensor, axes: &[usize]) -> FlexTensor;
        bool_equal(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bool_not(tensor: FlexTensor) -> FlexTensor;
        bool_and(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bool_or(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bool_xor(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bool_expand(tensor: FlexTensor, shape: Shape) -> FlexTensor;
        bool_zeros(shape: Shape, device: &FlexDevice, dtype: BoolDType) -> FlexTensor;
        bool_ones(shape: Shape, device: &FlexDevice, dtype: BoolDType) -> FlexTensor;
        bool_mask_where(tensor: FlexTensor, mask: FlexTensor, value: FlexTensor) -> FlexTensor;
        bool_mask_fill(tensor: FlexTensor, mask: FlexTensor, value: Scalar) -> FlexTensor;
        bool_gather(dim: usize, tensor: FlexTensor, indices: FlexTensor) -> FlexTensor;
        bool_scatter_or(
            dim: usize, tensor: FlexTensor, indices: FlexTensor, value: FlexTensor
        ) -> FlexTensor;
        bool_equal_elem(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        bool_unfold(tensor: FlexTensor, dim: usize, size: usize, step: usize) -> FlexTensor;
        bool_not_equal(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        bool_not_equal_elem(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        bool_any(tensor: FlexTensor) -> FlexTensor;
        bool_any_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        bool_all(tensor: FlexTensor) -> FlexTensor;
        bool_all_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        bool_select(tensor: FlexTensor, dim: usize, indices: FlexTensor) -> FlexTensor;
        bool_select_or(
            tensor: FlexTensor, dim: usize, indices: FlexTensor, value: FlexTensor
        ) -> FlexTensor;
        bool_transpose(tensor: FlexTensor) -> FlexTensor;
        bool_repeat_dim(tensor: FlexTensor, dim: usize, times: usize) -> FlexTensor;
    });

    async fn bool_into_data(tensor: FlexTensor) -> Result<TensorData, ExecutionError> {
        <Flex as BoolTensorOps<Flex>>::bool_into_data(tensor).await
    }

    async fn bool_argwhere(tensor: FlexTensor, out_dtype: IntDType) -> FlexTensor {
        <Flex as BoolTensorOps<Flex>>::bool_argwhere(tensor, out_dtype).await
    }
}
