//! Noise of a run as a function of (seed, step, purpose).

use std::fmt;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use dp_sims_model::init::normals;
use dp_sims_model::losses::sample_positions;

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
    /// The image of a label map that an evaluation judges.
    Evaluate,
    /// The samples of a label map whose diversity an evaluation measures.
    Diversity,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Generator => "latent of the generator step",
            Self::Discriminator => "latent of the discriminator step",
            Self::Refresh => "latent of the refresh",
            Self::Preview => "latent of the preview",
            Self::Generate => "latent of generate",
            Self::Evaluate => "latent of evaluate",
            Self::Diversity => "latent of the diversity",
        }
    }
}

/// The random numbers of a training step.
///
/// A step asks for what it needs by counter and purpose, so that numbers of another origin can be
/// put in their place: those of a reference implementation, in the test that compares the two.
pub trait Draws: fmt::Debug + Send {
    /// `count` numbers from N(0, 1).
    fn normals(&self, counter: u64, purpose: Purpose, count: usize) -> Vec<f32>;

    /// `count` different positions of a feature map with `positions` positions, or all of them.
    fn positions(&self, counter: u64, positions: usize, count: usize) -> Vec<i32>;

    /// A coin per class, for LabelMix.
    fn coins(&self, counter: u64, classes: usize) -> Vec<bool>;
}

/// Random numbers as a function of a seed: those of a run.
#[derive(Clone, Copy, Debug)]
pub struct SeededDraws {
    /// Seed of the run.
    pub seed: u64,
}

impl Draws for SeededDraws {
    fn normals(&self, counter: u64, purpose: Purpose, count: usize) -> Vec<f32> {
        normals(self.seed, counter, purpose.name(), count)
    }

    fn positions(&self, counter: u64, positions: usize, count: usize) -> Vec<i32> {
        sample_positions(self.seed, counter, positions, count)
    }

    fn coins(&self, counter: u64, classes: usize) -> Vec<bool> {
        let drawn = normals(self.seed, counter, "coins of LabelMix", classes);
        drawn.into_iter().map(|value| value > 0.0).collect()
    }
}

/// Latents from N(0, I).
///
/// # Shapes
/// - output: `[rows, latent_dim]`
pub fn latents<B: Backend>(
    draws: &dyn Draws,
    counter: u64,
    purpose: Purpose,
    [rows, latent_dim]: [usize; 2],
    device: &B::Device,
) -> Tensor<B, 2> {
    let values = draws.normals(counter, purpose, rows * latent_dim);
    Tensor::from_data(TensorData::new(values, [rows, latent_dim]), device)
}
