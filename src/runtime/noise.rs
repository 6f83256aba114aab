//! Noise of a run as a function of (seed, step, purpose).

use std::fmt;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use dp_sims_datasets::Share;
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

/// The part of a batch's latents that belongs to the images of a [`Share`] of it: the batch of all parts has
/// the latents of one that is as large.
///
/// # Shapes
/// - output: `[copies * images, latent_dim]`, the images of each copy next to each other
pub fn latents_of_share<B: Backend>(
    draws: &dyn Draws,
    counter: u64,
    purpose: Purpose,
    [copies, images, latent_dim]: [usize; 3],
    share: Share,
    device: &B::Device,
) -> Tensor<B, 2> {
    let part = images * latent_dim;
    let all = draws.normals(counter, purpose, copies * share.parts * part);
    let own: Vec<f32> = all
        .chunks_exact(part)
        .skip(share.part)
        .step_by(share.parts)
        .flatten()
        .copied()
        .collect();
    Tensor::from_data(TensorData::new(own, [copies * images, latent_dim]), device)
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

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::*;

    #[test]
    fn shares_have_the_latents_of_the_batch() {
        type Inner = <dp_sims_backends::FlexAutodiff as AutodiffBackend>::InnerBackend;
        let latents = |images, share| {
            let draws = SeededDraws { seed: 3 };
            let (purpose, device) = (Purpose::Generator, Default::default());
            let shape = [2, images, 5];
            latents_of_share::<Inner>(&draws, 7, purpose, shape, share, &device)
        };
        let whole = latents(6, Share::default());
        let draws = SeededDraws { seed: 3 };
        let plain =
            super::latents::<Inner>(&draws, 7, Purpose::Generator, [12, 5], &Default::default());
        assert_eq!(whole.to_data(), plain.to_data());
        for part in 0..3 {
            let own = latents(2, Share { part, parts: 3 });
            let halves = [0, 6].map(|copy| whole.clone().narrow(0, copy + 2 * part, 2));
            assert_eq!(own.to_data(), Tensor::cat(halves.to_vec(), 0).to_data());
        }
    }
}
