use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::tensor::Tensor as Burn;
use burn_backend::Shape;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{BoolElement, CubeRuntime};
use cubecl::prelude::*;

use super::super::{Gpu, T};
use super::{UNITS, are_plain, beside, elements, like, over_cube, primitive, sums, tensor};

/// The batch with mean zero and variance one in each channel, and the mean and the biased variance of each
/// channel before.
type Normalised<B> = (Burn<B, 3>, [Burn<B, 1>; 2]);

/// Without a graph.
pub(crate) fn plain<R: CubeRuntime, BT: BoolElement>(
    input: Burn<Gpu<R, BT>, 3>,
    epsilon: f64,
) -> Result<Normalised<Gpu<R, BT>>, Burn<Gpu<R, BT>, 3>> {
    let input = primitive(input);
    if !are_plain(&[&input]) {
        return Err(tensor(input));
    }
    let done = Done::of(into_contiguous(input), epsilon);
    let statistics = [done.mean, done.variance].map(tensor);
    Ok((tensor(done.normal), statistics))
}

/// Within a graph, which keeps the output.
pub(crate) fn tracked<R: CubeRuntime, BT: BoolElement>(
    input: Burn<Autodiff<Gpu<R, BT>>, 3>,
    epsilon: f64,
) -> Result<Normalised<Autodiff<Gpu<R, BT>>>, Burn<Autodiff<Gpu<R, BT>>, 3>> {
    let input = primitive(input);
    if !are_plain(&[&input.primitive]) {
        return Err(tensor(input));
    }
    let kind = Normalise
        .prepare::<NoCheckpointing>([input.node.clone()])
        .compute_bound()
        .stateful();
    let done = Done::of(into_contiguous(input.primitive.clone()), epsilon);
    let normal = match kind {
        OpsKind::Tracked(prep) => {
            let state = (done.normal.clone(), done.variance.clone(), epsilon);
            prep.finish(state, done.normal)
        }
        OpsKind::UnTracked(prep) => prep.finish(done.normal),
    };
    // What is left of the input must live until the output is in the graph (decision 0017).
    drop(input.rc);
    let statistics = [done.mean, done.variance].map(|values| Burn::from_inner(tensor(values)));
    Ok((tensor(normal), statistics))
}

#[derive(Debug)]
struct Normalise;

impl<R: CubeRuntime, BT: BoolElement> Backward<Gpu<R, BT>, 1> for Normalise {
    /// The output, the variance and ε.
    type State = (T<R>, T<R>, f64);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (normal, variance, epsilon) = ops.state;
        unary::<Gpu<R, BT>, _>(ops.parents, ops.node, grads, |gradient| {
            of_input(normal, variance, into_contiguous(gradient), epsilon)
        });
    }
}

/// A normalised batch, and mean and biased variance of each channel.
struct Done<R: CubeRuntime> {
    normal: T<R>,
    mean: T<R>,
    variance: T<R>,
}

impl<R: CubeRuntime> Done<R> {
    /// One launch: a cube for each channel, which reads it three times.
    fn of(input: T<R>, epsilon: f64) -> Self {
        let shape = input.meta.shape().clone();
        let [batch, channels, pixels] = [shape[0], shape[1], shape[2]];
        let normal = like(&input);
        let mean = beside(&input, Shape::new([channels]));
        let variance = like(&mean);
        let (cubes, dim) = sums(channels);
        normalise_kernel::launch::<R>(
            &input.client.clone(),
            cubes,
            dim,
            input.into_tensor_arg(),
            normal.clone().into_tensor_arg(),
            mean.clone().into_tensor_arg(),
            variance.clone().into_tensor_arg(),
            epsilon as f32,
            batch as u32,
            pixels as u32,
        );
        Self {
            normal,
            mean,
            variance,
        }
    }
}

/// (G − mean(G) − x · mean(G · x)) / √(σ² + ε) of the normalised batch x, in one launch.
fn of_input<R: CubeRuntime>(normal: T<R>, variance: T<R>, gradient: T<R>, epsilon: f64) -> T<R> {
    let shape = normal.meta.shape().clone();
    let [batch, channels, pixels] = [shape[0], shape[1], shape[2]];
    let output = like(&normal);
    let (cubes, dim) = sums(channels);
    of_input_kernel::launch::<R>(
        &normal.client.clone(),
        cubes,
        dim,
        normal.into_tensor_arg(),
        variance.into_tensor_arg(),
        gradient.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        epsilon as f32,
        batch as u32,
        pixels as u32,
    );
    output
}

