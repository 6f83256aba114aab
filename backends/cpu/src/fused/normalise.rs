//! Normalisation of each channel, by the statistics of the batch or by values that are given.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::tensor::Tensor;
use burn_backend::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use pulp::NullaryFnOnce;

use super::super::Cpu;
use super::super::profile::Timer;
use super::sums::{dot, squares, sum};
use super::{GRAIN, Place, Target, are_plain, in_order, primitive, read, run, shaped, tensor};

/// The batch with mean zero and variance one in each channel, and the mean and the biased variance of each
/// channel before.
pub type Normalised<B> = (Tensor<B, 3>, [Tensor<B, 1>; 2]);

/// Without a graph: (x − μ) / √(σ² + ε), in place where nobody else holds the input, `[N, C, HW]`.
///
/// # Errors
/// The input, where there is no kernel for it.
pub fn plain(input: Tensor<Cpu, 3>, epsilon: f64) -> Result<Normalised<Cpu>, Tensor<Cpu, 3>> {
    let input = primitive(input);
    if !are_plain(&[&input]) {
        return Err(tensor(input));
    }
    let done = forward(input, epsilon);
    let statistics = [done.mean, done.variance].map(tensor);
    Ok((tensor(done.normal), statistics))
}

/// [`plain`] within a graph, which keeps the output alone. Mean and variance are constants for it.
///
/// # Errors
/// The input, where there is no kernel for it.
pub fn tracked(
    input: Tensor<Autodiff<Cpu>, 3>,
    epsilon: f64,
) -> Result<Normalised<Autodiff<Cpu>>, Tensor<Autodiff<Cpu>, 3>> {
    let input = primitive(input);
    if !are_plain(&[&input.primitive]) {
        return Err(tensor(input));
    }
    let kind = Normalise
        .prepare::<NoCheckpointing>([input.node.clone()])
        .compute_bound()
        .stateful();
    let done = forward(input.primitive, epsilon);
    let normal = match kind {
        OpsKind::Tracked(prep) => {
            let state = State {
                normal: done.normal.clone(),
                scale: done.scale,
            };
            prep.finish(state, done.normal)
        }
        OpsKind::UnTracked(prep) => prep.finish(done.normal),
    };
    // What is left of the input must live until the output is in the graph (decision 0017).
    drop(input.rc);
    let statistics = [done.mean, done.variance].map(|values| Tensor::from_inner(tensor(values)));
    Ok((tensor(normal), statistics))
}

#[derive(Debug)]
struct Normalise;

#[derive(Clone, Debug)]
struct State {
    normal: FlexTensor,
    /// 1 / √(σ² + ε) of each channel.
    scale: Vec<f32>,
}

impl Backward<Cpu, 1> for Normalise {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        unary::<Cpu, _>(ops.parents, ops.node, grads, |gradient| {
            backward(&state, gradient)
        });
    }
}

struct Done {
    normal: FlexTensor,
    mean: FlexTensor,
    variance: FlexTensor,
    scale: Vec<f32>,
}

fn forward(input: FlexTensor, epsilon: f64) -> Done {
    let _timer = Timer::new("normalise");
    let [batch, channels, pixels] = input.shape().dims();
    let [mut mean, mut variance, mut scale] = [(); 3].map(|()| vec![0.0; channels]);
    let mut target = Target::over(input);
    let rows = by_channel(target.place().parts(pixels), channels);
    let results = mean.iter_mut().zip(&mut variance).zip(&mut scale);
    let jobs = rows.into_iter().zip(results);
    let jobs = jobs.map(|(rows, ((mean, variance), scale))| Forward {
        rows,
        mean,
        variance,
        scale,
        epsilon: epsilon as f32,
    });
    run(jobs.collect(), batch * channels * pixels);
    let [mean, variance] = [mean, variance].map(|values| shaped(values, Shape::from([channels])));
    Done {
        normal: target.to,
        mean,
        variance,
        scale,
    }
}

/// The rows of each channel, one per image.
fn by_channel<R>(rows: impl IntoIterator<Item = R>, channels: usize) -> Vec<Vec<R>> {
    let mut all: Vec<Vec<R>> = (0..channels).map(|_| Vec::new()).collect();
    for (index, row) in rows.into_iter().enumerate() {
        all[index % channels].push(row);
    }
    all
}

