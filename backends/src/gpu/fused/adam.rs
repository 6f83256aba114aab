use burn::tensor::Tensor as Burn;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{BoolElement, CubeRuntime};
use cubecl::prelude::*;

use super::super::{Gpu, T};
use super::{are_plain, elements, like, primitive, tensor};
use crate::terms::{AdamFactors, AdamOperands, AdamUpdate};

/// An update of Adam in one launch.
pub(crate) fn update<R: CubeRuntime, BT: BoolElement, const D: usize>(
    (parameter, gradient, moments): AdamOperands<Gpu<R, BT>, D>,
    factors: &AdamFactors,
) -> Result<AdamUpdate<Gpu<R, BT>, D>, AdamOperands<Gpu<R, BT>, D>> {
    let (parameter, gradient) = (primitive(parameter), primitive(gradient));
    let moments = moments.map(|moments| moments.map(primitive));
    let mut all = vec![&parameter, &gradient];
    all.extend(moments.iter().flatten());
    let shape = parameter.meta.shape();
    if !are_plain(&all) || all.iter().any(|one| one.meta.shape() != shape) {
        let moments = moments.map(|moments| moments.map(tensor));
        return Err((tensor(parameter), tensor(gradient), moments));
    }
    let (parameter, moments) = updated(parameter, gradient, moments, factors);
    let parameter: Burn<Gpu<R, BT>, D> = tensor(parameter);
    Ok((parameter, moments.map(tensor)))
}

fn updated<R: CubeRuntime>(
    parameter: T<R>,
    gradient: T<R>,
    moments: Option<[T<R>; 2]>,
    factors: &AdamFactors,
) -> (T<R>, [T<R>; 2]) {
    let [parameter, gradient] = [parameter, gradient].map(into_contiguous);
    let is_first = moments.is_none();
    let moments = moments.map(|moments| moments.map(into_contiguous));
    // At the first update both are zero, and nothing is read.
    let [first, second] = moments.unwrap_or_else(|| [gradient.clone(), gradient.clone()]);
    let outputs = [(); 3].map(|()| like(&parameter));
    let (cubes, dim) = elements(&parameter);
    let arg = |tensor: &T<R>| tensor.clone().into_tensor_arg();
    adam_kernel::launch::<R>(
        &parameter.client,
        cubes,
        dim,
        arg(&parameter),
        arg(&gradient),
        arg(&first),
        arg(&second),
        arg(&outputs[0]),
        arg(&outputs[1]),
        arg(&outputs[2]),
        factors.beta_1,
        factors.beta_2,
        factors.scale,
        factors.epsilon,
        factors.rate,
        is_first,
    );
    let [parameter, first, second] = outputs;
    (parameter, [first, second])
}

#[cube(launch)]
fn adam_kernel(
    parameter: &Tensor<f32>,
    gradient: &Tensor<f32>,
    first: &Tensor<f32>,
    second: &Tensor<f32>,
    new_parameter: &mut Tensor<f32>,
    new_first: &mut Tensor<f32>,
    new_second: &mut Tensor<f32>,
    beta_1: f32,
    beta_2: f32,
    scale: f32,
    epsilon: f32,
    rate: f32,
    #[comptime] is_first: bool,
) {
    let place = ABSOLUTE_POS;
    if place >= parameter.len() {
        terminate!();
    }
    let slope = gradient[place];
    let mut mean = slope * (1.0 - beta_1);
    let mut square = slope * slope * (1.0 - beta_2);
    if comptime!(!is_first) {
        mean += first[place] * beta_1;
        square += second[place] * beta_2;
    }
    new_first[place] = mean;
    new_second[place] = square;
    new_parameter[place] = parameter[place] - mean * scale / (square.sqrt() + epsilon) * rate;
}