/// Mean and biased variance of each channel, `[2C]`, means first: the first half of [`Done::of`] alone, in one
/// launch. None where there is no kernel for the input, `[N, C, HW]`.
pub(crate) fn statistics<R: CubeRuntime, BT: BoolElement>(
    input: &Burn<Gpu<R, BT>, 3>,
) -> Option<Burn<Gpu<R, BT>, 1>> {
    let input = primitive(input.clone());
    if !are_plain(&[&input]) {
        return None;
    }
    let input = into_contiguous(input);
    let shape = input.meta.shape().clone();
    let [batch, channels, pixels] = [shape[0], shape[1], shape[2]];
    let both = beside(&input, Shape::new([2 * channels]));
    let (cubes, dim) = sums(channels);
    statistics_kernel::launch::<R>(
        &input.client.clone(),
        cubes,
        dim,
        input.into_tensor_arg(),
        both.clone().into_tensor_arg(),
        batch as u32,
        pixels as u32,
    );
    Some(tensor(both))
}

/// mean(G) and mean(G · x) of each channel, `[2C]`: the first half of [`of_input`] alone, in one launch. Gives the
/// gradient back in the order of its axes.
pub(crate) fn pulls<R: CubeRuntime, BT: BoolElement>(
    normal: &Burn<Gpu<R, BT>, 3>,
    gradient: Burn<Gpu<R, BT>, 3>,
) -> (Burn<Gpu<R, BT>, 3>, Burn<Gpu<R, BT>, 1>) {
    let [normal, gradient] =
        [normal.clone(), gradient].map(|batch| into_contiguous(primitive(batch)));
    let shape = normal.meta.shape().clone();
    let [batch, channels, pixels] = [shape[0], shape[1], shape[2]];
    let both = beside(&normal, Shape::new([2 * channels]));
    let (cubes, dim) = sums(channels);
    pulls_kernel::launch::<R>(
        &normal.client.clone(),
        cubes,
        dim,
        normal.into_tensor_arg(),
        gradient.clone().into_tensor_arg(),
        both.clone().into_tensor_arg(),
        batch as u32,
        pixels as u32,
    );
    (tensor(gradient), tensor(both))
}

/// The second half: by [`pulls`] that are given, `[2C]`, and the scale 1 / √(σ² + ε), `[C]`.
pub(crate) fn of_pulls<R: CubeRuntime, BT: BoolElement>(
    normal: &Burn<Gpu<R, BT>, 3>,
    gradient: Burn<Gpu<R, BT>, 3>,
    [pulls, scale]: [Burn<Gpu<R, BT>, 1>; 2],
) -> Burn<Gpu<R, BT>, 3> {
    let [normal, gradient] =
        [normal.clone(), gradient].map(|batch| into_contiguous(primitive(batch)));
    let [pulls, scale] = [pulls, scale].map(|values| into_contiguous(primitive(values)));
    let output = like(&gradient);
    let (cubes, dim) = elements(&gradient);
    of_pulls_kernel::launch::<R>(
        &gradient.client.clone(),
        cubes,
        dim,
        normal.into_tensor_arg(),
        gradient.into_tensor_arg(),
        pulls.into_tensor_arg(),
        scale.into_tensor_arg(),
        output.clone().into_tensor_arg(),
    );
    tensor(output)
}

/// Where the element with this number of a channel lies, of `[N, C, pixels]`.
#[cube]
fn place_of(number: usize, channel: usize, channels: usize, pixels: usize) -> usize {
    (number / pixels * channels + channel) * pixels + number % pixels
}

/// Mean and biased variance of a channel, of a cube.
#[cube]
fn statistics_of(
    input: &Tensor<f32>,
    channel: usize,
    channels: usize,
    batch: u32,
    pixels: usize,
) -> (f32, f32) {
    let count = batch as usize * pixels;
    let mut sum = 0.0f32;
    let mut number = UNIT_POS as usize;
    while number < count {
        sum += input[place_of(number, channel, channels, pixels)];
        number += UNITS;
    }
    let middle = over_cube(sum) / f32::cast_from(count);
    let mut squares = 0.0f32;
    let mut number = UNIT_POS as usize;
    while number < count {
        let off = input[place_of(number, channel, channels, pixels)] - middle;
        squares += off * off;
        number += UNITS;
    }
    let spread = over_cube(squares) / f32::cast_from(count);
    (middle, spread)
}

