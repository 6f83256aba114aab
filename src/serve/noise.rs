use dp_sims_model::generator::Generator;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dp_sims_model::layers::{LabelMaps, Mode};

use crate::runtime::noise::{Draws, Purpose, SeededDraws};

/// The noise of the images of a request. Sample k of a seed is that of `dp-sims generate`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noise {
    /// Seed of the latents.
    pub seed: u64,
    /// Images.
    pub samples: usize,
    /// Another seed, and how far the latents are on the way to its own, from 0 to 1.
    pub towards: Option<(u64, f32)>,
    /// Tokens of another seed.
    pub style: Option<Style>,
}

/// Noise tokens of an image that come from another seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// The seed.
    pub seed: u64,
    /// Their numbers, from 0.
    pub tokens: Vec<usize>,
}

impl Noise {
    /// The latents, `[samples, dim]`.
    fn latents(&self, dim: usize) -> Vec<f32> {
        let own = rows(self.seed, self.samples, dim);
        let Some((other, share)) = self.towards else {
            return own;
        };
        let others = rows(other, self.samples, dim);
        // The mixture of two independent latents is distributed as they are.
        let scale = (1.0 - share).hypot(share);
        let pairs = own.into_iter().zip(others);
        pairs
            .map(|(a, b)| ((1.0 - share) * a + share * b) / scale)
            .collect()
    }

    /// Images of label maps under this noise.
    ///
    /// # Shapes
    /// - labels: `[1, H, W]`
    /// - output: `[samples, 3, H, W]` in [-1, 1]
    pub(super) fn images<B: Backend>(
        &self,
        generator: &mut Generator<B>,
        maps: LabelMaps<B>,
        device: &B::Device,
    ) -> Tensor<B, 4> {
        let dim = generator.latent_dim();
        let tensor = |values| {
            let shape = [self.samples, dim];
            Tensor::<B, 2>::from_data(TensorData::new(values, shape), device)
        };
        let latent = tensor(self.latents(dim));
        match &self.style {
            None => generator.forward(maps, latent, Mode::Eval),
            Some(style) => {
                let other = tensor(rows(style.seed, self.samples, dim));
                generator.forward_mixed(maps, [latent, other], &style.tokens, Mode::Eval)
            }
        }
    }
}

/// One latent per sample of a seed, one after the other.
fn rows(seed: u64, samples: usize, dim: usize) -> Vec<f32> {
    let draws = SeededDraws { seed };
    (0..samples as u64)
        .flat_map(|k| draws.normals(k, Purpose::Generate, dim))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, towards: Option<(u64, f32)>) -> Vec<f32> {
        let noise = Noise {
            seed,
            samples: 3,
            towards,
            style: None,
        };
        noise.latents(1000)
    }

    #[test]
    fn a_mixture_begins_and_ends_at_its_seeds_and_keeps_the_variance() {
        let (own, other) = (noise(4, None), noise(9, None));
        assert_ne!(own, other);
        assert_eq!(noise(4, Some((9, 0.0))), own);
        assert_eq!(noise(4, Some((9, 1.0))), other);
        let half = noise(4, Some((9, 0.5)));
        let squares: f32 = half.iter().map(|value| value * value).sum();
        // Of 3000 squares with mean 1 and variance 2, four standard deviations.
        let mean = squares / half.len() as f32;
        assert!(
            (mean - 1.0).abs() < 4.0 * (2.0_f32 / 3000.0).sqrt(),
            "{mean}"
        );
    }

    #[test]
    fn samples_do_not_depend_on_their_number() {
        let one = Noise {
            seed: 4,
            samples: 1,
            ..Noise::default()
        };
        assert_eq!(one.latents(1000), noise(4, None)[..1000]);
    }
}
