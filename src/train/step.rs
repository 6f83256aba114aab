//! One training step: the generator step, then the discriminator step on the same batch (notes L30).

mod discriminator;
mod diversity;
mod generator;
#[cfg(all(test, feature = "flex"))]
mod tests;
mod view;

use anyhow::{Result, ensure};
use blake3::Hasher;
use burn::module::{AutodiffModule, Module};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_model::buffers::{
    average, buffer_names, check_buffers, clip_gradients, scale_gradients, take,
};
use dp_sims_model::discriminator::Discriminator;
use dp_sims_model::generator::Generator;
use dp_sims_model::losses::{PixelLoss, Projector, Shift};
use dp_sims_model::weights::state_dict;

use super::loss_scale::Scale;
use super::networks::Networks;
use super::optimizer::{ModuleOptimizer, adam};
use super::parts::StepPart;
use super::ranks::Ranks;
use super::report::{Scalar, StepScalars};
use crate::checkpoint::snapshot::LossScale;
use crate::config::Experiment;
use crate::events::{Measure, Network};
use crate::runtime::batch::DeviceBatch;
use crate::runtime::device::read;
use crate::runtime::noise::{Draws, SeededDraws};
pub(super) use view::MEASURED_EVERY;

/// Steps between two looks at whether running statistics are finite: losses are for a long time where
/// those are not.
pub(super) const LOOK_EVERY: u64 = 8;

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
    /// What losses are multiplied by, where that is needed.
    pub loss_scale: Option<LossScale>,
    /// Whether a gradient of this step was not finite, and an update left out.
    overflowed: bool,
    draws: Box<dyn Draws>,
    ranks: Ranks,
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
            loss_scale: LossScale::of(experiment.precision.compute),
            overflowed: false,
            pixel: experiment.loss.pixel.init()?,
            draws: Box::new(SeededDraws {
                seed: experiment.run.seed,
            }),
            ranks: Ranks::default(),
            experiment: experiment.clone(),
            device: device.clone(),
        })
    }

    /// The same as one of several ranks, each of which has its part of every batch.
    pub fn with_ranks(self, ranks: Ranks) -> Self {
        Self { ranks, ..self }
    }

    /// The same before the first step: fresh optimizers, and initial weights over the same frozen
    /// networks. Takes the origin of the random numbers along.
    ///
    /// # Errors
    /// Those of [`Networks::new`] and [`Self::new`].
    pub fn anew(&mut self, classes: usize) -> Result<Self> {
        let networks = self
            .networks
            .anew(&self.experiment, classes, &self.device)?;
        let fresh = Self::new(networks, &self.experiment, &self.device)?;
        let seeded = Box::new(SeededDraws {
            seed: self.experiment.run.seed,
        });
        let fresh = fresh.with_ranks(self.ranks);
        Ok(fresh.with_draws(std::mem::replace(&mut self.draws, seeded)))
    }

    /// The same with random numbers of another origin.
    pub fn with_draws(self, draws: Box<dyn Draws>) -> Self {
        Self { draws, ..self }
    }

    /// Step number `step` (from 1) on `accumulation` batches, or this rank's parts of them.
    ///
    /// # Errors
    /// When the device fails or ranks cannot agree.
    pub fn step(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
    ) -> Result<StepScalars<B::InnerBackend>> {
        self.step_and_tell(step, batches, [])
    }

    /// A step by whose scalars ranks tell each other numbers of their own.
    ///
    /// # Errors
    /// Those of [`step`](Self::step).
    pub(super) fn step_and_tell(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
        told: impl IntoIterator<Item = (Scalar, f32)>,
    ) -> Result<StepScalars<B::InnerBackend>> {
        let ranks = self.ranks;
        let compute = self.experiment.precision.compute;
        let mut scalars = ranks.run(|| compute.run(|| self.own_step(step, batches)))?;
        if ranks.are_one() {
            return Ok(scalars);
        }
        for (scalar, value) in told {
            scalars.push(scalar, Tensor::from_floats([value], &self.device));
        }
        scalars.over(ranks)
    }

    /// BLAKE3 over names and values of everything that is trained, and of the running statistics where they
    /// are those of all ranks. Reads all of it from the device.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut hasher = Hasher::new();
        let networks = &self.networks;
        hash_module(&mut hasher, &networks.generator, self.ranks);
        hash_module(&mut hasher, &networks.discriminator, self.ranks);
        if let Some((projector, _)) = &networks.contrastive {
            hash_module(&mut hasher, projector, self.ranks);
        }
        hasher.finalize().into()
    }

    fn own_step(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
    ) -> Result<StepScalars<B::InnerBackend>> {
        ensure!(!batches.is_empty(), "a step needs at least one batch");
        let mut scalars = StepScalars::new();
        if let Some(scale) = self.loss_scale {
            let factor = Tensor::from_floats([scale.factor as f32], &self.device);
            scalars.push(Scalar::Measure(Measure::LossScale), factor);
        }
        let made = self.generator_step(step, batches, &mut scalars)?;
        self.discriminator_step(step, batches, made, &mut scalars)?;
        let is_finite = !std::mem::take(&mut self.overflowed);
        self.loss_scale = self.loss_scale.map(|scale| scale.after(is_finite));
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
    fn scale(&self) -> Scale {
        Scale::of(self.loss_scale)
    }

    /// Gradients of all ranks' losses, clipped; none where they are not finite for the sake of the scale of
    /// the losses. With a scale, waits for the device to say so.
    ///
    /// # Errors
    /// When ranks cannot agree, or the device fails.
    fn summed<M: AutodiffModule<B>>(
        &self,
        module: &M,
        gradients: GradientsParams,
    ) -> Result<Option<GradientsParams>> {
        let mut gradients = self.ranks.gradients(module, gradients)?;
        let scale = self.scale();
        if scale.is_in_use() {
            let (scaled, check) = scale_gradients(module, gradients, scale.inverse());
            let check = check.map(read).transpose()?;
            if check.is_some_and(|check| !check.iter::<f32>().all(f32::is_finite)) {
                return Ok(None);
            }
            gradients = scaled;
        }
        if let Some(largest) = self.experiment.optimizer.clip_norm {
            gradients = clip_gradients(module, gradients, largest);
        }
        Ok(Some(gradients))
    }

    /// The shift of the batch with this counter, one for both of its steps.
    fn shift(&self, counter: u64) -> Shift {
        let largest = self.experiment.loss.shift;
        Shift::draw(self.experiment.run.seed, counter, largest)
    }
}

fn hash_module<B: AutodiffBackend, M: Module<B>>(hasher: &mut Hasher, module: &M, ranks: Ranks) {
    let buffers = buffer_names(module);
    let differ = |name: &String| !ranks.sync_statistics() && buffers.contains(name);
    for (name, data) in state_dict(module) {
        if !differ(&name) {
            hasher.update(name.as_bytes());
            hasher.update(data.as_bytes());
        }
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
