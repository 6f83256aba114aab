use dp_sims_model::backbones::info;
use dp_sims_model::cost::{discriminator_statistics, generator_statistics};
use serde::Serialize;

use super::Share;
use crate::config::Experiment;
use crate::train::step_parameters;

/// Bytes of an `f32`.
const FLOAT: u64 = 4;

/// What devices have to add up over all of them in one step, in bytes.
///
/// A device in a ring of N sends 2 (N - 1) / N of it, once to add up and once to hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Gradients of generator, discriminator and projector, once a step.
    pub gradient_bytes: u64,
    /// Statistics of batch norms, taken over all devices: two numbers per channel and device in a forward pass,
    /// and two per channel in a backward pass.
    pub statistics_bytes: u64,
}

impl Traffic {
    /// Of an experiment for so many classes, void included, shared like this by so many devices.
    pub fn of(experiment: &Experiment, classes: usize, share: &Share, gpus: usize) -> Self {
        let parameters = step_parameters(experiment, classes);
        let trained = ["generator", "discriminator", "projector"];
        let trained = trained.iter().filter_map(|&name| parameters.get(name));
        let generator = generator_statistics(&experiment.generator);
        let channels = info(experiment.backbone.network).channels;
        let discriminator = discriminator_statistics(&experiment.discriminator, &channels);
        // Forward and back in the generator step, and forward for the images of the discriminator step.
        let makes_anew = u64::from(!experiment.run.reuse_fakes);
        // Segments that are computed again exchange their statistics again.
        let again = u64::from(experiment.run.recompute);
        let forward = (1 + again + makes_anew) * generator;
        // Forward and back in the generator step; in the discriminator's, where no gradient has to reach
        // the features, forward on fakes, photos and mixed images.
        let mixes = u64::from(experiment.loss.lambda_label_mix > 0.0);
        let forward = forward + (1 + again + 2 + mixes) * discriminator;
        let backward = generator + discriminator;
        let numbers = 2 * (forward * gpus as u64 + backward) * share.passes as u64;
        Self {
            gradient_bytes: FLOAT * trained.sum::<u64>(),
            statistics_bytes: FLOAT * numbers,
        }
    }

    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.gradient_bytes + self.statistics_bytes
    }

    /// Bytes that each of so many devices sends.
    pub fn sent(&self, gpus: usize) -> u64 {
        let others = gpus.saturating_sub(1) as u64;
        2 * others * self.bytes() / gpus.max(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn traffic_is_four_bytes_a_gradient_and_what_batch_norms_exchange() {
        let experiment = load("ade20k", &[]).unwrap();
        let share = Share::of(&experiment.run, 8).unwrap();
        let traffic = Traffic::of(&experiment, 151, &share, 8);
        // Notes G20 and D38: 70 M and 17 M parameters; 1.5 M of projections.
        let gradients = traffic.gradient_bytes as f64 / 4e6;
        assert!((85.0..95.0).contains(&gradients), "{gradients} M");
        // Encoder 32 + 6 x 64; blocks 2 x 1024 twice, 1024 + 512, 512 + 256, 256 + 128, 128 + 64, all from
        // the wider side; backbone 192 + 384 + 768 + 1536.
        let widths = 2 * 1024 * 2 + (1024 + 512) + (512 + 256) + (256 + 128) + (128 + 64);
        let (generator, discriminator) = (32 + 6 * 64 + widths, 192 + 384 + 768 + 1536);
        let (forward, backward) = (2 * generator + 3 * discriminator, generator + discriminator);
        let numbers = 2 * (8 * forward + backward);
        assert_eq!(traffic.statistics_bytes, 4 * numbers);
        assert_eq!(traffic.sent(8), traffic.bytes() * 14 / 8);
        assert_eq!(traffic.sent(1), 0);
    }
}
