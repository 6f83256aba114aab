use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::Tensor as Burn;
use burn_backend::Shape;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{BoolElement, CubeRuntime};
use cubecl::prelude::*;

use super::super::{Gpu, T};
use super::{are_plain, beside, elements, like, primitive, tensor};

type Plain<R, BT> = (Burn<Gpu<R, BT>, 3>, Burn<Gpu<R, BT>, 4>);
type Standardised<R, BT> = (
    Burn<Gpu<R, BT>, 3>,
    [Burn<Gpu<R, BT>, 1>; 3],
    Burn<Gpu<R, BT>, 4>,
);
type Tracked<R, BT> = (Burn<Autodiff<Gpu<R, BT>>, 3>, Burn<Autodiff<Gpu<R, BT>>, 4>);

/// Without a graph.
pub(crate) fn plain<R: CubeRuntime, BT: BoolElement>(
    (normal, modulation): Plain<R, BT>,
    slope: f64,
) -> Result<Burn<Gpu<R, BT>, 4>, Plain<R, BT>> {
    let (normal, modulation) = (primitive(normal), primitive(modulation));
    if !suit(&normal, &modulation, slope) {
        return Err((tensor(normal), tensor(modulation)));
    }
    let [normal, modulation] = [normal, modulation].map(into_contiguous);
    Ok(tensor(forward(normal, modulation, slope as f32)))
}

