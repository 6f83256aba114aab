//! Spectral norm.

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
use super::sums::dot;
use super::{GRAIN, Place, Target, are_plain, in_order, primitive, read, run, shaped, tensor};

/// Columns of a job that sums over rows: few enough for their sums to stay in the first-level cache.
const COLUMNS: usize = 256;

/// A weight, `[C_out, C_in, kh, kw]`, and its vectors, left, `[C_out]`, and right, `[C_in · kh · kw]`.
pub type Weight<B> = (Tensor<B, 4>, [Tensor<B, 1>; 2]);

/// Without a graph: the weight divided by σ = uᵀWv, in place where nobody else holds it, and the vectors, after
/// a power iteration of them if `iterate`. They are divided by their length, by `shortest` where it is less.
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn plain(
    (weight, vectors): Weight<Cpu>,
    iterate: bool,
    shortest: f32,
) -> Result<Weight<Cpu>, Weight<Cpu>> {
    let (weight, vectors) = (primitive(weight), vectors.map(primitive));
    if !suit(&weight, &vectors) {
        return Err((tensor(weight), vectors.map(tensor)));
    }
    let estimate = estimate(&weight, &vectors, iterate, shortest);
    let scaled = tensor(divided(weight, estimate.sigma));
    Ok((scaled, [estimate.left, estimate.right].map(vector)))
}

/// [`plain`] within a graph, in which the vectors have no part. It keeps the weight and the vectors.
///
/// # Errors
/// The operands, where there is no kernel for them, or a vector has a part in a graph.
pub fn tracked(
    (weight, vectors): Weight<Autodiff<Cpu>>,
    iterate: bool,
    shortest: f32,
) -> Result<Weight<Autodiff<Cpu>>, Weight<Autodiff<Cpu>>> {
    let (weight, vectors) = (primitive(weight), vectors.map(primitive));
    let constants = [&vectors[0], &vectors[1]].map(|vector| vector.primitive.clone());
    let is_tracked = vectors.iter().any(|vector| vector.is_tracked());
    if is_tracked || !suit(&weight.primitive, &constants) {
        return Err((tensor(weight), vectors.map(tensor)));
    }
    let kind = SpectralNorm
        .prepare::<NoCheckpointing>([weight.node.clone()])
        .compute_bound()
        .stateful();
    let estimate = estimate(&weight.primitive, &constants, iterate, shortest);
    // What is left of the weight must live until the output is in the graph (decision 0017).
    let scaled = match kind {
        OpsKind::Tracked(prep) => {
            let state = State {
                weight: weight.primitive.clone(),
                estimate: estimate.clone(),
            };
            prep.finish(state, divided(weight.primitive, estimate.sigma))
        }
        OpsKind::UnTracked(prep) => prep.finish(divided(weight.primitive, estimate.sigma)),
    };
    drop(weight.rc);
    let constant = |values| Tensor::from_inner(vector(values));
    Ok((
        tensor(scaled),
        [estimate.left, estimate.right].map(constant),
    ))
}

fn suit(weight: &FlexTensor, [left, right]: &[FlexTensor; 2]) -> bool {
    let rows = weight.shape()[0];
    are_plain(&[weight, left, right])
        && read(left).len() == rows
        && read(right).len() * rows == read(weight).len()
}

fn vector(values: Vec<f32>) -> Tensor<Cpu, 1> {
    let shape = Shape::from([values.len()]);
    tensor(shaped(values, shape))
}

/// The largest singular value, and the vectors that belong to it.
#[derive(Clone, Debug)]
struct Estimate {
    left: Vec<f32>,
    right: Vec<f32>,
    sigma: f32,
}

/// σ = uᵀWv, after a power iteration, if any: v = Wᵀu and u = Wv, of length one. The product Wv is
/// computed once.
fn estimate(
    weight: &FlexTensor,
    vectors: &[FlexTensor; 2],
    iterate: bool,
    shortest: f32,
) -> Estimate {
    let _timer = Timer::new("spectral_norm");
    let weight = read(weight);
    let [mut left, mut right] = [&vectors[0], &vectors[1]].map(|vector| read(vector).to_vec());
    if iterate {
        right = normalised(over_rows(weight, &left), shortest);
    }
    let image = over_columns(weight, &right);
    if iterate {
        left = normalised(image.clone(), shortest);
    }
    let sigma = dot(&left, &image) as f32;
    Estimate { left, right, sigma }
}

