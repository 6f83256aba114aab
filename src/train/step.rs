//! One training step: the generator step, then the discriminator step on the same batch with
//! fresh fakes (facts L30).

use anyhow::{Result, ensure};
use burn::module::{AutodiffModule, Module};
use burn::optim::{GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor};
use dp_sims_model::Observer;
use dp_sims_model::buffers::{average, clip_gradients, copy_buffers, take};
use dp_sims_model::discriminator::Discriminator;
use dp_sims_model::generator::Generator;
use dp_sims_model::layers::{LabelMaps, Mode};
use dp_sims_model::losses::{
    PixelLoss, Projector, diversity, label_mix, label_mix_mask, mix, pixel_accuracy,
};

use super::batch::{DeviceBatch, StepScalars};
use super::networks::Networks;
use super::optimizer::{ModuleOptimizer, adam};
use super::parts::StepPart;
use super::random::{Draws, Purpose, SeededDraws, latents};
use crate::config::Experiment;

/// Networks with their optimizers: what a step changes.
pub struct Training<B: AutodiffBackend> {
    /// Every network.
    pub networks: Networks<B>,
    /// Adam of the generator.
    pub optimizer_generator: ModuleOptimizer<B, Generator<B>>,
    /// Adam of the contrastive projector, at the generator's learning rate (facts O16).
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
        self.step_observed(step, batches, &mut ())
    }

    /// [`Self::step`], with an observer who is told where its parts end.
    ///
    /// # Errors
    /// When the device fails.
    pub fn step_observed(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
        observer: &mut dyn Observer<StepPart>,
    ) -> Result<StepScalars<B::InnerBackend>> {
        ensure!(!batches.is_empty(), "a step needs at least one batch");
        let mut scalars = StepScalars::new();
        self.generator_step(step, batches, &mut scalars, observer);
        self.discriminator_step(step, batches, &mut scalars, observer);
        let decay = self.experiment.ema.decay_at(step);
        let current = self.networks.generator.valid();
        self.networks.ema = average(take(&mut self.networks.ema), &current, decay);
        observer.end_of(StepPart::Average);
        Ok(scalars)
    }

    fn generator_step(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
        scalars: &mut StepScalars<B::InnerBackend>,
        observer: &mut dyn Observer<StepPart>,
    ) {
        let mut generator_gradients = GradientsAccumulator::new();
        let mut projector_gradients = GradientsAccumulator::new();
        for (index, batch) in batches.iter().enumerate() {
            let counter = step * batches.len() as u64 + index as u64;
            let (generator, projector) =
                self.generator_pass(counter, batch, batches.len() as f64, scalars, observer);
            generator_gradients.accumulate(&self.networks.generator, generator);
            if let (Some((module, _)), Some(gradients)) = (&self.networks.contrastive, projector) {
                projector_gradients.accumulate(module, gradients);
            }
        }
        let config = &self.experiment.optimizer;
        let mut gradients = generator_gradients.grads();
        if let Some(largest) = config.clip_norm {
            gradients = clip_gradients(&self.networks.generator, gradients, largest);
        }
        let generator = take(&mut self.networks.generator);
        self.networks.generator =
            self.optimizer_generator
                .step(config.lr_generator, generator, gradients);
        if let Some((projector, _)) = &mut self.networks.contrastive {
            *projector = self.optimizer_projector.step(
                config.lr_generator,
                take(projector),
                projector_gradients.grads(),
            );
        }
        observer.end_of(StepPart::GeneratorOptimizer);
    }

    /// Gradients of one batch for generator and projector.
    ///
    /// The graph is cut at the generated image and at the features of the diversity loss: each
    /// term runs backward to the cut on its own, which costs nothing more and shows how strongly
    /// it pulls (facts O1), and then one backward pass takes their sum through the generator.
    fn generator_pass(
        &mut self,
        counter: u64,
        batch: &DeviceBatch<B::InnerBackend>,
        passes: f64,
        scalars: &mut StepScalars<B::InnerBackend>,
        observer: &mut dyn Observer<StepPart>,
    ) -> (GradientsParams, Option<GradientsParams>) {
        let loss = self.experiment.loss.clone();
        let images = batch.images.dims()[0];
        let copies = if loss.lambda_diversity > 0.0 { 2 } else { 1 };
        let maps = LabelMaps::<B>::from_inner(batch.maps.clone());
        let labels = maps.labels.clone();
        let shape = [copies * images, self.networks.generator.latent_dim()];
        let latent = latents::<B>(
            &*self.draws,
            counter,
            Purpose::Generator,
            shape,
            &self.device,
        );

        let generator = &mut self.networks.generator;
        let features = generator.features(maps, latent.clone(), Mode::Train);
        let image = generator.image(features.clone().narrow(0, 0, images), Mode::Train);
        observer.end_of(StepPart::Generator);

        let cut = image.clone().detach().require_grad();
        let mut frozen =
            Discriminator::<B>::from_inner(self.networks.discriminator.valid()).no_grad();
        let backbone = &self.networks.backbone;
        let levels = backbone
            .as_ref()
            .map_or_else(Vec::new, |b| b.features(cut.clone()));
        let logits = frozen.forward(cut.clone(), levels, Mode::Train);
        self.networks.discriminator =
            copy_buffers(self.networks.discriminator.clone(), &frozen.valid());
        let alpha = Tensor::from_inner(batch.class_weights.clone());
        let term = self.pixel.generator(logits, labels, alpha) * loss.lambda_gan;
        scalars.push("g_gan", term.clone().inner());
        let mut total = term.clone().inner();
        observer.end_of(StepPart::Judgement);
        let mut image_gradient = gradient(&cut, &term.backward());
        scalars.push("norm_gan", norm(image_gradient.clone()));
        observer.end_of(StepPart::JudgementBackward);

        let mut projector_gradients = None;
        if let Some((projector, network)) = &self.networks.contrastive {
            let cut = image.clone().detach().require_grad();
            let fake = network.features(cut.clone());
            let real = network.plain_features(batch.images.clone());
            let positions: Vec<_> = real
                .iter()
                .map(|map| map.dims()[2] * map.dims()[3])
                .map(|count| self.draws.positions(counter, count, projector.queries()))
                .collect();
            let term = projector.loss(fake, real, &positions) * loss.contrastive.lambda;
            scalars.push("g_contrastive", term.clone().inner());
            total = total + term.clone().inner();
            observer.end_of(StepPart::Contrastive);
            let mut gradients = (term / passes).backward();
            let pull = gradient(&cut, &gradients) * passes;
            scalars.push("norm_contrastive", norm(pull.clone()));
            image_gradient = image_gradient + pull;
            projector_gradients = Some(GradientsParams::from_module(&mut gradients, projector));
            observer.end_of(StepPart::ContrastiveBackward);
        }

        let mut surrogate = (image * Tensor::from_inner(image_gradient)).sum();
        if copies == 2 {
            let cut = features.clone().detach().require_grad();
            let first = cut.clone().narrow(0, 0, images);
            let second = cut.clone().narrow(0, images, images);
            scalars.push(
                "noise_effect",
                (first.clone() - second.clone()).abs().mean().inner(),
            );
            let z_first = latent.clone().narrow(0, 0, images);
            let z_second = latent.narrow(0, images, images);
            let cutoff = loss.diversity_cutoff;
            let term = diversity(first, second, z_first, z_second, cutoff) * loss.lambda_diversity;
            scalars.push("g_diversity", term.clone().inner());
            total = total + term.clone().inner();
            let pull = gradient(&cut, &term.backward());
            scalars.push("norm_diversity", norm(pull.clone()));
            surrogate = surrogate + (features * Tensor::from_inner(pull)).sum();
            observer.end_of(StepPart::Diversity);
        }
        scalars.push("g_total", total);
        let gradients = (surrogate / passes).backward();
        let gradients = GradientsParams::from_grads(gradients, &self.networks.generator);
        observer.end_of(StepPart::GeneratorBackward);
        (gradients, projector_gradients)
    }

    fn discriminator_step(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
        scalars: &mut StepScalars<B::InnerBackend>,
        observer: &mut dyn Observer<StepPart>,
    ) {
        let mut accumulator = GradientsAccumulator::new();
        for (index, batch) in batches.iter().enumerate() {
            let counter = step * batches.len() as u64 + index as u64;
            let gradients =
                self.discriminator_pass(counter, batch, batches.len() as f64, scalars, observer);
            accumulator.accumulate(&self.networks.discriminator, gradients);
        }
        let config = &self.experiment.optimizer;
        let mut gradients = accumulator.grads();
        if let Some(largest) = config.clip_norm {
            gradients = clip_gradients(&self.networks.discriminator, gradients, largest);
        }
        let discriminator = take(&mut self.networks.discriminator);
        self.networks.discriminator =
            self.optimizer_discriminator
                .step(config.lr_discriminator, discriminator, gradients);
        observer.end_of(StepPart::DiscriminatorOptimizer);
    }

    /// Gradients of one batch for the discriminator: fakes first, then photos, as separate
    /// forward passes (facts L31). Generator and backbone run without a graph.
    fn discriminator_pass(
        &mut self,
        counter: u64,
        batch: &DeviceBatch<B::InnerBackend>,
        passes: f64,
        scalars: &mut StepScalars<B::InnerBackend>,
        observer: &mut dyn Observer<StepPart>,
    ) -> GradientsParams {
        let shape = [batch.images.dims()[0], self.networks.generator.latent_dim()];
        let purpose = Purpose::Discriminator;
        let latent =
            latents::<B::InnerBackend>(&*self.draws, counter, purpose, shape, &self.device);
        let mut generator = self.networks.generator.valid();
        let fake = generator.forward(batch.maps.clone(), latent, Mode::Train);
        self.networks.generator = copy_buffers(self.networks.generator.clone(), &generator);
        observer.end_of(StepPart::Fakes);

        let fake_logits = self.logits(fake.clone());
        let real_logits = self.logits(batch.images.clone());
        let labels = Tensor::<B, 3, Int>::from_inner(batch.maps.labels.clone());
        let fake_class = (fake_logits.dims()[1] - 1) as i64;
        let fake_targets = Tensor::full(batch.maps.labels.dims(), fake_class, &self.device);
        let accuracy = pixel_accuracy(fake_logits.clone().inner(), fake_targets);
        scalars.push("accuracy_fake", accuracy);
        let accuracy = pixel_accuracy(real_logits.clone().inner(), batch.maps.labels.clone());
        scalars.push("accuracy_real", accuracy);

        let alpha = Tensor::from_inner(batch.class_weights.clone());
        let fake_loss = self.pixel.fake(fake_logits.clone());
        let real_loss = self.pixel.real(real_logits.clone(), labels, alpha);
        scalars.push("d_fake", fake_loss.clone().inner());
        scalars.push("d_real", real_loss.clone().inner());
        let mut total = fake_loss + real_loss;
        let weight = self.experiment.loss.lambda_label_mix;
        if weight > 0.0 {
            let coins = self.draws.coins(counter, fake_class as usize);
            let mask = label_mix_mask(batch.maps.labels.clone(), &coins);
            let mixed = self.logits(mix(batch.images.clone(), fake, mask.clone()));
            let mask = Tensor::from_inner(mask);
            let term = label_mix(mixed, real_logits, fake_logits, mask) * weight;
            scalars.push("d_label_mix", term.clone().inner());
            total = total + term;
        }
        scalars.push("d_total", total.clone().inner());
        observer.end_of(StepPart::Discriminator);
        let gradients = (total / passes).backward();
        let gradients = GradientsParams::from_grads(gradients, &self.networks.discriminator);
        observer.end_of(StepPart::DiscriminatorBackward);
        gradients
    }

    fn logits(&mut self, images: Tensor<B::InnerBackend, 4>) -> Tensor<B, 4> {
        let backbone = &self.networks.backbone;
        let features = backbone.as_ref().map_or_else(Vec::new, |backbone| {
            let features = backbone.plain_features(images.clone());
            features.into_iter().map(Tensor::from_inner).collect()
        });
        self.networks
            .discriminator
            .forward(Tensor::from_inner(images), features, Mode::Train)
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
