use anyhow::Result;
use burn::module::AutodiffModule;
use burn::optim::{GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor};
use dp_sims_model::buffers::{copy_buffers, take};
use dp_sims_model::layers::Mode;
use dp_sims_model::losses::{label_mix, label_mix_mask, mix, pixel_hits};
use dp_sims_model::tape::{Tape, Value};

use super::super::parts::StepPart;
use super::super::report::{Scalar, StepScalars};
use super::generator::Made;
use super::{Training, gradient};
use crate::events::Term;
use crate::runtime::batch::DeviceBatch;
use crate::runtime::noise::{Purpose, latents_of_share};

impl<B: AutodiffBackend> Training<B> {
    /// Changes the discriminator, which tells images from photos: those the generator's step `made` of
    /// every batch, or new ones.
    ///
    /// # Errors
    /// When ranks cannot agree.
    pub(super) fn discriminator_step(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
        made: Vec<Made<B::InnerBackend>>,
        scalars: &mut StepScalars<B::InnerBackend>,
    ) -> Result<()> {
        let mut accumulator = GradientsAccumulator::new();
        for (index, (batch, mut made)) in batches.iter().zip(made).enumerate() {
            let counter = step * batches.len() as u64 + index as u64;
            if !self.experiment.run.reuse_fakes {
                made.images = self.fakes(counter, batch);
                made.fake_features = None;
            }
            StepPart::Fakes.end();
            let passes = batches.len() as f64;
            let gradients = self.discriminator_pass(counter, batch, made, passes, scalars);
            accumulator.accumulate(&self.networks.discriminator, gradients);
        }
        let config = &self.experiment.optimizer;
        let rate = config.lr_discriminator * config.rate_share(step, self.experiment.run.steps);
        match self.summed(&self.networks.discriminator, accumulator.grads())? {
            Some(gradients) => {
                let discriminator = take(&mut self.networks.discriminator);
                self.networks.discriminator =
                    self.optimizer_discriminator
                        .step(rate, discriminator, gradients);
            }
            None => self.overflowed = true,
        }
        StepPart::DiscriminatorOptimizer.end();
        Ok(())
    }

    /// New images of one batch, made without a graph.
    fn fakes(
        &mut self,
        counter: u64,
        batch: &DeviceBatch<B::InnerBackend>,
    ) -> Tensor<B::InnerBackend, 4> {
        let dim = self.networks.generator.latent_dim();
        let shape = [1, batch.images.dims()[0], dim];
        let (purpose, share) = (Purpose::Discriminator, self.ranks.share());
        let latent = latents_of_share::<B::InnerBackend>(
            &*self.draws,
            counter,
            purpose,
            shape,
            share,
            &self.device,
        );
        let mut generator = self.networks.generator.valid();
        let fake = generator.forward(batch.maps.clone(), latent, Mode::Train);
        self.networks.generator = copy_buffers(self.networks.generator.clone(), &generator);
        fake
    }

    /// Gradients of one batch for the discriminator: fakes first, then photos, as separate
    /// forward passes (notes L31). The backbone runs without a graph.
    fn discriminator_pass(
        &mut self,
        counter: u64,
        batch: &DeviceBatch<B::InnerBackend>,
        made: Made<B::InnerBackend>,
        passes: f64,
        scalars: &mut StepScalars<B::InnerBackend>,
    ) -> GradientsParams {
        let shift = self.shift(counter);
        let fake = shift.images(made.images);
        let real = shift.images(batch.images.clone());
        let maps = shift.labels(batch.maps.labels.clone());
        let mut tape = Tape::new(self.experiment.run.recompute);
        let fake_value = self.logits(&mut tape, fake.clone(), made.fake_features);
        let real_value = self.logits(&mut tape, real.clone(), made.photo_features);
        let (fake_logits, real_logits) = (fake_value.leaf(), real_value.leaf());
        let mut leaves = vec![
            (fake_value, fake_logits.clone()),
            (real_value, real_logits.clone()),
        ];
        let labels = Tensor::<B, 3, Int>::from_inner(maps.clone());
        let fake_class = (fake_logits.dims()[1] - 1) as i64;
        let fake_targets = Tensor::full(maps.dims(), fake_class, &self.device);
        let hits = pixel_hits(fake_logits.clone().inner(), fake_targets);
        scalars.push_share(Scalar::AccuracyFake, hits);
        let hits = pixel_hits(real_logits.clone().inner(), maps.clone());
        scalars.push_share(Scalar::AccuracyReal, hits);

        let alpha = Tensor::from_inner(batch.class_weights.clone());
        let fake_loss = self.pixel.fake(fake_logits.clone());
        let real_loss = self.pixel.real(real_logits.clone(), labels, alpha);
        scalars.push(Scalar::discriminator(Term::Fake), fake_loss.clone().inner());
        scalars.push(Scalar::discriminator(Term::Real), real_loss.clone().inner());
        let mut total = fake_loss + real_loss;
        let weight = self.experiment.loss.lambda_label_mix;
        if weight > 0.0 {
            let coins = self.draws.coins(counter, fake_class as usize);
            let mask = label_mix_mask(maps, &coins);
            let mixed = self.logits(&mut tape, mix(real, fake, mask.clone()), None);
            let mixed_logits = mixed.leaf();
            leaves.push((mixed, mixed_logits.clone()));
            let mask = Tensor::from_inner(mask);
            let term = label_mix(mixed_logits, real_logits, fake_logits, mask) * weight;
            scalars.push(Scalar::discriminator(Term::LabelMix), term.clone().inner());
            total = total + term;
        }
        scalars.push(Scalar::discriminator(Term::Total), total.clone().inner());
        StepPart::Discriminator.end();
        let gradients = self.scale().backward(total / passes);
        let pulled: Vec<_> = leaves
            .into_iter()
            .map(|(value, leaf)| (value, gradient(&leaf, &gradients)))
            .collect();
        drop(gradients);
        let gradients = tape.backward(pulled).parameters;
        StepPart::DiscriminatorBackward.end();
        gradients
    }

    /// The discriminator's answer to images whose `features` in the backbone may be known.
    fn logits(
        &mut self,
        tape: &mut Tape<B>,
        images: Tensor<B::InnerBackend, 4>,
        features: Option<Vec<Tensor<B::InnerBackend, 4>>>,
    ) -> Value<B> {
        let backbone = self.networks.backbone.as_ref();
        let features = features
            .or_else(|| Some(backbone?.plain_features(images.clone())))
            .unwrap_or_default();
        let features = features.into_iter().map(Value::constant).collect();
        let discriminator = &mut self.networks.discriminator;
        discriminator.train_logits(tape, Value::constant(images), features)
    }
}
