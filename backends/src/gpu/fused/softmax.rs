use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use cubecl::prelude::*;

use super::super::T;
use super::{HALVINGS, UNITS, like, over_cube, sums};

/// Rows that every driver takes: a cube each, in one axis.
pub(crate) const ROWS: usize = 65_535;

/// softmax(scale · scores) over the last axis of at most [`ROWS`] rows of `f32`, in one launch.
///
/// A row is read three times, the second and third time from the cache.
pub(crate) fn softmax<R: CubeRuntime>(scores: T<R>, scale: f64) -> T<R> {
    let scores = into_contiguous(scores);
    let output = like(&scores);
    let length = scores.meta.shape().last().copied().unwrap_or(1).max(1);
    let (cubes, dim) = sums(scores.meta.num_elements() / length);
    softmax_kernel::launch::<R>(
        &scores.client.clone(),
        cubes,
        dim,
        scores.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        scale as f32,
        length as u32,
    );
    output
}

#[cube(launch)]
fn softmax_kernel(scores: &Tensor<f32>, output: &mut Tensor<f32>, scale: f32, length: u32) {
    let length = length as usize;
    let start = CUBE_POS * length;
    let mut largest = scores[start] * scale;
    let mut number = UNIT_POS as usize;
    while number < length {
        largest = max(largest, scores[start + number] * scale);
        number += UNITS;
    }
    let largest = largest_of_cube(largest);
    let mut sum = 0.0f32;
    let mut number = UNIT_POS as usize;
    while number < length {
        let share = (scores[start + number] * scale - largest).exp();
        output[start + number] = share;
        sum += share;
        number += UNITS;
    }
    let sum = over_cube(sum);
    let mut number = UNIT_POS as usize;
    while number < length {
        output[start + number] = output[start + number] / sum;
        number += UNITS;
    }
}

/// The largest of the values of all units of a cube.
#[cube]
fn largest_of_cube(value: f32) -> f32 {
    let mut shared = SharedMemory::<f32>::new(UNITS);
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    #[unroll]
    for step in 0..HALVINGS {
        let half = comptime!(UNITS >> (step + 1));
        if unit < half {
            let other = shared[unit + half];
            shared[unit] = max(shared[unit], other);
        }
        sync_cube();
    }
    let largest = shared[0];
    sync_cube();
    largest
}
