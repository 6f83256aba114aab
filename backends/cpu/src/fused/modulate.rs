//! A scale and a shift for every element, followed by a leaky ReLU.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::Tensor;
use burn_backend::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use pulp::NullaryFnOnce;

use super::super::Cpu;
use super::super::blank::{Blank, Slot};
use super::super::profile::Timer;
use super::{
    GRAIN, Place, Target, are_plain, blank, in_order, primitive, read, run, shaped, tensor,
};

/// Without a graph: scales and shifts every element, and multiplies what is negative by `slope`; with a slope
/// of one, nothing.
///
/// # Shapes
/// - normal: `[N, C, HW]`
/// - modulation: `[N, 2C, H, W]`, the scales before the shifts
/// - output: `[N, C, H, W]`
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn plain(
    (normal, modulation): (Tensor<Cpu, 3>, Tensor<Cpu, 4>),
    slope: f64,
) -> Result<Tensor<Cpu, 4>, (Tensor<Cpu, 3>, Tensor<Cpu, 4>)> {
    let (normal, modulation) = (primitive(normal), primitive(modulation));
    if !suit(&normal, &modulation, slope) {
        return Err((tensor(normal), tensor(modulation)));
    }
    Ok(tensor(forward(normal, &modulation, slope as f32)))
}

/// Operands of [`standardised`]: features, the mean, scale and shift of each channel, and modulation.
pub type Standardised = (Tensor<Cpu, 3>, [Tensor<Cpu, 1>; 3], Tensor<Cpu, 4>);

/// [`plain`] of features that are standardised on the way: (x − mean) · scale + shift per channel.
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn standardised(
    (input, values, modulation): Standardised,
    slope: f64,
) -> Result<Tensor<Cpu, 4>, Standardised> {
    let (input, modulation) = (primitive(input), primitive(modulation));
    let values = values.map(primitive);
    let [_, channels, pixels] = input.shape().dims();
    let fit = values
        .iter()
        .all(|values| are_plain(&[values]) && values.shape()[0] == channels);
    if !fit || !suit(&input, &modulation, slope) {
        return Err((tensor(input), values.map(tensor), tensor(modulation)));
    }
    let _timer = Timer::new("modulate");
    let [mean, scale, shift] = [&values[0], &values[1], &values[2]].map(read);
    let mut out = Blank::new(read(&input).len());
    let elements = out.slots().len();
    let rows = out
        .slots()
        .chunks_mut(pixels)
        .zip(read(&input).chunks(pixels));
    let mut jobs = Vec::new();
    for (row, (to, from)) in rows.enumerate() {
        let (image, channel) = (row / channels, row % channels);
        let factors = 2 * image * channels + channel;
        let factors = &read(&modulation)[factors * pixels..];
        let terms = &factors[channels * pixels..][..pixels];
        let operands = factors[..pixels].chunks(GRAIN).zip(terms.chunks(GRAIN));
        let parts = to.chunks_mut(GRAIN).zip(from.chunks(GRAIN)).zip(operands);
        jobs.extend(
            parts.map(|((to, from), (factors, terms))| ForwardStandardised {
                to,
                from,
                factors,
                terms,
                mean: mean[channel],
                scale: scale[channel],
                shift: shift[channel],
                slope: slope as f32,
            }),
        );
    }
    run(jobs, elements);
    // SAFETY: there is a job for every part of every row, and it writes all of its part.
    let out = unsafe { out.filled() };
    let [batch, _, height, width] = modulation.shape().dims();
    Ok(tensor(shaped(
        out,
        Shape::from([batch, channels, height, width]),
    )))
}

/// A part of a row.
struct ForwardStandardised<'a> {
    to: &'a mut [Slot],
    from: &'a [f32],
    factors: &'a [f32],
    terms: &'a [f32],
    mean: f32,
    scale: f32,
    shift: f32,
    slope: f32,
}

impl NullaryFnOnce for ForwardStandardised<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let operands = self.factors.iter().zip(self.terms);
        for ((to, from), (factor, term)) in self.to.iter_mut().zip(self.from).zip(operands) {
            let normal = (*from - self.mean) * self.scale + self.shift;
            let modulated = normal * *factor + *term;
            to.write(modulated * if modulated < 0.0 { self.slope } else { 1.0 });
        }
    }
}

