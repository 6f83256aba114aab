use burn::tensor::Tensor as Burn;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{BoolElement, CubeRuntime};
use cubecl::prelude::*;

use super::super::Gpu;
use super::{are_plain, elements, like, primitive, tensor};

type Pair<R, BT, const D: usize> = (Burn<Gpu<R, BT>, D>, Burn<Gpu<R, BT>, D>);

/// `decay · average + (1 − decay) · current` in one launch.
pub(crate) fn moving_average<R: CubeRuntime, BT: BoolElement, const D: usize>(
    (average, current): Pair<R, BT, D>,
    decay: f64,
) -> Result<Burn<Gpu<R, BT>, D>, Pair<R, BT, D>> {
    let (average, current) = (primitive(average), primitive(current));
    if !are_plain(&[&average, &current]) || average.meta.shape() != current.meta.shape() {
        return Err((tensor(average), tensor(current)));
    }
    let [average, current] = [average, current].map(into_contiguous);
    let output = like(&average);
    let (cubes, dim) = elements(&average);
    average_kernel::launch::<R>(
        &average.client.clone(),
        cubes,
        dim,
        average.into_tensor_arg(),
        current.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        decay as f32,
        (1.0 - decay) as f32,
    );
    Ok(tensor(output))
}

#[cube(launch)]
fn average_kernel(
    average: &Tensor<f32>,
    current: &Tensor<f32>,
    output: &mut Tensor<f32>,
    decay: f32,
    rest: f32,
) {
    let place = ABSOLUTE_POS;
    if place >= output.len() {
        terminate!();
    }
    output[place] = average[place] * decay + current[place] * rest;
}
