//! Kernels of the operations in [`crate::fused`] for GPUs: one launch where burn's operations take many.
//!
//! They take `f32` and bring operands into the order of their axes first. One unit computes one element,
//! or a cube of [`UNITS`] units a sum.

#![allow(
    clippy::result_large_err,
    clippy::type_complexity,
    reason = "an error is no failure: it hands all operands back, as they came"
)]

pub(crate) mod activation;
pub(crate) mod adam;
pub(crate) mod average;
pub(crate) mod labels;
pub(crate) mod modulate;
pub(crate) mod normalise;
pub(crate) mod softmax;
pub(crate) mod spectral;
pub(crate) mod standardise;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor as Burn, TensorPrimitive};
use burn_backend::tensor::FloatTensor;
use burn_backend::{DType, Shape};
use burn_cubecl::{CubeRuntime, ops};
use cubecl::prelude::*;
use cubecl::{CubeCount, CubeDim, calculate_cube_count_elemwise};

use super::T;

/// Units of a cube that takes a sum.
const UNITS: usize = 1 << HALVINGS;

/// How often they are halved until one is left.
const HALVINGS: usize = 8;

fn primitive<B: Backend, const D: usize>(tensor: Burn<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Burn<B, D> {
    Burn::from_primitive(TensorPrimitive::Float(primitive))
}

/// Whether kernels can read all of these.
fn are_plain<R: CubeRuntime>(tensors: &[&T<R>]) -> bool {
    tensors.iter().all(|tensor| {
        let is_empty = tensor.meta.num_elements() == 0;
        tensor.dtype == DType::F32 && tensor.qparams.is_none() && !is_empty
    })
}

/// A tensor of this shape beside another, to be written to.
fn beside<R: CubeRuntime>(tensor: &T<R>, shape: Shape) -> T<R> {
    ops::numeric::empty_device_contiguous_dtype(
        tensor.client.clone(),
        tensor.device.clone(),
        shape,
        tensor.dtype,
    )
}

/// A tensor of the same shape beside another, to be written to.
fn like<R: CubeRuntime>(tensor: &T<R>) -> T<R> {
    beside(tensor, tensor.meta.shape().clone())
}

/// One unit for every element of a tensor.
fn elements<R: CubeRuntime>(tensor: &T<R>) -> (CubeCount, CubeDim) {
    let count = tensor.meta.num_elements();
    let dim = CubeDim::new(&tensor.client, count);
    (
        calculate_cube_count_elemwise(&tensor.client, count, dim),
        dim,
    )
}

/// So many cubes of [`UNITS`] units.
fn sums(cubes: usize) -> (CubeCount, CubeDim) {
    (
        CubeCount::Static(cubes as u32, 1, 1),
        CubeDim::new_1d(UNITS as u32),
    )
}

/// The sum of a value over all units of a cube.
#[cube]
fn over_cube(value: f32) -> f32 {
    let mut shared = SharedMemory::<f32>::new(UNITS);
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    #[unroll]
    for step in 0..HALVINGS {
        let half = comptime!(UNITS >> (step + 1));
        if unit < half {
            let other = shared[unit + half];
            shared[unit] += other;
        }
        sync_cube();
    }
    let sum = shared[0];
    sync_cube();
    sum
}
