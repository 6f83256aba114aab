//! Leaky ReLU.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use pulp::NullaryFnOnce;

use super::super::Cpu;
use super::super::profile::Timer;
use super::{GRAIN, Place, Target, are_plain, in_order, primitive, read, run, tensor};

/// Without a graph: negative elements are multiplied by `slope`, in place where nobody else holds the input.
///
/// # Errors
/// The input, where there is no kernel for it.
pub fn plain<const D: usize>(
    input: Tensor<Cpu, D>,
    slope: f64,
) -> Result<Tensor<Cpu, D>, Tensor<Cpu, D>> {
    let input = primitive(input);
    if !suits(&input, slope) {
        return Err(tensor(input));
    }
    Ok(tensor(forward(input, slope as f32)))
}

/// Within a graph, which keeps the output alone.
///
/// # Errors
/// The input, where there is no kernel for it.
pub fn tracked<const D: usize>(
    input: Tensor<Autodiff<Cpu>, D>,
    slope: f64,
) -> Result<Tensor<Autodiff<Cpu>, D>, Tensor<Autodiff<Cpu>, D>> {
    let input = primitive(input);
    if !suits(&input.primitive, slope) {
        return Err(tensor(input));
    }
    let slope = slope as f32;
    let kind = LeakyRelu
        .prepare::<NoCheckpointing>([input.node.clone()])
        .compute_bound()
        .stateful();
    let output = forward(input.primitive, slope);
    // What is left of the input must live until the output is in the graph (decision 0017).
    let output = match kind {
        OpsKind::Tracked(prep) => prep.finish((output.clone(), slope), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    drop(input.rc);
    Ok(tensor(output))
}

/// The sign of an output is that of its input, so long as the slope is positive.
fn suits(input: &FlexTensor, slope: f64) -> bool {
    are_plain(&[input]) && slope > 0.0
}

#[derive(Debug)]
struct LeakyRelu;

impl Backward<Cpu, 1> for LeakyRelu {
    /// The output and the slope.
    type State = (FlexTensor, f32);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (output, slope) = ops.state;
        unary::<Cpu, _>(ops.parents, ops.node, grads, |gradient| {
            backward(&output, gradient, slope)
        });
    }
}

fn forward(input: FlexTensor, slope: f32) -> FlexTensor {
    let _timer = Timer::new("leaky_relu");
    let mut target = Target::over(input);
    let place = target.place();
    let elements = place.to.len();
    let parts = place.parts(GRAIN).into_iter();
    run(
        parts.map(|place| Forward { place, slope }).collect(),
        elements,
    );
    target.to
}

struct Forward<'a> {
    place: Place<'a>,
    slope: f32,
}

impl NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.place.filled() {
            *value *= if *value < 0.0 { self.slope } else { 1.0 };
        }
    }
}

fn backward(output: &FlexTensor, gradient: FlexTensor, slope: f32) -> FlexTensor {
    let _timer = Timer::new("leaky_relu_backward");
    let mut target = Target::over(in_order(gradient));
    let output = read(output);
    let parts = target
        .place()
        .parts(GRAIN)
        .into_iter()
        .zip(output.chunks(GRAIN));
    let jobs = parts.map(|(place, output)| Gradient {
        place,
        output,
        slope,
    });
    run(jobs.collect(), output.len());
    target.to
}

struct Gradient<'a> {
    place: Place<'a>,
    output: &'a [f32],
    slope: f32,
}

impl NullaryFnOnce for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (value, output) in self.place.filled().iter_mut().zip(self.output) {
            *value *= if *output < 0.0 { self.slope } else { 1.0 };
        }
    }
}
