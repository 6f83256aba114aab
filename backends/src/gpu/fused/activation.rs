use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::tensor::Tensor as Burn;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{BoolElement, CubeRuntime};
use cubecl::prelude::*;

use super::super::{Gpu, T};
use super::{are_plain, elements, like, primitive, tensor};

type Plain<R, BT, const D: usize> = Burn<Gpu<R, BT>, D>;
type Tracked<R, BT, const D: usize> = Burn<Autodiff<Gpu<R, BT>>, D>;

/// Leaky ReLU without a graph.
pub(crate) fn plain<R: CubeRuntime, BT: BoolElement, const D: usize>(
    input: Plain<R, BT, D>,
    slope: f64,
) -> Result<Plain<R, BT, D>, Plain<R, BT, D>> {
    let input = primitive(input);
    if !suits(&input, slope) {
        return Err(tensor(input));
    }
    let input = into_contiguous(input);
    Ok(tensor(scaled(input.clone(), input, slope as f32)))
}

/// Within a graph, which keeps the output.
pub(crate) fn tracked<R: CubeRuntime, BT: BoolElement, const D: usize>(
    input: Tracked<R, BT, D>,
    slope: f64,
) -> Result<Tracked<R, BT, D>, Tracked<R, BT, D>> {
    let input = primitive(input);
    if !suits(&input.primitive, slope) {
        return Err(tensor(input));
    }
    let slope = slope as f32;
    let kind = LeakyRelu
        .prepare::<NoCheckpointing>([input.node.clone()])
        .compute_bound()
        .stateful();
    let values = into_contiguous(input.primitive.clone());
    let output = scaled(values.clone(), values, slope);
    // What is left of the input must live until the output is in the graph (decision 0017).
    let output = match kind {
        OpsKind::Tracked(prep) => prep.finish((output.clone(), slope), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    drop(input.rc);
    Ok(tensor(output))
}

/// The sign of an output is that of its input, so long as the slope is positive.
fn suits<R: CubeRuntime>(input: &T<R>, slope: f64) -> bool {
    are_plain(&[input]) && slope > 0.0
}

#[derive(Debug)]
struct LeakyRelu;

impl<R: CubeRuntime, BT: BoolElement> Backward<Gpu<R, BT>, 1> for LeakyRelu {
    /// The output and the slope.
    type State = (T<R>, f32);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (output, slope) = ops.state;
        unary::<Gpu<R, BT>, _>(ops.parents, ops.node, grads, |gradient| {
            scaled(into_contiguous(gradient), output, slope)
        });
    }
}

/// The gradient of a ReLU with this output: nothing where that is not above 0. Of the input itself it is
/// the ReLU.
pub(crate) fn relu_backward<R: CubeRuntime>(output: T<R>, gradient: T<R>) -> T<R> {
    let [output, gradient] = [output, gradient].map(into_contiguous);
    let passed = like(&gradient);
    let (cubes, dim) = elements(&gradient);
    passed_kernel::launch::<R>(
        &gradient.client.clone(),
        cubes,
        dim,
        gradient.into_tensor_arg(),
        output.into_tensor_arg(),
        passed.clone().into_tensor_arg(),
        passed.dtype.into(),
    );
    passed
}

#[cube(launch)]
fn passed_kernel<F: Float>(
    gradient: &Tensor<F>,
    output: &Tensor<F>,
    passed: &mut Tensor<F>,
    #[define(F)] _dtype: StorageType,
) {
    let place = ABSOLUTE_POS;
    if place >= passed.len() {
        terminate!();
    }
    let zero = F::new(0.0);
    passed[place] = select(output[place] > zero, gradient[place], zero);
}

/// Values multiplied by the slope where those of `by` are negative.
fn scaled<R: CubeRuntime>(values: T<R>, by: T<R>, slope: f32) -> T<R> {
    let output = like(&values);
    let (cubes, dim) = elements(&values);
    scaled_kernel::launch::<R>(
        &values.client.clone(),
        cubes,
        dim,
        values.into_tensor_arg(),
        by.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        slope,
    );
    output
}

#[cube(launch)]
fn scaled_kernel(values: &Tensor<f32>, by: &Tensor<f32>, output: &mut Tensor<f32>, slope: f32) {
    let place = ABSOLUTE_POS;
    if place >= output.len() {
        terminate!();
    }
    let value = values[place];
    output[place] = select(by[place] >= 0.0, value, value * slope);
}
