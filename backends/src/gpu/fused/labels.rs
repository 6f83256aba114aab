use burn::tensor::{Int, Tensor as Burn};
use burn_backend::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{BoolElement, CubeRuntime};
use cubecl::prelude::*;

use super::super::Gpu;
use super::{are_plain, beside, elements, primitive, tensor};

type Operands<R, BT> = (
    Burn<Gpu<R, BT>, 4>,
    Burn<Gpu<R, BT>, 1>,
    Burn<Gpu<R, BT>, 3, Int>,
);

/// Without a graph.
pub(crate) fn convolve<R: CubeRuntime, BT: BoolElement>(
    (weight, bias, labels): Operands<R, BT>,
) -> Result<Burn<Gpu<R, BT>, 4>, Operands<R, BT>> {
    let (weight, bias) = (primitive(weight), primitive(bias));
    let labels = labels.into_primitive();
    let [batch, height, width] = labels.meta.shape().dims();
    let channels = weight.meta.shape()[0];
    let fit = bias.meta.num_elements() == channels && labels.meta.num_elements() > 0;
    if !fit || !are_plain(&[&weight, &bias]) || labels.dtype != DType::I32 {
        return Err((tensor(weight), tensor(bias), Burn::from_primitive(labels)));
    }
    let [weight, bias, labels] = [weight, bias, labels].map(into_contiguous);
    let output = beside(&weight, Shape::new([batch, channels, height, width]));
    let (cubes, dim) = elements(&output);
    convolve_kernel::launch::<R>(
        &weight.client.clone(),
        cubes,
        dim,
        weight.into_tensor_arg(),
        bias.into_tensor_arg(),
        labels.into_tensor_arg(),
        output.clone().into_tensor_arg(),
    );
    Ok(tensor(output))
}

#[cube(launch)]
fn convolve_kernel(
    weight: &Tensor<f32>,
    bias: &Tensor<f32>,
    labels: &Tensor<i32>,
    output: &mut Tensor<f32>,
) {
    let place = ABSOLUTE_POS;
    if place >= output.len() {
        terminate!();
    }
    let channels = output.shape(1);
    let height = output.shape(2);
    let width = output.shape(3);
    let column = place % width;
    let row = place / width % height;
    let channel = place / (width * height) % channels;
    let image = place / (width * height * channels);
    let classes = weight.shape(1);
    let mut sum = bias[channel];
    #[unroll]
    for tap in 0..9usize {
        // One more than the pixel's place, which may lie before the first.
        let y = row + tap / 3;
        let x = column + tap % 3;
        if y >= 1 && y <= height && x >= 1 && x <= width {
            let label = labels[(image * height + y - 1) * width + x - 1];
            sum += weight[(channel * classes + usize::cast_from(label)) * 9 + tap];
        }
    }
    output[place] = sum;
}
