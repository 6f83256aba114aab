//! Two-dimensional convolutions and their gradients in `f32`.

mod bias;
mod forward;
mod geometry;
mod input;
mod product;
#[cfg(test)]
mod tests;
mod weight;
mod winograd;

pub(super) use bias::bias_gradient;
pub(super) use forward::unfolded;
pub(super) use geometry::{Axis, Conv};
pub(super) use input::{folded, mirror_weight};
pub(super) use weight::weight_gradient;
pub(super) use winograd::{filtered, suits};

use burn_backend::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

/// A contiguous tensor over `values`.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    let layout = Layout::contiguous(Shape::from(shape));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}