/// [`plain`] within a graph, which keeps the operands, and the output where a leaky ReLU follows.
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn tracked(
    (normal, modulation): (Tensor<Autodiff<Cpu>, 3>, Tensor<Autodiff<Cpu>, 4>),
    slope: f64,
) -> Result<Tensor<Autodiff<Cpu>, 4>, (Tensor<Autodiff<Cpu>, 3>, Tensor<Autodiff<Cpu>, 4>)> {
    let (normal, modulation) = (primitive(normal), primitive(modulation));
    if !suit(&normal.primitive, &modulation.primitive, slope) {
        return Err((tensor(normal), tensor(modulation)));
    }
    let slope = slope as f32;
    let kind = Modulate
        .prepare::<NoCheckpointing>([normal.node.clone(), modulation.node.clone()])
        .compute_bound()
        .stateful();
    // What is left of the operands must live until the output is in the graph (decision 0017).
    let output = match kind {
        OpsKind::Tracked(prep) => {
            let (normal, modulation) = (normal.primitive, modulation.primitive);
            let output = forward(normal.clone(), &modulation, slope);
            let state = State {
                output: (slope != 1.0).then(|| output.clone()),
                normal,
                modulation,
                slope,
            };
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => {
            prep.finish(forward(normal.primitive, &modulation.primitive, slope))
        }
    };
    drop((normal.rc, modulation.rc));
    Ok(tensor(output))
}

/// Whether there is a scale and a shift for each element.
fn suit(normal: &FlexTensor, modulation: &FlexTensor, slope: f64) -> bool {
    let [batch, channels, pixels] = normal.shape().dims();
    let [images, both, height, width] = modulation.shape().dims();
    are_plain(&[normal, modulation])
        && slope > 0.0
        && (images, both, height * width) == (batch, 2 * channels, pixels)
}

#[derive(Debug)]
struct Modulate;

#[derive(Clone, Debug)]
struct State {
    normal: FlexTensor,
    modulation: FlexTensor,
    /// Where a leaky ReLU follows.
    output: Option<FlexTensor>,
    slope: f32,
}

impl Backward<Cpu, 2> for Modulate {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Cpu>(&ops.node);
        let gradients = backward(&ops.state, gradient);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Cpu>(node.id, gradient);
            }
        }
    }
}

fn forward(normal: FlexTensor, modulation: &FlexTensor, slope: f32) -> FlexTensor {
    let _timer = Timer::new("modulate");
    let [batch, channels, height, width] = modulation.shape().dims();
    let image = channels / 2 * height * width;
    let mut target = Target::over(normal);
    let mut jobs = Vec::new();
    let images = target.place().parts(image).into_iter();
    for (place, modulation) in images.zip(read(modulation).chunks(2 * image)) {
        let (scale, shift) = modulation.split_at(image);
        let operands = scale.chunks(GRAIN).zip(shift.chunks(GRAIN));
        let parts = place.parts(GRAIN).into_iter().zip(operands);
        jobs.extend(parts.map(|(place, (scale, shift))| Forward {
            place,
            scale,
            shift,
            slope,
        }));
    }
    run(jobs, batch * image);
    let shape = Shape::from([batch, channels / 2, height, width]);
    target.to.reshape(shape)
}

struct Forward<'a> {
    place: Place<'a>,
    scale: &'a [f32],
    shift: &'a [f32],
    slope: f32,
}

impl NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let operands = self.scale.iter().zip(self.shift);
        for (value, (scale, shift)) in self.place.filled().iter_mut().zip(operands) {
            let modulated = *value * *scale + *shift;
            *value = modulated * if modulated < 0.0 { self.slope } else { 1.0 };
        }
    }
}

/// Gradients of the normalised features and of the modulation.
fn backward(state: &State, gradient: FlexTensor) -> [FlexTensor; 2] {
    let _timer = Timer::new("modulate_backward");
    let image: usize = state.normal.shape()[1..].iter().product();
    let mut target = Target::over(in_order(gradient));
    let place = target.place();
    let elements = place.to.len();
    let mut of_modulation = blank(2 * elements);
    let output = state.output.as_ref().map(read);
    let mut jobs = Vec::new();
    let images = place.parts(image).into_iter();
    for (index, (place, of_both)) in images.zip(of_modulation.chunks_mut(2 * image)).enumerate() {
        let (of_scale, of_shift) = of_both.split_at_mut(image);
        let written = of_scale.chunks_mut(GRAIN).zip(of_shift.chunks_mut(GRAIN));
        let normal = read(&state.normal)[index * image..][..image].chunks(GRAIN);
        let scale = read(&state.modulation)[2 * index * image..][..image].chunks(GRAIN);
        let mut output = output.map(|output| output[index * image..][..image].chunks(GRAIN));
        let parts = place.parts(GRAIN).into_iter().zip(written);
        let parts = parts.zip(normal.zip(scale));
        jobs.extend(parts.map(
            |((place, (of_scale, of_shift)), (normal, scale))| Gradient {
                place,
                of_scale,
                of_shift,
                normal,
                scale,
                output: output.as_mut().and_then(Iterator::next),
                slope: state.slope,
            },
        ));
    }
    run(jobs, 2 * elements);
    let of_normal = target.to.reshape(state.normal.shape());
    [of_normal, shaped(of_modulation, state.modulation.shape())]
}

struct Gradient<'a> {
    place: Place<'a>,
    of_scale: &'a mut [f32],
    of_shift: &'a mut [f32],
    normal: &'a [f32],
    scale: &'a [f32],
    output: Option<&'a [f32]>,
    slope: f32,
}

impl NullaryFnOnce for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let of_normal = self.place.filled();
        match self.output {
            Some(output) => {
                let gradients = of_normal.iter().zip(output);
                for (of_shift, (gradient, output)) in self.of_shift.iter_mut().zip(gradients) {
                    *of_shift = *gradient * if *output < 0.0 { self.slope } else { 1.0 };
                }
            }
            None => self.of_shift.copy_from_slice(of_normal),
        }
        let results = of_normal.iter_mut().zip(self.of_scale).zip(self.of_shift);
        let operands = self.normal.iter().zip(self.scale);
        for (((of_normal, of_scale), gradient), (normal, scale)) in results.zip(operands) {
            *of_normal = *gradient * *scale;
            *of_scale = *gradient * *normal;
        }
    }
}
