//! Noise of a run as a function of (seed, step, purpose).

use burn::tensor::{Tensor, TensorData, backend::Backend};
use dp_sims_model::init::normals;

/// What latents are drawn for. Each use has its own stream.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// The generator step: a pair per label map for the diversity loss.
    Generator,
    /// The fakes of the discriminator step.
    Discriminator,
    /// Refreshing the statistics of the averaged generator.
    Refresh,
    /// The fixed noise of previews.
    Preview,
    /// Images made by `generate`.
    Generate,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Generator => "latent of the generator step",
            Self::Discriminator => "latent of the discriminator step",
            Self::Refresh => "latent of the refresh",
            Self::Preview => "latent of the preview",
            Self::Generate => "latent of generate",
        }
    }
}

/// Latents drawn from N(0, I).
///
/// # Shapes
/// - output: `[rows, latent_dim]`
pub fn latents<B: Backend>(
    seed: u64,
    counter: u64,
    purpose: Purpose,
    [rows, latent_dim]: [usize; 2],
    device: &B::Device,
) -> Tensor<B, 2> {
    let values = normals(seed, counter, purpose.name(), rows * latent_dim);
    Tensor::from_data(TensorData::new(values, [rows, latent_dim]), device)
}
