use burn_backend::ops::BoolTensorOps;
use burn_backend::{
    BoolDType, ExecutionError, FloatDType, IntDType, Scalar, Shape, Slice, TensorData,
};
use burn_cubecl::{BoolElement, CubeRuntime};

use super::{Gpu, Inner, T, traffic, view};

impl<R: CubeRuntime, BT: BoolElement> BoolTensorOps<Self> for Gpu<R, BT> {
    delegate!(BoolTensorOps (shape: Shape, device: &R::Device, dtype: BoolDType) -> T<R> {
        bool_empty bool_zeros bool_ones
    });
    delegate!(BoolTensorOps (tensor: T<R>, out_dtype: IntDType) -> T<R> {
        bool_into_int
    });
    delegate!(BoolTensorOps (tensor: &T<R>) -> R::Device {
        bool_device
    });
    delegate!(BoolTensorOps (tensor: T<R>, device: &R::Device) -> T<R> {
        bool_to_device
    });
    delegate!(BoolTensorOps (tensor: T<R>, slices: &[Slice]) -> T<R> {
        bool_slice
    });
    delegate!(BoolTensorOps (tensor: T<R>, ranges: &[Slice], value: T<R>) -> T<R> {
        bool_slice_assign
    });
    delegate!(BoolTensorOps (lhs: T<R>, rhs: T<R>) -> T<R> {
        bool_equal bool_and bool_or
    });
    delegate!(BoolTensorOps (tensor: T<R>) -> T<R> {
        bool_not
    });
    delegate!(BoolTensorOps (tensor: T<R>, out_dtype: FloatDType) -> T<R> {
        bool_into_float
    });
    delegate!(BoolTensorOps (tensor: T<R>, dim1: usize, dim2: usize) -> T<R> {
        bool_swap_dims
    });
    delegate!(BoolTensorOps (tensor: T<R>, dim: usize, times: usize) -> T<R> {
        bool_repeat_dim
    });
    delegate!(BoolTensorOps (tensor: T<R>, axes: &[usize]) -> T<R> {
        bool_permute bool_flip
    });
    delegate!(BoolTensorOps (tensor: T<R>, shape: Shape) -> T<R> {
        bool_expand
    });
    delegate!(BoolTensorOps (tensor: T<R>, dim: usize, indices: T<R>) -> T<R> {
        bool_select
    });
    delegate!(BoolTensorOps (tensor: T<R>, dim: usize, indices: T<R>, value: T<R>) -> T<R> {
        bool_select_or
    });
    delegate!(BoolTensorOps (tensor: T<R>, dim: usize, size: usize, step: usize) -> T<R> {
        bool_unfold
    });
    delegate!(BoolTensorOps (tensor: T<R>, mask: T<R>, value: T<R>) -> T<R> {
        bool_mask_where
    });
    delegate!(BoolTensorOps (tensor: T<R>, mask: T<R>, value: Scalar) -> T<R> {
        bool_mask_fill
    });
    delegate!(BoolTensorOps (dim: usize, tensor: T<R>, indices: T<R>) -> T<R> {
        bool_gather
    });
    delegate!(BoolTensorOps (dim: usize, tensor: T<R>, indices: T<R>, value: T<R>) -> T<R> {
        bool_scatter_or
    });
    delegate!(BoolTensorOps (lhs: T<R>, rhs: Scalar) -> T<R> {
        bool_equal_elem
    });

    fn bool_from_data(data: TensorData, device: &R::Device) -> T<R> {
        traffic::uploaded(data.bytes.len());
        <Inner<R, BT> as BoolTensorOps<Inner<R, BT>>>::bool_from_data(data, device)
    }

    async fn bool_into_data(tensor: T<R>) -> Result<TensorData, ExecutionError> {
        traffic::downloaded();
        <Inner<R, BT> as BoolTensorOps<Inner<R, BT>>>::bool_into_data(tensor).await
    }

    fn bool_reshape(tensor: T<R>, shape: Shape) -> T<R> {
        view::reshape(tensor, shape)
    }
}
