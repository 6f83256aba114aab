//! One training step: the generator step, then the discriminator step on the same batch (notes L30).

mod discriminator;
mod diversity;
mod generator;
#[cfg(all(test, feature = "flex"))]
mod tests;
mod view;

use anyhow::{Result, ensure};
use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_model::buffers::{average, check_buffers, take};
use dp_sims_model::discriminator::Discriminator;
use dp_sims_model::generator::Generator;
use dp_sims_model::losses::{PixelLoss, Projector, Shift};

use super::networks::Networks;
use super::optimizer::{ModuleOptimizer, adam};
use super::parts::StepPart;
use super::report::{Scalar, StepScalars};
use crate::config::Experiment;
use crate::events::Network;
use crate::runtime::batch::DeviceBatch;
use crate::runtime::noise::{Draws, SeededDraws};
pub(super) use view::MEASURED_EVERY;

/// Steps between two looks at whether running statistics are finite: losses are for a long time where
/// those are not.
const LOOK_EVERY: u64 = 8;

/// Networks with their optimizers: what a step changes.
pub struct Training<B: AutodiffBackend> {
    /// Every network.
    pub networks: Networks<B>,
    /// Adam of the generator.
    pub optimizer_generator: ModuleOptimizer<B, Generator<B>>,
    /// Adam of the contrastive projector, at the generator's learning rate (notes O16).
    pub optimizer_projector: ModuleOptimizer<B, Projector<B>>,
    /// Adam of the discriminator.
    pub optimizer_discriminator: ModuleOptimizer<B, Discriminator<B>>,
    draws: Box<dyn Draws>,
    experiment: Experiment,
    pixel: PixelLoss,
    device: B::Device,
}

impl<B: AutodiffBackend> Training<B> {
    /// Fresh optimizers for these networks.
    ///
    /// # Errors
    /// When a loss setting is out of range.
    pub fn new(networks: Networks<B>, experiment: &Experiment, device: &B::Device) -> Result<Self> {
        Ok(Self {
            networks,
            optimizer_generator: adam(&experiment.optimizer),
            optimizer_projector: adam(&experiment.optimizer),
            optimizer_discriminator: adam(&experiment.optimizer),
            pixel: experiment.loss.pixel.init()?,
            draws: Box::new(SeededDraws {
                seed: experiment.run.seed,
            }),
            experiment: experiment.clone(),
            device: device.clone(),
        })
    }

    /// The same with random numbers of another origin.
    pub fn with_draws(self, draws: Box<dyn Draws>) -> Self {
        Self { draws, ..self }
    }

    /// Step number `step` (from 1) on `accumulation` batches.
    ///
    /// # Errors
    /// When the device fails.
    pub fn step(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
    ) -> Result<StepScalars<B::InnerBackend>> {
        ensure!(!batches.is_empty(), "a step needs at least one batch");
        let mut scalars = StepScalars::new();
        let made = self.generator_step(step, batches, &mut scalars);
        self.discriminator_step(step, batches, made, &mut scalars);
        let decay = self.experiment.ema.decay_at(step);
        let current = self.networks.generator.valid();
        self.networks.ema = average(take(&mut self.networks.ema), &current, decay);
        StepPart::Average.end();
        if step.is_multiple_of(LOOK_EVERY) {
            let checks = [
                (Network::Generator, check_buffers(&self.networks.generator)),
                (
                    Network::Discriminator,
                    check_buffers(&self.networks.discriminator),
                ),
            ];
            for (network, check) in checks {
                if let Some(check) = check {
                    scalars.push(Scalar::Buffers(network), check);
                }
            }
        }
        Ok(scalars)
    }
}

impl<B: AutodiffBackend> Training<B> {
    /// The shift of the batch with this counter, one for both of its steps.
    fn shift(&self, counter: u64) -> Shift {
        let largest = self.experiment.loss.shift;
        Shift::draw(self.experiment.run.seed, counter, largest)
    }
}

/// Gradient at a leaf of the graph; zero where the loss does not depend on it.
fn gradient<B: AutodiffBackend>(
    leaf: &Tensor<B, 4>,
    gradients: &B::Gradients,
) -> Tensor<B::InnerBackend, 4> {
    leaf.grad(gradients)
        .unwrap_or_else(|| Tensor::zeros(leaf.dims(), &leaf.device()))
}

fn norm<B: Backend>(gradient: Tensor<B, 4>) -> Tensor<B, 1> {
    gradient.square().sum().sqrt()
}
