//! The cases, by kind.

mod convolutions;
mod elements;
mod fused;
mod indices;
mod products;
mod shapes;
mod sums;

use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::input::Input;
use super::{Case, Layout};

/// Relative error of an operation that treats every element for itself.
const ELEMENT: f64 = 1e-5;

/// Relative error of sums of many products or elements.
const SUM: f64 = 1e-4;

/// Every case.
pub(super) fn all<B: AutodiffBackend>() -> Vec<Case<B>> {
    let mut cases = Vec::new();
    elements::add(&mut cases);
    sums::add(&mut cases);
    shapes::add(&mut cases);
    indices::add(&mut cases);
    products::add(&mut cases);
    convolutions::add(&mut cases);
    fused::add(&mut cases);
    cases
}

/// Sizes of maps: usual ones, odd ones, one image and three, and a map of one pixel.
const MAPS: [[usize; 4]; 4] = [[3, 8, 6, 4], [1, 5, 7, 3], [4, 12, 1, 1], [2, 1, 9, 16]];

/// A case of an operation with one operand.
fn of_one<B: AutodiffBackend>(
    operation: &'static str,
    bound: f64,
    input: Input,
    apply: impl Fn(Tensor<B, 4>) -> Tensor<B, 4> + 'static,
) -> Case<B> {
    of(operation, bound, "", vec![input], move |mut operands| {
        apply(operands.remove(0))
    })
}

/// A case with two operands.
fn of_two<B: AutodiffBackend>(
    operation: &'static str,
    bound: f64,
    inputs: [Input; 2],
    apply: impl Fn(Tensor<B, 4>, Tensor<B, 4>) -> Tensor<B, 4> + 'static,
) -> Case<B> {
    of(operation, bound, "", inputs.into(), move |mut operands| {
        let right = operands.remove(1);
        apply(operands.remove(0), right)
    })
}

/// A case; `more` goes behind the shapes.
fn of<B: AutodiffBackend>(
    operation: &'static str,
    bound: f64,
    more: &str,
    inputs: Vec<Input>,
    apply: impl Fn(Vec<Tensor<B, 4>>) -> Tensor<B, 4> + 'static,
) -> Case<B> {
    let shapes: Vec<String> = inputs
        .iter()
        .map(|input| {
            let shape = input.shape.map(|size| size.to_string());
            shape.join("x")
        })
        .collect();
    let separator = if more.is_empty() { "" } else { ", " };
    Case {
        operation,
        sizes: format!("{}{separator}{more}", shapes.join(" and ")),
        layout: inputs[0].layout,
        bound,
        inputs,
        apply: Box::new(apply),
    }
}

/// An operand in every layout, for every usual size.
fn everywhere(seed: usize) -> impl Iterator<Item = Input> {
    MAPS.into_iter()
        .flat_map(move |shape| Layout::ALL.map(|layout| Input::new(shape, layout, seed)))
}