/// A channel: statistics of all images, then the normalised rows.
struct Forward<'a> {
    rows: Vec<Place<'a>>,
    mean: &'a mut f32,
    variance: &'a mut f32,
    scale: &'a mut f32,
    epsilon: f32,
}

impl NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut rows = Vec::with_capacity(self.rows.len());
        let (mut total, mut count) = (0.0, 0);
        for row in self.rows {
            let row = row.filled();
            total += sum(row);
            count += row.len();
            rows.push(row);
        }
        let mean = (total / count as f64) as f32;
        let mut total = 0.0;
        for row in &rows {
            total += squares(row, mean);
        }
        let variance = (total / count as f64) as f32;
        let scale = 1.0 / (variance + self.epsilon).sqrt();
        for row in rows {
            for value in row {
                *value = (*value - mean) * scale;
            }
        }
        (*self.mean, *self.variance, *self.scale) = (mean, variance, scale);
    }
}

fn backward(state: &State, gradient: FlexTensor) -> FlexTensor {
    let _timer = Timer::new("normalise_backward");
    let [_, channels, pixels] = state.normal.shape().dims();
    let normal = by_channel(read(&state.normal).chunks(pixels), channels);
    let mut target = Target::over(in_order(gradient));
    let place = target.place();
    let elements = place.to.len();
    let rows = by_channel(place.parts(pixels), channels);
    let rows = rows.into_iter().zip(normal).zip(&state.scale);
    let jobs = rows.map(|((rows, normal), scale)| Gradient {
        rows,
        normal,
        scale: *scale,
    });
    run(jobs.collect(), elements);
    target.to
}

/// A channel: (g − mean(g) − x̂ · mean(g · x̂)) / √(σ² + ε).
struct Gradient<'a> {
    rows: Vec<Place<'a>>,
    normal: Vec<&'a [f32]>,
    scale: f32,
}

impl NullaryFnOnce for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut rows = Vec::with_capacity(self.rows.len());
        let (mut total, mut along, mut count) = (0.0, 0.0, 0);
        for (row, normal) in self.rows.into_iter().zip(self.normal) {
            let row = row.filled();
            total += sum(row);
            along += dot(row, normal);
            count += row.len();
            rows.push((row, normal));
        }
        let mean = (total / count as f64) as f32;
        let along = (along / count as f64) as f32;
        for (row, normal) in rows {
            for (value, normal) in row.iter_mut().zip(normal) {
                *value = (*value - mean - *normal * along) * self.scale;
            }
        }
    }
}

/// Values of each channel, `[C]`.
pub type PerChannel = Tensor<Cpu, 1>;

/// (x − mean) · scale + shift per channel of `[N, C, HW]`, without a graph.
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn standardise(
    (input, [mean, scale, shift]): (Tensor<Cpu, 3>, [PerChannel; 3]),
) -> Result<Tensor<Cpu, 3>, (Tensor<Cpu, 3>, [PerChannel; 3])> {
    let (input, values) = (primitive(input), [mean, scale, shift].map(primitive));
    let channels = input.shape()[1];
    let fit = values
        .iter()
        .all(|values| are_plain(&[values]) && values.shape()[0] == channels);
    if !fit || !are_plain(&[&input]) {
        return Err((tensor(input), values.map(tensor)));
    }
    let _timer = Timer::new("standardise");
    let pixels = input.shape()[2];
    let [mean, scale, shift] = [&values[0], &values[1], &values[2]].map(read);
    let mut target = Target::over(input);
    let place = target.place();
    let elements = place.to.len();
    // Whole rows of about as many elements as a job is worth.
    let grain = GRAIN.div_ceil(pixels) * pixels;
    let parts = place.parts(grain).into_iter().enumerate();
    let jobs = parts.map(|(index, place)| Standardise {
        place,
        pixels,
        first: index * (grain / pixels),
        mean,
        scale,
        shift,
    });
    run(jobs.collect(), elements);
    Ok(tensor(target.to))
}

/// Some rows.
struct Standardise<'a> {
    place: Place<'a>,
    pixels: usize,
    /// Row of the first one.
    first: usize,
    mean: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
}

impl NullaryFnOnce for Standardise<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let rows = self.place.filled().chunks_exact_mut(self.pixels);
        for (index, row) in rows.enumerate() {
            let channel = (self.first + index) % self.mean.len();
            let (mean, scale) = (self.mean[channel], self.scale[channel]);
            let shift = self.shift[channel];
            for value in row {
                *value = (*value - mean) * scale + shift;
            }
        }
    }
}
