//! Normalisation of each channel by the statistics of the batch.
//!
//! Each direction has two halves: sums over a channel, and what is made of them. Alone, a job does both. Where
//! a batch is one of several, the sums of all of them come between: [`statistics`] and [`pulls`] are the first
//! halves, [`standardise`](super::standardise::standardise) and [`of_pulls`] the second ones.

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
use super::standardise::PerChannel;
use super::sums::{dot, squares, sum};
use super::{Place, Target, are_plain, in_order, primitive, read, run, shaped, tensor};

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
        let [mean, variance] = statistics_of(self.rows.iter().map(Place::values));
        let scale = 1.0 / (variance + self.epsilon).sqrt();
        for row in self.rows {
            for value in row.filled() {
                *value = (*value - mean) * scale;
            }
        }
        (*self.mean, *self.variance, *self.scale) = (mean, variance, scale);
    }
}

/// Mean and biased variance of the rows of a channel.
#[inline(always)]
fn statistics_of<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone) -> [f32; 2] {
    let (mut total, mut count) = (0.0, 0);
    for row in rows.clone() {
        total += sum(row);
        count += row.len();
    }
    let mean = (total / count as f64) as f32;
    let mut total = 0.0;
    for row in rows {
        total += squares(row, mean);
    }
    [mean, (total / count as f64) as f32]
}

/// Mean and biased variance of each channel: the first half alone. None where there is no kernel for the
/// input.
///
/// # Shapes
/// - input: `[N, C, HW]`
/// - output: `[2C]`, means first
pub fn statistics(input: &Tensor<Cpu, 3>) -> Option<PerChannel> {
    let input = primitive(input.clone());
    if !are_plain(&[&input]) {
        return None;
    }
    let _timer = Timer::new("normalise_statistics");
    let [_, channels, pixels] = input.shape().dims();
    let values = read(&input);
    let mut both = vec![0.0; 2 * channels];
    let (mean, variance) = both.split_at_mut(channels);
    let rows = by_channel(values.chunks(pixels), channels);
    let jobs = rows.into_iter().zip(mean).zip(variance);
    let jobs = jobs.map(|((rows, mean), variance)| Statistics {
        rows,
        mean,
        variance,
    });
    run(jobs.collect(), values.len());
    Some(tensor(shaped(both, Shape::from([2 * channels]))))
}

/// A channel whose statistics alone are asked for.
struct Statistics<'a> {
    rows: Vec<&'a [f32]>,
    mean: &'a mut f32,
    variance: &'a mut f32,
}

impl NullaryFnOnce for Statistics<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        [*self.mean, *self.variance] = statistics_of(self.rows.iter().copied());
    }
}

fn backward(state: &State, gradient: FlexTensor) -> FlexTensor {
    let _timer = Timer::new("normalise_backward");
    gradient_of_input(&state.normal, &state.scale, None, gradient)
}

fn gradient_of_input(
    normal: &FlexTensor,
    scale: &[f32],
    pulls: Option<[&[f32]; 2]>,
    gradient: FlexTensor,
) -> FlexTensor {
    let [_, channels, pixels] = normal.shape().dims();
    let normal = by_channel(read(normal).chunks(pixels), channels);
    let mut target = Target::over(in_order(gradient));
    let place = target.place();
    let elements = place.to.len();
    let rows = by_channel(place.parts(pixels), channels);
    let jobs = rows.into_iter().zip(normal).zip(scale).enumerate();
    let jobs = jobs.map(|(channel, ((rows, normal), scale))| Gradient {
        rows,
        normal,
        pulls: pulls.map(|[means, alongs]| [means[channel], alongs[channel]]),
        scale: *scale,
    });
    run(jobs.collect(), elements);
    target.to
}

/// A channel: (g − mean(g) − x̂ · mean(g · x̂)) / √(σ² + ε).
struct Gradient<'a> {
    rows: Vec<Place<'a>>,
    normal: Vec<&'a [f32]>,
    /// Both means, where they are given.
    pulls: Option<[f32; 2]>,
    scale: f32,
}

impl NullaryFnOnce for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let [mean, along] = match self.pulls {
            Some(pulls) => pulls,
            None => pulls_of(self.rows.iter().map(Place::values), &self.normal),
        };
        for (row, normal) in self.rows.into_iter().zip(self.normal) {
            for (value, normal) in row.filled().iter_mut().zip(normal) {
                *value = (*value - mean - *normal * along) * self.scale;
            }
        }
    }
}

/// mean(g) and mean(g · x̂) over the rows of a channel.
#[inline(always)]
fn pulls_of<'a>(gradient: impl Iterator<Item = &'a [f32]>, normal: &[&[f32]]) -> [f32; 2] {
    let (mut total, mut along, mut count) = (0.0, 0.0, 0);
    for (row, normal) in gradient.zip(normal) {
        total += sum(row);
        along += dot(row, normal);
        count += row.len();
    }
    [total, along].map(|total| (total / count as f64) as f32)
}

/// The means of each channel that its gradient is pulled by, mean(g) and mean(g · x̂): the first half of the way
/// backward alone. Gives the gradient back in the order of its axes.
///
/// # Shapes
/// - `normal`, the normalised batch, and its `gradient`: `[N, C, HW]`
/// - output: `[2C]`, means of g first
pub fn pulls(normal: &Tensor<Cpu, 3>, gradient: Tensor<Cpu, 3>) -> (Tensor<Cpu, 3>, PerChannel) {
    let _timer = Timer::new("normalise_pulls");
    let (normal, gradient) = (primitive(normal.clone()), in_order(primitive(gradient)));
    let [_, channels, pixels] = normal.shape().dims();
    let values = read(&gradient);
    let mut both = vec![0.0; 2 * channels];
    let (mean, along) = both.split_at_mut(channels);
    let rows = by_channel(values.chunks(pixels), channels);
    let jobs = rows
        .into_iter()
        .zip(by_channel(read(&normal).chunks(pixels), channels))
        .zip(mean.iter_mut().zip(along));
    let jobs = jobs.map(|((rows, normal), (mean, along))| Pulls {
        rows,
        normal,
        mean,
        along,
    });
    run(jobs.collect(), values.len());
    let both = tensor(shaped(both, Shape::from([2 * channels])));
    (tensor(gradient), both)
}

/// A channel whose means alone are asked for.
struct Pulls<'a> {
    rows: Vec<&'a [f32]>,
    normal: Vec<&'a [f32]>,
    mean: &'a mut f32,
    along: &'a mut f32,
}

impl NullaryFnOnce for Pulls<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        [*self.mean, *self.along] = pulls_of(self.rows.iter().copied(), &self.normal);
    }
}

/// The gradient of the batch before it was normalised, by [`pulls`] that are given: the second half.
///
/// # Shapes
/// - `normal`, the normalised batch, and its `gradient`: `[N, C, HW]`
/// - values: the pulls, `[2C]`, and 1 / √(σ² + ε), `[C]`
pub fn of_pulls(
    normal: &Tensor<Cpu, 3>,
    gradient: Tensor<Cpu, 3>,
    values: [PerChannel; 2],
) -> Tensor<Cpu, 3> {
    let _timer = Timer::new("normalise_backward");
    let [pulls, scale] = values.map(|values| in_order(primitive(values)));
    let (means, alongs) = read(&pulls).split_at(pulls.shape()[0] / 2);
    let normal = primitive(normal.clone());
    let (scale, gradient) = (read(&scale), primitive(gradient));
    tensor(gradient_of_input(
        &normal,
        scale,
        Some([means, alongs]),
        gradient,
    ))
}
