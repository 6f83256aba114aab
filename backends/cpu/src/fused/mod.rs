//! Operations that are frequent in networks and their training, each as one kernel: alone and, where there
//! is a gradient, within a graph.
//!
//! A kernel takes contiguous `f32` and hands other operands back as they came. It writes over an operand that
//! nobody else holds, and cuts its work into jobs by sizes alone: results do not depend on the number of
//! threads. Jobs are structs with loops over slices, which are compiled once per level of vector instructions;
//! a closure would be compiled for the lowest. What runs jobs has no type or rank as a parameter: a generic
//! function is compiled in the crate that calls it, and those are not optimised (decision 0009).

#![allow(
    clippy::result_large_err,
    clippy::type_complexity,
    reason = "an error is no failure: it hands all operands back, as they came"
)]

pub mod activation;
pub mod adam;
pub mod average;
pub mod modulate;
pub mod normalise;
pub mod product;
pub mod spectral;
pub mod standardise;
mod sums;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};
use burn_backend::TensorMetadata;
use burn_backend::tensor::FloatTensor;
use burn_flex::FlexTensor;
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::conv::{shaped, zeros};
use super::numbers::{own_values, values};
use super::strided;

/// Elements of a job: few enough to stay in the cache between a copy and the work on it.
const GRAIN: usize = 1 << 13;

/// Fewest elements that are worth a second thread.
const FEWEST: usize = 4 * GRAIN;

/// Runs jobs that read or write so many elements in all.
fn run<J>(jobs: Vec<J>, elements: usize)
where
    J: NullaryFnOnce<Output = ()> + Send,
{
    let arch = Arch::new();
    if elements < FEWEST {
        jobs.into_iter().for_each(|job| arch.dispatch(job));
    } else {
        jobs.into_par_iter().for_each(|job| arch.dispatch(job));
    }
}

/// Whether a kernel can read all of these.
fn are_plain(tensors: &[&FlexTensor]) -> bool {
    tensors.iter().all(|tensor| {
        let values = values(tensor);
        values.is_some_and(|values| !values.is_empty())
    })
}

/// The elements of a tensor that [`are_plain`].
fn read(tensor: &FlexTensor) -> &[f32] {
    values(tensor).unwrap_or_default()
}

/// A gradient in the order of its axes.
fn in_order(gradient: FlexTensor) -> FlexTensor {
    if values(&gradient).is_some() {
        return gradient;
    }
    strided::contiguous(&gradient).unwrap_or_else(|| gradient.to_contiguous())
}

/// Where a kernel writes: over an operand that nobody else holds, or to memory of its own.
struct Target {
    /// The operand, if its memory is not written over.
    from: Option<FlexTensor>,
    to: FlexTensor,
}

impl Target {
    /// Over `operand`, which [`are_plain`].
    fn over(mut operand: FlexTensor) -> Self {
        if own_values(&mut operand).is_some() {
            return Self {
                from: None,
                to: operand,
            };
        }
        let to = shaped(blank(read(&operand).len()), operand.shape());
        Self {
            from: Some(operand),
            to,
        }
    }

    fn place(&mut self) -> Place<'_> {
        Place {
            from: self.from.as_ref().map(read),
            to: own_values(&mut self.to).unwrap_or_default(),
        }
    }
}

/// Elements to be written over, which are read from elsewhere if the memory is not that of the
/// operand.
struct Place<'a> {
    from: Option<&'a [f32]>,
    to: &'a mut [f32],
}

impl<'a> Place<'a> {
    /// Parts of so many elements; the last one may be shorter.
    fn parts(self, length: usize) -> Vec<Self> {
        let mut from = self.from.map(|from| from.chunks(length));
        let parts = self.to.chunks_mut(length).map(|to| Self {
            from: from.as_mut().and_then(Iterator::next),
            to,
        });
        parts.collect()
    }

    /// The elements as they are.
    #[inline(always)]
    fn values(&self) -> &[f32] {
        self.from.unwrap_or(&*self.to)
    }

    /// The elements, where they are to be written over.
    #[inline(always)]
    fn filled(self) -> &'a mut [f32] {
        if let Some(from) = self.from {
            self.to.copy_from_slice(from);
        }
        self.to
    }
}

/// Memory to be written to.
fn blank(length: usize) -> Vec<f32> {
    if length < FEWEST {
        vec![0.0; length]
    } else {
        zeros(length)
    }
}

fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::tensor::TensorData;

    use super::super::Cpu;
    use super::*;

    fn numbers<B: Backend, const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        let count: usize = shape.iter().product();
        let number = |index: usize| (index as f32 * 0.7371).sin() + 0.1;
        let values: Vec<f32> = (0..count).map(number).collect();
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    /// A value and the gradients of an input, a modulation and a weight.
    fn everything() -> [TensorData; 4] {
        let input = numbers::<Autodiff<Cpu>, 3>([3, 33, 1000]).require_grad();
        let modulation = numbers([3, 66, 20, 50]).require_grad();
        let weight = numbers([66, 66, 3, 3]).require_grad();
        let vectors = [numbers([66]), numbers([594])];
        let (normal, _) = normalise::tracked(input.clone(), 1e-5).unwrap();
        let output = modulate::tracked((normal, modulation.clone()), 0.2).unwrap();
        let (scaled, _) = spectral::tracked((weight.clone(), vectors), true, 1e-12).unwrap();
        let value = output.square().sum() + scaled.sum();
        let gradients = value.backward();
        let data = |gradient: Option<Tensor<Cpu, 4>>| gradient.unwrap().into_data();
        [
            value.into_data(),
            input.grad(&gradients).unwrap().into_data(),
            data(modulation.grad(&gradients)),
            data(weight.grad(&gradients)),
        ]
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool of a few threads starts")
                .install(everything)
        };
        let alone = with(1);
        assert_eq!(alone, with(2));
        assert_eq!(alone, with(3));
    }

    /// All memory is written to: what is not holds NaN in tests of this crate.
    #[test]
    fn standardised_features_are_modulated_alike() {
        for [batch, channels, height, width] in [
            [1, 1, 1, 1],
            [2, 3, 5, 7],
            [1, 1, 170, 190],
            [3, 33, 27, 29],
        ] {
            let input = numbers::<Cpu, 3>([batch, channels, height * width]);
            let values = [0.1, 1.3, -0.2].map(|shift| numbers::<Cpu, 1>([channels]) + shift);
            let modulation = numbers::<Cpu, 4>([batch, 2 * channels, height, width]);
            let normal = standardise::standardise((input.clone(), values.clone())).unwrap();
            let expected = modulate::plain((normal, modulation.clone()), 0.2).unwrap();
            let found = modulate::standardised((input, values, modulation), 0.2).unwrap();
            assert_eq!(found.into_data(), expected.into_data());
        }
    }
}