/// Within a graph, which keeps operands and output.
pub(crate) fn tracked<R: CubeRuntime, BT: BoolElement>(
    (normal, modulation): Tracked<R, BT>,
    slope: f64,
) -> Result<Burn<Autodiff<Gpu<R, BT>>, 4>, Tracked<R, BT>> {
    let (normal, modulation) = (primitive(normal), primitive(modulation));
    if !suit(&normal.primitive, &modulation.primitive, slope) {
        return Err((tensor(normal), tensor(modulation)));
    }
    let kind = Modulate
        .prepare::<NoCheckpointing>([normal.node.clone(), modulation.node.clone()])
        .compute_bound()
        .stateful();
    let slope = slope as f32;
    let values = [&normal.primitive, &modulation.primitive];
    let [values, factors] = values.map(|operand| into_contiguous(operand.clone()));
    let output = forward(values.clone(), factors.clone(), slope);
    // What is left of the operands must live until the output is in the graph (decision 0017).
    let output = match kind {
        OpsKind::Tracked(prep) => {
            let state = ([values, factors, output.clone()], slope);
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    drop((normal.rc, modulation.rc));
    Ok(tensor(output))
}

/// Of features that are standardised on the way, without a graph.
pub(crate) fn standardised<R: CubeRuntime, BT: BoolElement>(
    (input, values, modulation): Standardised<R, BT>,
    slope: f64,
) -> Result<Burn<Gpu<R, BT>, 4>, Standardised<R, BT>> {
    let (input, modulation) = (primitive(input), primitive(modulation));
    let values = values.map(primitive);
    let [batch, channels, _] = input.meta.shape().dims();
    let fit = values
        .iter()
        .all(|values| are_plain(&[values]) && values.meta.num_elements() == channels && batch > 0);
    if !fit || !suit(&input, &modulation, slope) {
        return Err((tensor(input), values.map(tensor), tensor(modulation)));
    }
    let [input, modulation] = [input, modulation].map(into_contiguous);
    let [mean, scale, shift] = values.map(into_contiguous);
    let output = beside(&input, image_shape(&modulation));
    let (cubes, dim) = elements(&input);
    standardised_kernel::launch::<R>(
        &input.client.clone(),
        cubes,
        dim,
        input.into_tensor_arg(),
        mean.into_tensor_arg(),
        scale.into_tensor_arg(),
        shift.into_tensor_arg(),
        modulation.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        slope as f32,
    );
    Ok(tensor(output))
}

/// The sign of an output tells its slope, so long as the slope is positive.
fn suit<R: CubeRuntime>(normal: &T<R>, modulation: &T<R>, slope: f64) -> bool {
    are_plain(&[normal, modulation])
        && 2 * normal.meta.num_elements() == modulation.meta.num_elements()
        && slope > 0.0
}

#[derive(Debug)]
struct Modulate;

impl<R: CubeRuntime, BT: BoolElement> Backward<Gpu<R, BT>, 2> for Modulate {
    /// Normalised features, modulation and output; the slope.
    type State = ([T<R>; 3], f32);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = into_contiguous(grads.consume::<Gpu<R, BT>>(&ops.node));
        let ([normal, modulation, output], slope) = ops.state;
        let (of_normal, of_modulation) = (like(&normal), like(&modulation));
        let per_image = per_image(&normal);
        let (cubes, dim) = elements(&normal);
        backward_kernel::launch::<R>(
            &normal.client.clone(),
            cubes,
            dim,
            normal.into_tensor_arg(),
            modulation.into_tensor_arg(),
            output.into_tensor_arg(),
            gradient.into_tensor_arg(),
            of_normal.clone().into_tensor_arg(),
            of_modulation.clone().into_tensor_arg(),
            slope,
            per_image,
        );
        let [normal, modulation] = ops.parents;
        if let Some(node) = normal {
            grads.register::<Gpu<R, BT>>(node.id, of_normal);
        }
        if let Some(node) = modulation {
            grads.register::<Gpu<R, BT>>(node.id, of_modulation);
        }
    }
}

/// normal · scale + shift, multiplied by the slope where it is negative.
fn forward<R: CubeRuntime>(normal: T<R>, modulation: T<R>, slope: f32) -> T<R> {
    let output = beside(&normal, image_shape(&modulation));
    let per_image = per_image(&normal);
    let (cubes, dim) = elements(&normal);
    forward_kernel::launch::<R>(
        &normal.client.clone(),
        cubes,
        dim,
        normal.into_tensor_arg(),
        modulation.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        slope,
        per_image,
    );
    output
}

/// The shape of what a modulation `[N, 2C, H, W]` modulates.
fn image_shape<R: CubeRuntime>(modulation: &T<R>) -> Shape {
    let shape = modulation.meta.shape();
    Shape::new([shape[0], shape[1] / 2, shape[2], shape[3]])
}

/// Elements of one image.
fn per_image<R: CubeRuntime>(normal: &T<R>) -> u32 {
    let shape = normal.meta.shape();
    (shape[1] * shape[2]) as u32
}

#[cube(launch)]
fn forward_kernel(
    normal: &Tensor<f32>,
    modulation: &Tensor<f32>,
    output: &mut Tensor<f32>,
    slope: f32,
    per_image: u32,
) {
    let place = ABSOLUTE_POS;
    if place >= normal.len() {
        terminate!();
    }
    let per_image = per_image as usize;
    let scale = place + place / per_image * per_image;
    let value = normal[place] * modulation[scale] + modulation[scale + per_image];
    output[place] = select(value >= 0.0, value, value * slope);
}

#[cube(launch)]
fn standardised_kernel(
    input: &Tensor<f32>,
    mean: &Tensor<f32>,
    scale: &Tensor<f32>,
    shift: &Tensor<f32>,
    modulation: &Tensor<f32>,
    output: &mut Tensor<f32>,
    slope: f32,
) {
    let place = ABSOLUTE_POS;
    if place >= output.len() {
        terminate!();
    }
    let channels = input.shape(1);
    let pixels = input.shape(2);
    let per_image = channels * pixels;
    let channel = place / pixels % channels;
    let factor = place + place / per_image * per_image;
    let normal = (input[place] - mean[channel]) * scale[channel] + shift[channel];
    let value = normal * modulation[factor] + modulation[factor + per_image];
    output[place] = select(value >= 0.0, value, value * slope);
}

#[cube(launch)]
fn backward_kernel(
    normal: &Tensor<f32>,
    modulation: &Tensor<f32>,
    output: &Tensor<f32>,
    gradient: &Tensor<f32>,
    of_normal: &mut Tensor<f32>,
    of_modulation: &mut Tensor<f32>,
    slope: f32,
    per_image: u32,
) {
    let place = ABSOLUTE_POS;
    if place >= normal.len() {
        terminate!();
    }
    let per_image = per_image as usize;
    let scale = place + place / per_image * per_image;
    let passed = gradient[place];
    let passed = select(output[place] >= 0.0, passed, passed * slope);
    of_normal[place] = passed * modulation[scale];
    of_modulation[scale] = passed * normal[place];
    of_modulation[scale + per_image] = passed;
}
