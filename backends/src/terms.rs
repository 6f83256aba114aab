//! What operations and the kernels behind them agree on.

use burn::tensor::Tensor;

/// Scores of one head from which on they are computed again in the backward pass instead of kept: those
/// of a map of 32x32 pixels.
pub(crate) const MANY_SCORES: usize = 1 << 20;

/// Smallest length that a vector is divided by.
pub(crate) const EPSILON: f32 = 1e-12;

/// Parameter, gradient and moments, if there are any yet.
pub(crate) type AdamOperands<B, const D: usize> =
    (Tensor<B, D>, Tensor<B, D>, Option<[Tensor<B, D>; 2]>);

/// Parameter and moments.
pub(crate) type AdamUpdate<B, const D: usize> = (Tensor<B, D>, [Tensor<B, D>; 2]);

/// AdamFactors of one update: p − m · scale / (√v + ε) · rate.
#[allow(dead_code, reason = "the kernel, which a feature brings, reads them")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamFactors {
    pub(crate) beta_1: f32,
    pub(crate) beta_2: f32,
    /// Corrects the bias of both moments.
    pub(crate) scale: f32,
    /// ε with the bias of the second moment.
    pub(crate) epsilon: f32,
    /// Learning rate.
    pub(crate) rate: f32,
}