fn normalised(mut vector: Vec<f32>, shortest: f32) -> Vec<f32> {
    let length = (dot(&vector, &vector) as f32).sqrt().max(shortest);
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

/// Wᵀu
fn over_rows(weight: &[f32], left: &[f32]) -> Vec<f32> {
    let columns = weight.len() / left.len();
    let mut sums = vec![0.0; columns];
    let parts = sums.chunks_mut(COLUMNS).enumerate();
    let jobs = parts.map(|(index, sums)| OverRows {
        weight,
        columns,
        first: index * COLUMNS,
        left,
        sums,
    });
    run(jobs.collect(), weight.len());
    sums
}

struct OverRows<'a> {
    weight: &'a [f32],
    columns: usize,
    first: usize,
    left: &'a [f32],
    sums: &'a mut [f32],
}

impl NullaryFnOnce for OverRows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (row, factor) in self.weight.chunks_exact(self.columns).zip(self.left) {
            for (sum, value) in self.sums.iter_mut().zip(&row[self.first..]) {
                *sum += *value * *factor;
            }
        }
    }
}

/// Wv
fn over_columns(weight: &[f32], right: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; weight.len() / right.len()];
    products(weight.chunks(right.len()), |_| right, &mut sums);
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// Sum of the products of each row and another one.
fn products<'a>(
    rows: impl Iterator<Item = &'a [f32]>,
    others: impl Fn(usize) -> &'a [f32],
    sums: &mut [f64],
) {
    let mut elements = 0;
    let rows = rows.zip(sums).enumerate();
    let jobs = rows.map(|(index, (row, sum))| {
        elements += row.len();
        Product {
            row,
            other: others(index),
            sum,
        }
    });
    let jobs = jobs.collect();
    run(jobs, elements);
}

struct Product<'a> {
    row: &'a [f32],
    other: &'a [f32],
    sum: &'a mut f64,
}

impl NullaryFnOnce for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        *self.sum = dot(self.row, self.other);
    }
}

/// W / σ
fn divided(weight: FlexTensor, sigma: f32) -> FlexTensor {
    let _timer = Timer::new("spectral_norm");
    let mut target = Target::over(weight);
    let place = target.place();
    let elements = place.to.len();
    let parts = place.parts(GRAIN).into_iter();
    run(
        parts.map(|place| Divide { place, sigma }).collect(),
        elements,
    );
    target.to
}

struct Divide<'a> {
    place: Place<'a>,
    sigma: f32,
}

impl NullaryFnOnce for Divide<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.place.filled() {
            *value /= self.sigma;
        }
    }
}

#[derive(Debug)]
struct SpectralNorm;

#[derive(Clone, Debug)]
struct State {
    weight: FlexTensor,
    estimate: Estimate,
}

impl Backward<Cpu, 1> for SpectralNorm {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        unary::<Cpu, _>(ops.parents, ops.node, grads, |gradient| {
            backward(&state, gradient)
        });
    }
}

/// g / σ − ⟨g, W⟩ / σ² · u vᵀ
fn backward(state: &State, gradient: FlexTensor) -> FlexTensor {
    let _timer = Timer::new("spectral_norm_backward");
    let Estimate { left, right, sigma } = &state.estimate;
    let gradient = in_order(gradient);
    let mut sums = vec![0.0; left.len()];
    let weight = read(&state.weight);
    let rows = read(&gradient).chunks(right.len());
    products(
        rows,
        |row| &weight[row * right.len()..][..right.len()],
        &mut sums,
    );
    let inner = sums.iter().sum::<f64>() / (f64::from(*sigma) * f64::from(*sigma));
    let mut target = Target::over(gradient);
    let rows = target.place().parts(right.len()).into_iter().zip(left);
    let jobs = rows.map(|(place, left)| Gradient {
        place,
        sigma: *sigma,
        factor: (inner * f64::from(*left)) as f32,
        right,
    });
    run(jobs.collect(), weight.len());
    target.to
}

/// A row.
struct Gradient<'a> {
    place: Place<'a>,
    sigma: f32,
    factor: f32,
    right: &'a [f32],
}

impl NullaryFnOnce for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (value, right) in self.place.filled().iter_mut().zip(self.right) {
            *value = *value / self.sigma - self.factor * *right;
        }
    }
}
