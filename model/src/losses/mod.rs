//! Training losses: pixel-wise GAN loss (Eq. 3 and 4), contrastive loss (Eq. 5) and diversity
//! loss (Eq. 6); and LabelMix, which the paper does not use.
//!
//! The weights of the sum, λ_GAN, λ_C and λ_D, are applied by the caller.

mod accuracy;
mod balance;
mod contrastive;
mod diversity;
mod label_mix;
mod pixel;
mod positions;
mod projector;
mod shift;

#[cfg(test)]
mod reference;

pub use accuracy::{pixel_accuracy, pixel_hits};
pub use balance::{class_counts, class_weights, weights_of_counts};
pub use contrastive::{ContrastiveConfig, Projector};
pub use diversity::{diversity, diversity_everywhere, diversity_of_features};
pub use label_mix::{label_mix, label_mix_mask, mix};
pub use pixel::{PixelLoss, PixelLossConfig, Reduction};
pub use positions::sample_positions;
pub use projector::ProjectorHead;
pub use shift::Shift;

use burn::tensor::{Tensor, backend::Backend};

/// A loss configured with a value that has no meaning.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LossError {
    /// A number outside its range.
    #[error("loss setting {field} = {value}: choose {allowed}")]
    OutOfRange {
        /// Name of the field of the loss configuration.
        field: &'static str,
        /// The value it was given.
        value: f64,
        /// The values it may have.
        allowed: &'static str,
    },
    /// A contrastive loss without features to compare.
    #[error("contrastive loss: the feature network has no tap, name at least one scale")]
    NoScale,
}

/// `(x - m, ln Σ exp(x - m))` along `dim`, with `m` the maximum of `x`.
///
/// The difference of the two is the logarithm of softmax. They are returned apart so that a loss
/// which needs one class gathers before it subtracts.
///
/// # Shapes
/// - `x`: any, of rank `D`
/// - output: the shape of `x`; the same with `dim` of length 1
fn shift_and_log_sum<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    dim: usize,
) -> (Tensor<B, D>, Tensor<B, D>) {
    // The result does not depend on the shift: its gradient is left out.
    let shifted = x.clone() - x.detach().max_dim(dim);
    let log_sum = shifted.clone().exp().sum_dim(dim).log();
    (shifted, log_sum)
}
