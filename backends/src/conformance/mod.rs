//! Whether a device computes what the processor computes.
//!
//! Every tensor operation that networks, losses, optimizers and evaluators use, and every fused one, in
//! the memory layouts and with the sizes that they meet, forward and backward: [`Suite::run`] computes them
//! on any backend, and [`compare`] sets two runs side by side. The processor is the reference
//! ([`cpu`](crate::cpu), which is held to PyTorch by the parity tests).

mod cases;
mod input;
mod verdict;

use std::collections::HashSet;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor, TensorData};

pub use input::Layout;
pub use verdict::{Verdict, compare};

use input::Input;

/// What is computed of the inputs; integers are given and returned as numbers.
type Apply<B> = Box<dyn Fn(Vec<Tensor<B, 4>>) -> Tensor<B, 4>>;

/// One operation with operands of one shape and layout.
pub(crate) struct Case<B: AutodiffBackend> {
    /// Name of the operation, as burn calls it.
    operation: &'static str,
    /// Shapes and what else sets it apart from other cases of the operation.
    sizes: String,
    /// Layout of the first operand, and of the gradient of the result.
    layout: Layout,
    /// Largest relative error of the result and of the gradients.
    bound: f64,
    inputs: Vec<Input>,
    apply: Apply<B>,
}

/// What a case gave on one backend.
#[derive(Clone, Debug)]
pub struct Outcome {
    operation: &'static str,
    sizes: String,
    layout: Layout,
    bound: f64,
    /// The result and the gradients of the operands that have one.
    values: Vec<(String, TensorData)>,
}

impl Outcome {
    /// Name of the operation.
    pub fn operation(&self) -> &'static str {
        self.operation
    }
}

/// Which cases are computed: all of them by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suite {
    /// The first case of every operation and layout alone: about one in six.
    pub short: bool,
    /// These operations alone, unless it is empty.
    pub only: Vec<String>,
}

impl Suite {
    /// The first case of every operation and layout.
    pub fn short() -> Self {
        Self {
            short: true,
            only: Vec::new(),
        }
    }

    /// Number of cases.
    pub fn count<B: AutodiffBackend>(&self) -> usize {
        self.cases::<B>().len()
    }

    /// Names of the operations, each once.
    pub fn operations<B: AutodiffBackend>(&self) -> Vec<&'static str> {
        let cases = self.cases::<B>();
        let mut seen = HashSet::new();
        let names = cases.iter().map(|case| case.operation);
        names.filter(|name| seen.insert(*name)).collect()
    }

    /// Computes every case on a device; `done` is told after each.
    pub fn run<B: AutodiffBackend>(
        &self,
        device: &B::Device,
        mut done: impl FnMut(usize),
    ) -> Vec<Outcome> {
        let cases = self.cases::<B>();
        let mut outcomes = Vec::with_capacity(cases.len());
        for (index, case) in cases.into_iter().enumerate() {
            outcomes.push(case.run(device));
            done(index + 1);
        }
        outcomes
    }

    fn cases<B: AutodiffBackend>(&self) -> Vec<Case<B>> {
        let mut cases = cases::all::<B>();
        if !self.only.is_empty() {
            cases.retain(|case| self.only.iter().any(|name| name == case.operation));
        }
        if self.short {
            let mut seen = HashSet::new();
            cases.retain(|case| seen.insert((case.operation, case.layout)));
        }
        cases
    }
}

impl<B: AutodiffBackend> Case<B> {
    fn run(self, device: &B::Device) -> Outcome {
        let operands: Vec<Tensor<B, 4>> = self
            .inputs
            .iter()
            .map(|input| input.leaf::<B>(device))
            .collect();
        let laid_out = operands
            .iter()
            .zip(&self.inputs)
            .map(|(leaf, input)| input.lay_out(leaf.clone()))
            .collect();
        let output = (self.apply)(laid_out);
        let mut values = vec![("result".to_string(), output.clone().inner().into_data())];
        if self.inputs.iter().any(|input| input.has_gradient) {
            let gradients = input::weighted_sum(output, self.layout).backward();
            for (index, (operand, input)) in operands.iter().zip(&self.inputs).enumerate() {
                if let (true, Some(gradient)) = (input.has_gradient, operand.grad(&gradients)) {
                    let name = format!("gradient of operand {}", index + 1);
                    values.push((name, gradient.into_data()));
                }
            }
        }
        Outcome {
            operation: self.operation,
            sizes: self.sizes,
            layout: self.layout,
            bound: self.bound,
            values,
        }
    }
}

/// Indices below `count` from numbers in (-1, 1).
fn indices<B: AutodiffBackend, const D: usize>(
    numbers: Tensor<B, D>,
    count: usize,
) -> Tensor<B, D, Int> {
    ((numbers.detach() + 1.0) * (count as f32 / 2.0))
        .floor()
        .clamp(0.0, (count - 1) as f32)
        .int()
}

#[cfg(all(test, feature = "flex", feature = "ndarray"))]
mod tests {
    use super::*;

    /// Two processors' backends that share no kernel agree on every case, so that a case tests the
    /// device and not itself.
    #[test]
    fn ndarray_equals_flex() {
        let expected = Suite::default().run::<crate::FlexAutodiff>(&Default::default(), |_| {});
        let found = Suite::default().run::<crate::NdArrayAutodiff>(&Default::default(), |_| {});
        let wrong: Vec<_> = compare(&found, &expected)
            .into_iter()
            .filter(|verdict| !verdict.is_equal())
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(found.len() > 1000);
    }

    #[test]
    fn the_short_suite_has_every_operation() {
        let (short, whole) = (Suite::short(), Suite::default());
        let operations = |suite: &Suite| suite.operations::<crate::FlexAutodiff>();
        assert_eq!(operations(&short), operations(&whole));
        let [short, whole] = [short, whole].map(|suite| suite.count::<crate::FlexAutodiff>());
        assert!(4 * short < whole, "{short} of {whole}");
    }

    #[test]
    fn one_operation_can_be_computed_alone() {
        let only = ["matmul", "no such operation"].map(String::from).into();
        let suite = Suite { only, short: false };
        assert_eq!(suite.operations::<crate::FlexAutodiff>(), ["matmul"]);
        assert!(suite.count::<crate::FlexAutodiff>() > 10);
    }

    /// Every case has a result, and gradients where it should.
    #[test]
    fn a_wrong_result_or_gradient_is_found() {
        let expected = Suite::default().run::<crate::FlexAutodiff>(&Default::default(), |_| {});
        for (index, outcome) in expected.iter().enumerate() {
            for value in 0..outcome.values.len() {
                let mut found = outcome.clone();
                let data = &mut found.values[value].1;
                let mut numbers: Vec<f32> = data.iter::<f32>().collect();
                let largest = numbers.iter().fold(0f32, |most, one| most.max(one.abs()));
                numbers[0] += 2.0 * largest.max(1.0) * (outcome.bound as f32).max(1e-3);
                *data = TensorData::new(numbers, data.shape.clone());
                let verdicts = compare(&[found], &expected[index..=index]);
                assert!(!verdicts[0].is_equal(), "{:?}", verdicts[0]);
            }
        }
    }
}
