use burn_backend::ops::{FloatTensorOps, GridSampleOptions};
use burn_backend::tensor::IndexingUpdateOp;
use burn_backend::{
    BoolDType, Distribution, ExecutionError, FloatDType, IntDType, Scalar, Shape, Slice, TensorData,
};
use burn_cubecl::kernel::into_contiguous_aligned;
use burn_cubecl::{BoolElement, CubeRuntime};

use super::{Gpu, Inner, T, product, select, traffic, view};

impl<R: CubeRuntime, BT: BoolElement> FloatTensorOps<Self> for Gpu<R, BT> {
    delegate!(FloatTensorOps (shape: Shape, distribution: Distribution, device: &R::Device, dtype: FloatDType) -> T<R> {
        float_random
    });
    delegate!(FloatTensorOps (tensor: &T<R>) -> R::Device {
        float_device
    });
    delegate!(FloatTensorOps (tensor: T<R>, device: &R::Device) -> T<R> {
        float_to_device
    });
    delegate!(FloatTensorOps (shape: Shape, device: &R::Device, dtype: FloatDType) -> T<R> {
        float_empty float_zeros float_ones
    });
    delegate!(FloatTensorOps (lhs: T<R>, rhs: T<R>) -> T<R> {
        float_add float_sub float_mul float_div float_remainder float_atan2 float_powf
    });
    delegate!(FloatTensorOps (lhs: T<R>, rhs: Scalar) -> T<R> {
        float_add_scalar float_sub_scalar float_mul_scalar float_div_scalar
        float_remainder_scalar float_powf_scalar_impl
    });
    delegate!(FloatTensorOps (shape: Shape, fill_value: Scalar, device: &R::Device, dtype: FloatDType) -> T<R> {
        float_full
    });
    delegate!(FloatTensorOps (lhs: T<R>, rhs: T<R>, dim: usize) -> T<R> {
        float_cross
    });
    delegate!(FloatTensorOps (tensor: T<R>, dim1: usize, dim2: usize) -> T<R> {
        float_swap_dims
    });
    delegate!(FloatTensorOps (dim: usize, tensor: T<R>, indices: T<R>) -> T<R> {
        float_gather
    });
    delegate!(FloatTensorOps (dim: usize, tensor: T<R>, indices: T<R>, value: T<R>) -> T<R> {
        float_scatter_add
    });
    delegate!(FloatTensorOps (data: T<R>, indices: T<R>, values: T<R>, reduction: IndexingUpdateOp) -> T<R> {
        float_scatter_nd
    });
    delegate!(FloatTensorOps (data: T<R>, indices: T<R>) -> T<R> {
        float_gather_nd
    });
    delegate!(FloatTensorOps (tensor: T<R>, dim: usize, indices: T<R>) -> T<R> {
        float_select
    });
    delegate!(FloatTensorOps (tensor: T<R>, slices: &[Slice]) -> T<R> {
        float_slice
    });
    delegate!(FloatTensorOps (tensor: T<R>, ranges: &[Slice], value: T<R>) -> T<R> {
        float_slice_assign
    });
    delegate!(FloatTensorOps (tensor: T<R>, mask: T<R>, value: T<R>) -> T<R> {
        float_mask_where
    });
    delegate!(FloatTensorOps (tensor: T<R>, mask: T<R>, value: Scalar) -> T<R> {
        float_mask_fill
    });
    delegate!(FloatTensorOps (lhs: T<R>, rhs: T<R>, out_dtype: BoolDType) -> T<R> {
        float_equal float_greater float_greater_equal float_lower float_lower_equal
    });
    delegate!(FloatTensorOps (lhs: T<R>, rhs: Scalar, out_dtype: BoolDType) -> T<R> {
        float_equal_elem float_greater_elem float_greater_equal_elem float_lower_elem
        float_lower_equal_elem
    });
    delegate!(FloatTensorOps (tensor: T<R>) -> T<R> {
        float_exp
        float_log float_log1p float_sqrt float_abs float_sign float_cos float_sin float_tan
        float_cosh float_sinh float_tanh float_acos float_acosh float_asin float_asinh
        float_atan float_atanh float_round float_floor float_ceil float_trunc float_erf
        float_recip
    });
    delegate!(FloatTensorOps (tensor: T<R>, dim: usize) -> T<R> {
        float_cumsum float_cumprod float_cummin float_cummax });

