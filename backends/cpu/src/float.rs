use burn_backend::ops::{FloatTensorOps, GridSampleOptions};
use burn_backend::tensor::IndexingUpdateOp;
use burn_backend::{
    BoolDType, Distribution, ExecutionError, FloatDType, IntDType, Scalar, Shape, Slice, TensorData,
};
use burn_flex::ops::unary::erf_f32;
use burn_flex::{Flex, FlexDevice, FlexTensor, Layout};

use super::profile::{self, Timer};
use super::{Cpu, elementwise, low, matmul, strided};

impl FloatTensorOps<Self> for Cpu {
    delegate!(FloatTensorOps {
        float_from_data(data: TensorData, device: &FlexDevice) -> FlexTensor;
        float_random(
            shape: Shape, distribution: Distribution, device: &FlexDevice, dtype: FloatDType
        ) -> FlexTensor;
        float_device(tensor: &FlexTensor) -> FlexDevice;
        float_to_device(tensor: FlexTensor, device: &FlexDevice) -> FlexTensor;
        float_detach(tensor: FlexTensor) -> FlexTensor;
        float_into_int(tensor: FlexTensor, out_dtype: IntDType) -> FlexTensor;
        float_empty(shape: Shape, device: &FlexDevice, dtype: FloatDType) -> FlexTensor;
        float_remainder(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        float_remainder_scalar(lhs: FlexTensor, rhs: Scalar) -> FlexTensor;
        float_cross(lhs: FlexTensor, rhs: FlexTensor, dim: usize) -> FlexTensor;
        float_recip(tensor: FlexTensor) -> FlexTensor;
        float_swap_dims(tensor: FlexTensor, dim1: usize, dim2: usize) -> FlexTensor;
        float_permute(tensor: FlexTensor, axes: &[usize]) -> FlexTensor;
        float_flip(tensor: FlexTensor, axes: &[usize]) -> FlexTensor;
        float_cat(tensors: Vec<FlexTensor>, dim: usize) -> FlexTensor;
        float_gather(dim: usize, tensor: FlexTensor, indices: FlexTensor) -> FlexTensor;
        float_scatter_add(
            dim: usize, tensor: FlexTensor, indices: FlexTensor, value: FlexTensor
        ) -> FlexTensor;
        float_scatter_nd(
            data: FlexTensor, indices: FlexTensor, values: FlexTensor, reduction: IndexingUpdateOp
        ) -> FlexTensor;
        float_gather_nd(data: FlexTensor, indices: FlexTensor) -> FlexTensor;
        float_select(tensor: FlexTensor, dim: usize, indices: FlexTensor) -> FlexTensor;
        float_select_add(
            tensor: FlexTensor, dim: usize, indices: FlexTensor, value: FlexTensor
        ) -> FlexTensor;
        float_slice(tensor: FlexTensor, slices: &[Slice]) -> FlexTensor;
        float_mask_where(tensor: FlexTensor, mask: FlexTensor, value: FlexTensor) -> FlexTensor;
        float_mask_fill(tensor: FlexTensor, mask: FlexTensor, value: Scalar) -> FlexTensor;
        float_equal(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_equal_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        float_greater(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_greater_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        float_greater_equal(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_greater_equal_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        float_lower(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_lower_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        float_lower_equal(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_lower_equal_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        float_not_equal(lhs: FlexTensor, rhs: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_not_equal_elem(lhs: FlexTensor, rhs: Scalar, out_dtype: BoolDType) -> FlexTensor;
        float_clamp(tensor: FlexTensor, min: Scalar, max: Scalar) -> FlexTensor;
        float_clamp_min(tensor: FlexTensor, min: Scalar) -> FlexTensor;
        float_clamp_max(tensor: FlexTensor, max: Scalar) -> FlexTensor;
        float_sign(tensor: FlexTensor) -> FlexTensor;
        float_mean(tensor: FlexTensor) -> FlexTensor;
        float_max(tensor: FlexTensor) -> FlexTensor;
        float_max_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        float_min(tensor: FlexTensor) -> FlexTensor;
        float_min_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        float_max_dim_with_indices(
            tensor: FlexTensor, dim: usize, indices_dtype: IntDType
        ) -> (FlexTensor, FlexTensor);
        float_min_dim_with_indices(
            tensor: FlexTensor, dim: usize, indices_dtype: IntDType
        ) -> (FlexTensor, FlexTensor);
        float_any(tensor: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_any_dim(tensor: FlexTensor, dim: usize, out_dtype: BoolDType) -> FlexTensor;
        float_all(tensor: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_all_dim(tensor: FlexTensor, dim: usize, out_dtype: BoolDType) -> FlexTensor;
        float_sum(tensor: FlexTensor) -> FlexTensor;
        float_prod(tensor: FlexTensor) -> FlexTensor;
        float_prod_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        float_cumsum(tensor: FlexTensor, dim: usize) -> FlexTensor;
        float_cumprod(tensor: FlexTensor, dim: usize) -> FlexTensor;
        float_cummin(tensor: FlexTensor, dim: usize) -> FlexTensor;
        float_cummax(tensor: FlexTensor, dim: usize) -> FlexTensor;
        float_log1p(tensor: FlexTensor) -> FlexTensor;
        float_powf(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        float_powf_scalar_impl(tensor: FlexTensor, value: Scalar) -> FlexTensor;
        float_cos(tensor: FlexTensor) -> FlexTensor;
        float_sin(tensor: FlexTensor) -> FlexTensor;
        float_tan(tensor: FlexTensor) -> FlexTensor;
        float_cosh(tensor: FlexTensor) -> FlexTensor;
        float_sinh(tensor: FlexTensor) -> FlexTensor;
        float_acos(tensor: FlexTensor) -> FlexTensor;
        float_acosh(tensor: FlexTensor) -> FlexTensor;
        float_asin(tensor: FlexTensor) -> FlexTensor;
        float_asinh(tensor: FlexTensor) -> FlexTensor;
        float_atan(tensor: FlexTensor) -> FlexTensor;
        float_atanh(tensor: FlexTensor) -> FlexTensor;
        float_atan2(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        float_round(tensor: FlexTensor) -> FlexTensor;
        float_floor(tensor: FlexTensor) -> FlexTensor;
        float_ceil(tensor: FlexTensor) -> FlexTensor;
        float_trunc(tensor: FlexTensor) -> FlexTensor;
        float_argmax(tensor: FlexTensor, dim: usize, out_dtype: IntDType) -> FlexTensor;
        float_argtopk(tensor: FlexTensor, dim: usize, k: usize, out_dtype: IntDType) -> FlexTensor;
        float_argmin(tensor: FlexTensor, dim: usize, out_dtype: IntDType) -> FlexTensor;
        float_expand(tensor: FlexTensor, shape: Shape) -> FlexTensor;
        float_unfold(tensor: FlexTensor, dim: usize, size: usize, step: usize) -> FlexTensor;
        float_grid_sample_2d(
            tensor: FlexTensor, grid: FlexTensor, options: GridSampleOptions
        ) -> FlexTensor;
        float_zeros(shape: Shape, device: &FlexDevice, dtype: FloatDType) -> FlexTensor;
        float_ones(shape: Shape, device: &FlexDevice, dtype: FloatDType) -> FlexTensor;
        float_full(
            shape: Shape, fill_value: Scalar, device: &FlexDevice, dtype: FloatDType
        ) -> FlexTensor;
        float_transpose(tensor: FlexTensor) -> FlexTensor;
        float_repeat_dim(tensor: FlexTensor, dim: usize, times: usize) -> FlexTensor;
        float_sort(tensor: FlexTensor, dim: usize, descending: bool) -> FlexTensor;
        float_sort_with_indices(
            tensor: FlexTensor, dim: usize, descending: bool, indices_dtype: IntDType
        ) -> (FlexTensor, FlexTensor);
        float_argsort(
            tensor: FlexTensor, dim: usize, descending: bool, out_dtype: IntDType
        ) -> FlexTensor;
        float_powi(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor;
        float_powf_scalar(tensor: FlexTensor, value: Scalar) -> FlexTensor;
        float_max_abs(tensor: FlexTensor) -> FlexTensor;
        float_max_abs_dim(tensor: FlexTensor, dim: usize) -> FlexTensor;
        float_is_nan(tensor: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
        float_is_inf(tensor: FlexTensor, out_dtype: BoolDType) -> FlexTensor;
    });

    threaded!(of_one {
        float_neg: |value: f32| -value;
        float_abs: f32::abs;
        float_sqrt: f32::sqrt;
        float_exp: f32::exp;
        float_log: f32::ln;
        float_tanh: f32::tanh;
        float_erf: erf_f32;
    });
    threaded!(of_one_and_scalar {
        float_add_scalar: |a: f32, b: f32| a + b;
        float_sub_scalar: |a: f32, b: f32| a - b;
        float_mul_scalar: |a: f32, b: f32| a * b;
        float_div_scalar: |a: f32, b: f32| a / b;
    });
    threaded!(of_two {
        float_add: |a: f32, b: f32| a + b;
        float_sub: |a: f32, b: f32| a - b;
        float_mul: |a: f32, b: f32| a * b;
        float_div: |a: f32, b: f32| a / b;
    });

    fn float_cast(tensor: FlexTensor, dtype: FloatDType) -> FlexTensor {
        let _timer = Timer::with_shapes("float_cast", || profile::shape(&tensor));
        low::cast(&tensor, dtype.into()).unwrap_or_else(|| Flex::float_cast(tensor, dtype))
    }

    fn float_matmul(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor {
        if let Some(dtype) = low::low_type(&lhs) {
            let [lhs, rhs] = [lhs, rhs].map(low::widened);
            return low::rounded(dtype, || Self::float_matmul(lhs, rhs));
        }
        let _timer = Timer::with_macs("float_matmul", || {
            let shapes = format!("{} x {}", profile::shape(&lhs), profile::shape(&rhs));
            let [left, right] = [&lhs, &rhs].map(|tensor| tensor.layout().shape());
            let columns = right.as_slice().last().copied().unwrap_or(1);
            (shapes, left.num_elements() * columns)
        });
        match matmul::product(&lhs, &rhs) {
            Some(product) => product,
            None => Flex::float_matmul(lhs, rhs),
        }
    }

    fn float_slice_assign(tensor: FlexTensor, slices: &[Slice], value: FlexTensor) -> FlexTensor {
        let _timer = Timer::with_shapes("float_slice_assign", || {
            format!("{} in {}", profile::shape(&value), profile::shape(&tensor))
        });
        strided::assign(tensor, slices, value)
            .unwrap_or_else(|(tensor, value)| Flex::float_slice_assign(tensor, slices, value))
    }

    /// Also a contiguous part of a tensor, which Flex would copy, keeps its memory.
    fn float_reshape(tensor: FlexTensor, shape: Shape) -> FlexTensor {
        let _timer = Timer::with_shapes("float_reshape", || profile::shape(&tensor));
        let layout = tensor.layout();
        match layout.contiguous_offsets() {
            Some((start, end)) if end - start == shape.num_elements() => {
                let strides = Layout::contiguous(shape.clone()).strides().to_vec();
                tensor.with_layout(Layout::new(shape, strides, start))
            }
            _ => match strided::contiguous(&tensor) {
                Some(copy) => Flex::float_reshape(copy, shape),
                None => Flex::float_reshape(tensor, shape),
            },
        }
    }

    fn float_sum_dim(tensor: FlexTensor, dim: usize) -> FlexTensor {
        let _timer = Timer::new("float_sum_dim");
        match elementwise::sums(&tensor, dim) {
            Some((sums, _)) => sums,
            None => Flex::float_sum_dim(tensor, dim),
        }
    }

    fn float_mean_dim(tensor: FlexTensor, dim: usize) -> FlexTensor {
        let _timer = Timer::new("float_mean_dim");
        match elementwise::sums(&tensor, dim) {
            Some((sums, length)) => Self::float_div_scalar(sums, Scalar::Float(length as f64)),
            None => Flex::float_mean_dim(tensor, dim),
        }
    }

    async fn float_into_data(tensor: FlexTensor) -> Result<TensorData, ExecutionError> {
        <Flex as FloatTensorOps<Flex>>::float_into_data(tensor).await
    }
}
