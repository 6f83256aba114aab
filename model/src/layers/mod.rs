//! Layers shared by the generator, the discriminator and the losses.
//!
//! Layers with state (batch norm, spectral norm) take `&mut self` and an explicit [`Mode`]: what
//! burn's own batch norm derives from the backend (training on an autodiff backend, inference
//! otherwise) is wrong for a GAN, whose discriminator step runs the generator in training mode
//! without gradients.

mod attention;
mod batch_norm;
mod concat;
mod conv;
mod label_conv;
mod label_maps;
mod latent_conv;
mod linear;
#[cfg(test)]
mod parity;
mod precision;
mod resize;
mod resized_conv;
mod spade;
mod spectral;

pub use attention::{CrossAttention, SelfAttention};
pub use batch_norm::BatchNorm;
pub use concat::concat;
pub use conv::{Conv, ConvConfig, Padding};
pub use label_conv::LabelConv;
pub use label_maps::LabelMaps;
pub use latent_conv::LatentConv;
pub use linear::Linear;
pub use precision::{Compute, conv2d, matmul};
pub use resize::{
    interpolation_matrix, nearest_labels, resample, resize_bilinear, resize_bilinear_corners,
    resize_bilinear_single, upsample_nearest,
};
pub use resized_conv::add_convolved_resized;
pub(crate) use resized_conv::resize_macs;
pub use spade::{Condition, Spade, Then};
pub use spectral::SpectralNorm;

use burn::module::Param;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_backends::fused;
use serde::{Deserialize, Serialize};

/// Negative slope of every leaky ReLU in the generator and the discriminator (notes G6, D4).
pub const LEAKY_SLOPE: f64 = 0.2;

/// Whether a forward pass uses and updates batch statistics and power iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Batch statistics; running statistics and spectral-norm vectors move by one update.
    Train,
    /// Running statistics and the stored spectral-norm vectors; nothing changes.
    Eval,
}

/// Leaky ReLU with the slope of the paper's networks.
pub fn leaky_relu<B: Backend, const D: usize>(input: Tensor<B, D>) -> Tensor<B, D> {
    fused::leaky_relu(input, LEAKY_SLOPE)
}

/// GELU with the error function.
///
/// Written out because burn's own differentiates the tanh approximation on most backends, which
/// is off by up to 1e-3 in the gradient of a network.
pub fn gelu<B: Backend, const D: usize>(input: Tensor<B, D>) -> Tensor<B, D> {
    let cumulative = (input.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    input * cumulative
}

/// Replaces the value of a buffer, keeping its identity and keeping it out of the graph.
pub(crate) fn set_buffer<B: Backend, const D: usize>(
    buffer: &mut Param<Tensor<B, D>>,
    value: Tensor<B, D>,
) {
    *buffer = Param::initialized(buffer.id, value.detach().set_require_grad(false));
}