#[cube(launch)]
fn statistics_kernel(input: &Tensor<f32>, both: &mut Tensor<f32>, batch: u32, pixels: u32) {
    let channel = CUBE_POS;
    let channels = both.len() / 2;
    let (middle, spread) = statistics_of(input, channel, channels, batch, pixels as usize);
    if UNIT_POS == 0 {
        both[channel] = middle;
        both[channels + channel] = spread;
    }
}

#[cube(launch)]
fn normalise_kernel(
    input: &Tensor<f32>,
    normal: &mut Tensor<f32>,
    mean: &mut Tensor<f32>,
    variance: &mut Tensor<f32>,
    epsilon: f32,
    batch: u32,
    pixels: u32,
) {
    let channel = CUBE_POS;
    let channels = mean.len();
    let pixels = pixels as usize;
    let (middle, spread) = statistics_of(input, channel, channels, batch, pixels);
    let count = batch as usize * pixels;
    let scale = 1.0 / (spread + epsilon).sqrt();
    let mut number = UNIT_POS as usize;
    while number < count {
        let place = place_of(number, channel, channels, pixels);
        normal[place] = (input[place] - middle) * scale;
        number += UNITS;
    }
    if UNIT_POS == 0 {
        mean[channel] = middle;
        variance[channel] = spread;
    }
}

/// mean(G) and mean(G · x) of a channel, of a cube.
#[cube]
fn pulls_of(
    normal: &Tensor<f32>,
    gradient: &Tensor<f32>,
    channel: usize,
    channels: usize,
    batch: u32,
    pixels: usize,
) -> (f32, f32) {
    let count = batch as usize * pixels;
    let mut sum = 0.0f32;
    let mut product = 0.0f32;
    let mut number = UNIT_POS as usize;
    while number < count {
        let place = place_of(number, channel, channels, pixels);
        sum += gradient[place];
        product += gradient[place] * normal[place];
        number += UNITS;
    }
    let sum = over_cube(sum) / f32::cast_from(count);
    let product = over_cube(product) / f32::cast_from(count);
    (sum, product)
}

#[cube(launch)]
fn pulls_kernel(
    normal: &Tensor<f32>,
    gradient: &Tensor<f32>,
    both: &mut Tensor<f32>,
    batch: u32,
    pixels: u32,
) {
    let channel = CUBE_POS;
    let channels = both.len() / 2;
    let (sum, product) = pulls_of(normal, gradient, channel, channels, batch, pixels as usize);
    if UNIT_POS == 0 {
        both[channel] = sum;
        both[channels + channel] = product;
    }
}

#[cube(launch)]
fn of_input_kernel(
    normal: &Tensor<f32>,
    variance: &Tensor<f32>,
    gradient: &Tensor<f32>,
    output: &mut Tensor<f32>,
    epsilon: f32,
    batch: u32,
    pixels: u32,
) {
    let channel = CUBE_POS;
    let channels = variance.len();
    let pixels = pixels as usize;
    let (sum, product) = pulls_of(normal, gradient, channel, channels, batch, pixels);
    let count = batch as usize * pixels;
    let scale = 1.0 / (variance[channel] + epsilon).sqrt();
    let mut number = UNIT_POS as usize;
    while number < count {
        let place = place_of(number, channel, channels, pixels);
        output[place] = (gradient[place] - sum - normal[place] * product) * scale;
        number += UNITS;
    }
}

#[cube(launch)]
fn of_pulls_kernel(
    normal: &Tensor<f32>,
    gradient: &Tensor<f32>,
    pulls: &Tensor<f32>,
    scale: &Tensor<f32>,
    output: &mut Tensor<f32>,
) {
    let place = ABSOLUTE_POS;
    if place >= output.len() {
        terminate!();
    }
    let channels = scale.len();
    let channel = place / normal.shape(2) % channels;
    let along = normal[place] * pulls[channels + channel];
    output[place] = (gradient[place] - pulls[channel] - along) * scale[channel];
}
