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
use crate::terms::EPSILON;

/// Weight and vectors, left and right.
type Weight<B> = (Burn<B, 4>, [Burn<B, 1>; 2]);

/// Without a graph.
pub(crate) fn plain<R: CubeRuntime, BT: BoolElement>(
    (weight, vectors): Weight<Gpu<R, BT>>,
    iterate: bool,
) -> Result<Weight<Gpu<R, BT>>, Weight<Gpu<R, BT>>> {
    let (weight, vectors) = (primitive(weight), vectors.map(primitive));
    if !suit(&weight, &vectors) {
        return Err((tensor(weight), vectors.map(tensor)));
    }
    let weight = into_contiguous(weight);
    let estimate = Estimate::of(&weight, vectors, iterate);
    let scaled = tensor(divided(weight, &estimate.sigma));
    Ok((scaled, [estimate.left, estimate.right].map(tensor)))
}

/// Within a graph, in which the vectors have no part.
pub(crate) fn tracked<R: CubeRuntime, BT: BoolElement>(
    (weight, vectors): Weight<Autodiff<Gpu<R, BT>>>,
    iterate: bool,
) -> Result<Weight<Autodiff<Gpu<R, BT>>>, Weight<Autodiff<Gpu<R, BT>>>> {
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
    let values = into_contiguous(weight.primitive.clone());
    let estimate = Estimate::of(&values, constants, iterate);
    let output = divided(values.clone(), &estimate.sigma);
    // What is left of the weight must live until the output is in the graph (decision 0017).
    let scaled = match kind {
        OpsKind::Tracked(prep) => prep.finish((values, estimate.clone()), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    drop(weight.rc);
    let constant = |values| Burn::from_inner(tensor(values));
    Ok((
        tensor(scaled),
        [estimate.left, estimate.right].map(constant),
    ))
}

fn suit<R: CubeRuntime>(weight: &T<R>, [left, right]: &[T<R>; 2]) -> bool {
    let rows = weight.meta.shape()[0];
    are_plain(&[weight, left, right])
        && left.meta.num_elements() == rows
        && right.meta.num_elements() * rows == weight.meta.num_elements()
}

/// The largest singular value, `[1]`, and the vectors that belong to it.
#[derive(Clone, Debug)]
struct Estimate<R: CubeRuntime> {
    left: T<R>,
    right: T<R>,
    sigma: T<R>,
}

impl<R: CubeRuntime> Estimate<R> {
    /// σ = uᵀWv, after a power iteration, if any: v = Wᵀu and u = Wv, of length one. Four launches, two
    /// without.
    fn of(weight: &T<R>, vectors: [T<R>; 2], iterate: bool) -> Self {
        let [mut left, mut right] = vectors.map(into_contiguous);
        let rows = weight.meta.shape()[0];
        let columns = weight.meta.num_elements() / rows;
        let client = &weight.client;
        let arg = |tensor: &T<R>| tensor.clone().into_tensor_arg();
        if iterate {
            let products = beside(weight, Shape::new([columns]));
            let (cubes, dim) = elements(&products);
            over_rows_kernel::launch::<R>(
                client,
                cubes,
                dim,
                arg(weight),
                arg(&left),
                arg(&products),
            );
            right = like(&products);
            let (cubes, dim) = sums(1);
            normalise_kernel::launch::<R>(client, cubes, dim, arg(&products), arg(&right));
        }
        let image = beside(weight, Shape::new([rows]));
        let (cubes, dim) = sums(rows);
        over_columns_kernel::launch::<R>(
            client,
            cubes,
            dim,
            arg(weight),
            arg(&right),
            arg(&image),
            columns as u32,
        );
        let sigma = beside(weight, Shape::new([1]));
        let new_left = like(&image);
        let (cubes, dim) = sums(1);
        sigma_kernel::launch::<R>(
            client,
            cubes,
            dim,
            arg(&left),
            arg(&image),
            arg(&new_left),
            arg(&sigma),
            iterate,
        );
        if iterate {
            left = new_left;
        }
        Self { left, right, sigma }
    }
}

/// W / σ
fn divided<R: CubeRuntime>(weight: T<R>, sigma: &T<R>) -> T<R> {
    let output = like(&weight);
    let (cubes, dim) = elements(&weight);
    divided_kernel::launch::<R>(
        &weight.client.clone(),
        cubes,
        dim,
        weight.into_tensor_arg(),
        sigma.clone().into_tensor_arg(),
        output.clone().into_tensor_arg(),
    );
    output
}

#[derive(Debug)]
struct SpectralNorm;

impl<R: CubeRuntime, BT: BoolElement> Backward<Gpu<R, BT>, 1> for SpectralNorm {
    /// The weight, and what was estimated of it.
    type State = (T<R>, Estimate<R>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (weight, estimate) = ops.state;
        unary::<Gpu<R, BT>, _>(ops.parents, ops.node, grads, |gradient| {
            of_weight(weight, estimate, into_contiguous(gradient))
        });
    }
}

/// G/σ − ⟨G, W⟩/σ² · uvᵀ, in two launches.
fn of_weight<R: CubeRuntime>(weight: T<R>, estimate: Estimate<R>, gradient: T<R>) -> T<R> {
    let rows = weight.meta.shape()[0];
    let columns = weight.meta.num_elements() / rows;
    let client = weight.client.clone();
    let arg = |tensor: &T<R>| tensor.clone().into_tensor_arg();
    let products = beside(&weight, Shape::new([rows]));
    let (cubes, dim) = sums(rows);
    products_kernel::launch::<R>(
        &client,
        cubes,
        dim,
        arg(&weight),
        arg(&gradient),
        arg(&products),
        columns as u32,
    );
    let output = like(&weight);
    let (cubes, dim) = sums(rows);
    of_weight_kernel::launch::<R>(
        &client,
        cubes,
        dim,
        arg(&gradient),
        arg(&products),
        arg(&estimate.left),
        arg(&estimate.right),
        arg(&estimate.sigma),
        arg(&output),
        columns as u32,
    );
    output
}

/// Wᵀu: a unit for each column.
#[cube(launch)]
fn over_rows_kernel(weight: &Tensor<f32>, left: &Tensor<f32>, products: &mut Tensor<f32>) {
    let column = ABSOLUTE_POS;
    let columns = products.len();
    if column >= columns {
        terminate!();
    }
    let mut sum = 0.0f32;
    for row in 0..left.len() {
        sum += weight[row * columns + column] * left[row];
    }
    products[column] = sum;
}

/// Wv: a cube for each row.
#[cube(launch)]
fn over_columns_kernel(
    weight: &Tensor<f32>,
    right: &Tensor<f32>,
    image: &mut Tensor<f32>,
    columns: u32,
) {
    let row = CUBE_POS;
    let mut sum = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < columns as usize {
        sum += weight[row * columns as usize + column] * right[column];
        column += UNITS;
    }
    let sum = over_cube(sum);
    if UNIT_POS == 0 {
        image[row] = sum;
    }
}

/// A vector of length one; a zero vector stays zero. One cube.
#[cube(launch)]
fn normalise_kernel(vector: &Tensor<f32>, output: &mut Tensor<f32>) {
    let length = length_of(vector);
    let mut place = UNIT_POS as usize;
    while place < vector.len() {
        output[place] = vector[place] / length;
        place += UNITS;
    }
}

/// σ = uᵀ(Wv), where u is the image Wv of length one if `iterate`, which is written then. One cube.
#[cube(launch)]
fn sigma_kernel(
    left: &Tensor<f32>,
    image: &Tensor<f32>,
    new_left: &mut Tensor<f32>,
    sigma: &mut Tensor<f32>,
    #[comptime] iterate: bool,
) {
    let mut sum = 0.0f32;
    let mut place = UNIT_POS as usize;
    if comptime!(iterate) {
        let length = length_of(image);
        while place < image.len() {
            let value = image[place] / length;
            new_left[place] = value;
            sum += value * image[place];
            place += UNITS;
        }
    } else {
        while place < image.len() {
            sum += left[place] * image[place];
            place += UNITS;
        }
    }
    let sum = over_cube(sum);
    if UNIT_POS == 0 {
        sigma[0] = sum;
    }
}

#[cube]
fn length_of(vector: &Tensor<f32>) -> f32 {
    let mut squares = 0.0f32;
    let mut place = UNIT_POS as usize;
    while place < vector.len() {
        squares += vector[place] * vector[place];
        place += UNITS;
    }
    let length = over_cube(squares).sqrt();
    select(length < EPSILON, EPSILON, length)
}

#[cube(launch)]
fn divided_kernel(weight: &Tensor<f32>, sigma: &Tensor<f32>, output: &mut Tensor<f32>) {
    let place = ABSOLUTE_POS;
    if place >= output.len() {
        terminate!();
    }
    output[place] = weight[place] / sigma[0];
}

/// ⟨G, W⟩ of each row: a cube for each.
#[cube(launch)]
fn products_kernel(
    weight: &Tensor<f32>,
    gradient: &Tensor<f32>,
    products: &mut Tensor<f32>,
    columns: u32,
) {
    let row = CUBE_POS;
    let mut sum = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < columns as usize {
        let place = row * columns as usize + column;
        sum += weight[place] * gradient[place];
        column += UNITS;
    }
    let sum = over_cube(sum);
    if UNIT_POS == 0 {
        products[row] = sum;
    }
}

/// A cube for each row; each sums the products of all rows anew.
#[cube(launch)]
fn of_weight_kernel(
    gradient: &Tensor<f32>,
    products: &Tensor<f32>,
    left: &Tensor<f32>,
    right: &Tensor<f32>,
    sigma: &Tensor<f32>,
    output: &mut Tensor<f32>,
    columns: u32,
) {
    let mut sum = 0.0f32;
    let mut place = UNIT_POS as usize;
    while place < products.len() {
        sum += products[place];
        place += UNITS;
    }
    let largest = sigma[0];
    let row = CUBE_POS;
    let share = over_cube(sum) / (largest * largest) * left[row];
    let mut column = UNIT_POS as usize;
    while column < columns as usize {
        let place = row * columns as usize + column;
        output[place] = gradient[place] / largest - share * right[column];
        column += UNITS;
    }
}
