//! The figures that come out of a training step.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::runtime::device::read;

/// Scalars of one step, by name, still on the device until [`StepScalars::read`].
pub struct StepScalars<B: Backend> {
    names: Vec<&'static str>,
    values: Vec<Tensor<B, 1>>,
}

impl<B: Backend> StepScalars<B> {
    pub(super) fn new() -> Self {
        Self {
            names: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, name: &'static str, value: Tensor<B, 1>) {
        self.names.push(name);
        self.values.push(value);
    }

    /// Reads every scalar with one transfer, averaging those pushed several times.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(self) -> Result<BTreeMap<&'static str, f64>> {
        let values = read(Tensor::cat(self.values, 0))?;
        let mut sums = BTreeMap::<&'static str, (f64, f64)>::new();
        for (name, value) in self.names.iter().zip(values.iter::<f64>()) {
            let (sum, count) = sums.entry(name).or_default();
            *sum += value;
            *count += 1.0;
        }
        Ok(sums
            .into_iter()
            .map(|(name, (sum, count))| (name, sum / count))
            .collect())
    }
}
