use burn::tensor::Tensor as Burn;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{BoolElement, CubeRuntime};
use cubecl::prelude::*;

use super::super::{Gpu, T};
use super::{are_plain, elements, like, primitive, tensor};

type Operands<R, BT> = (Burn<Gpu<R, BT>, 3>, [Burn<Gpu<R, BT>, 1>; 3]);

/// By values that are given, without a graph.
pub(crate) fn standardise<R: CubeRuntime, BT: BoolElement>(
    (input, values): Operands<R, BT>,
) -> Result<Burn<Gpu<R, BT>, 3>, Operands<R, BT>> {
    let (input, values) = (primitive(input), values.map(primitive));
    let channels = input.meta.shape()[1];
    let fit = |values: &T<R>| are_plain(&[values]) && values.meta.num_elements() == channels;
    if !are_plain(&[&input]) || !values.iter().all(fit) {
        return Err((tensor(input), values.map(tensor)));
    }
    let input = into_contiguous(input);
    let [mean, scale, shift] = values.map(into_contiguous);
    let output = like(&input);
    let (cubes, dim) = elements(&input);
    standardise_kernel::launch::<R>(
        &input.client.clone(),
        cubes,
        dim,
        input.into_tensor_arg(),
        mean.into_tensor_arg(),
        scale.into_tensor_arg(),
        shift.into_tensor_arg(),
        output.clone().into_tensor_arg(),
    );
    Ok(tensor(output))
}

#[cube(launch)]
fn standardise_kernel(
    input: &Tensor<f32>,
    mean: &Tensor<f32>,
    scale: &Tensor<f32>,
    shift: &Tensor<f32>,
    output: &mut Tensor<f32>,
) {
    let place = ABSOLUTE_POS;
    if place >= output.len() {
        terminate!();
    }
    let channel = place / input.shape(2) % input.shape(1);
    output[place] = (input[place] - mean[channel]) * scale[channel] + shift[channel];
}
