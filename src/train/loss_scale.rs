//! The factor of losses in mixed precision.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_backends::collective::backward;
use dp_sims_model::layers::Compute;

use crate::checkpoint::snapshot::LossScale;

/// Factor of the first step.
const FIRST: f64 = 65_536.0;

/// Finite steps after which the factor doubles.
const PATIENCE: u32 = 2000;

/// A scale keeps small gradients in [`Compute::F16`] from being zero (Micikevicius et al. 2018, "Mixed Precision
/// Training"). Gradients are divided by it in f32 wherever the graph is cut.
///
/// It halves when a gradient is not finite, in which case that network skips its update, and doubles
/// after 2,000 steps without one. At 1, gradients are taken as they are.
impl LossScale {
    /// For a new run; none where the type needs none.
    pub fn of(compute: Compute) -> Option<Self> {
        compute.underflows().then_some(Self {
            factor: FIRST,
            finite_steps: 0,
        })
    }

    /// After a step.
    pub(super) fn after(self, is_finite: bool) -> Self {
        let Self {
            factor,
            finite_steps,
        } = self;
        match (is_finite, finite_steps + 1) {
            (false, _) => Self {
                factor: (factor / 2.0).max(1.0),
                finite_steps: 0,
            },
            (true, PATIENCE) => Self {
                factor: 2.0 * factor,
                finite_steps: 0,
            },
            (true, finite_steps) => Self {
                factor,
                finite_steps,
            },
        }
    }
}

/// The factor of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale(f64);

impl Scale {
    /// That of a scale, or none.
    pub(super) fn of(scale: Option<LossScale>) -> Self {
        Self(scale.map_or(1.0, |scale| scale.factor))
    }

    /// What takes the gradients of [`backward`](Self::backward) back to their size.
    pub(super) fn inverse(self) -> f64 {
        1.0 / self.0
    }

    /// Whether gradients that are not finite may be so for its sake.
    pub(super) fn is_in_use(self) -> bool {
        self.0 > 1.0
    }

    /// A gradient on its way into a graph, as many times as large.
    pub(super) fn up<B: Backend, const D: usize>(self, gradient: Tensor<B, D>) -> Tensor<B, D> {
        match self.is_in_use() {
            true => gradient * self.0,
            false => gradient,
        }
    }

    /// A gradient that comes from there, at its size.
    pub(super) fn down<B: Backend, const D: usize>(self, gradient: Tensor<B, D>) -> Tensor<B, D> {
        match self.is_in_use() {
            true => gradient * self.inverse(),
            false => gradient,
        }
    }

    /// Gradients of a loss, as many times as large.
    pub(super) fn backward<B: AutodiffBackend>(self, loss: Tensor<B, 1>) -> B::Gradients {
        backward(self.up(loss))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_halves_at_once_and_doubles_after_a_while() {
        let first = LossScale::of(Compute::F16).unwrap();
        assert_eq!([Compute::F32, Compute::Bf16].map(LossScale::of), [None; 2]);
        let halved = first.after(true).after(false);
        assert_eq!((halved.factor, halved.finite_steps), (FIRST / 2.0, 0));
        let mut scale = halved;
        for _ in 1..PATIENCE {
            scale = scale.after(true);
        }
        assert_eq!(scale.factor, FIRST / 2.0);
        assert_eq!(scale.after(true).factor, FIRST);
        for _ in 0..40 {
            scale = scale.after(false);
        }
        assert_eq!(scale.factor, 1.0);
        assert!(!Scale::of(Some(scale)).is_in_use());
    }
}
