//! Two-dimensional convolutions and their gradients in `f32`.

mod bias;
mod forward;
mod geometry;
mod input;
mod joined;
mod panels;
mod pointwise;
mod product;
#[cfg(test)]
mod tests;
mod weight;
mod winograd;

pub(super) use bias::bias_gradient;
pub(super) use forward::unfolded;
pub(super) use geometry::{Axis, Conv};
pub(super) use input::{folded, mirror_weight};
pub(super) use joined::{joined, joined_folded, joins};
pub(super) use pointwise::{is_pointwise, pointwise, pointwise_input};
pub(super) use product::{Matrix, set_product, set_scaled_product, sum};
pub(super) use weight::weight_gradient;
pub(super) use winograd::{Kernels, filtered, suits};

use burn_backend::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};
use rayon::prelude::*;

/// A contiguous tensor over `values`.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    shaped(values, Shape::from(shape))
}

/// The same with a shape whose number of axes is not known.
pub(super) fn shaped(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// Zeros, written by all threads: the system brings in the pages of a large output at the first write.
pub(super) fn zeros(length: usize) -> Vec<f32> {
    let mut zeros = Vec::new();
    zeros.par_extend(rayon::iter::repeat_n(0.0, length));
    zeros
}