    delegate!(FloatTensorOps (tensor: T<R>, out_dtype: IntDType) -> T<R> {
        float_into_int
    });
    delegate!(FloatTensorOps (tensor: T<R>, min: Scalar, max: Scalar) -> T<R> {
        float_clamp
    });
    delegate!(FloatTensorOps (tensor: T<R>, dim: usize, times: usize) -> T<R> {
        float_repeat_dim
    });
    delegate!(FloatTensorOps (tensor: T<R>, axes: &[usize]) -> T<R> {
        float_permute float_flip
    });
    delegate!(FloatTensorOps (tensor: T<R>, shape: Shape) -> T<R> {
        float_expand
    });
    delegate!(FloatTensorOps (tensor: T<R>, dtype: FloatDType) -> T<R> {
        float_cast
    });
    delegate!(FloatTensorOps (tensor: T<R>, dim: usize, size: usize, step: usize) -> T<R> {
        float_unfold
    });
    delegate!(FloatTensorOps (tensor: T<R>, out_dtype: BoolDType) -> T<R> {
        float_is_nan float_is_inf
    });
    delegate!(FloatTensorOps (tensor: T<R>, grid: T<R>, options: GridSampleOptions) -> T<R> {
        float_grid_sample_2d
    });

    // Sums of transposed tensors miss elements and take others twice.
    delegate!(in_order FloatTensorOps (tensor: T<R>) -> T<R> {
        float_sum float_max float_min float_max_abs float_mean float_prod
    });
    delegate!(in_order FloatTensorOps (tensor: T<R>, dim: usize) -> T<R> {
        float_max_dim float_min_dim float_max_abs_dim float_sum_dim float_mean_dim float_prod_dim
    });
    delegate!(in_order FloatTensorOps (tensor: T<R>, dim: usize, out_dtype: IntDType) -> T<R> {
        float_argmax float_argmin
    });
    delegate!(in_order FloatTensorOps (
        tensor: T<R>, dim: usize, k: usize, out_dtype: IntDType
    ) -> T<R> {
        float_argtopk
    });
    delegate!(in_order FloatTensorOps (tensor: T<R>, dim: usize, k: usize) -> T<R> {
        float_topk
    });

    fn float_from_data(data: TensorData, device: &R::Device) -> T<R> {
        traffic::uploaded(data.bytes.len());
        <Inner<R, BT> as FloatTensorOps<Inner<R, BT>>>::float_from_data(data, device)
    }

    async fn float_into_data(tensor: T<R>) -> Result<TensorData, ExecutionError> {
        traffic::downloaded();
        <Inner<R, BT> as FloatTensorOps<Inner<R, BT>>>::float_into_data(tensor).await
    }

    fn float_reshape(tensor: T<R>, shape: Shape) -> T<R> {
        view::reshape(tensor, shape)
    }

    fn float_matmul(lhs: T<R>, rhs: T<R>) -> T<R> {
        product::matmul(lhs, rhs)
    }

    fn float_select_add(tensor: T<R>, dim: usize, indices: T<R>, value: T<R>) -> T<R> {
        select::add::<R, BT>(tensor, dim, indices, value).unwrap_or_else(
            |(tensor, indices, value)| {
                <Inner<R, BT> as FloatTensorOps<Inner<R, BT>>>::float_select_add(
                    tensor, dim, indices, value,
                )
            },
        )
    }
}
