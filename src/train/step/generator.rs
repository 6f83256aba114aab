use burn::module::{AutodiffModule, Module};
use burn::optim::{GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_model::Observer;
use dp_sims_model::buffers::{clip_gradients, copy_buffers, take};
use dp_sims_model::discriminator::Discriminator;
use dp_sims_model::layers::{LabelMaps, Mode};

use super::super::batch::{DeviceBatch, StepScalars};
use super::super::parts::StepPart;
use super::super::random::{Purpose, latents};
use super::diversity::Pair;
use super::{Training, gradient, norm};

impl<B: AutodiffBackend> Training<B> {
    /// Changes generator and projector. Gives back the images of every batch, without their graph.
    pub(super) fn generator_step(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
        scalars: &mut StepScalars<B::InnerBackend>,
        observer: &mut dyn Observer<StepPart>,
    ) -> Vec<Tensor<B::InnerBackend, 4>> {
        let mut images = Vec::with_capacity(batches.len());
        let mut generator_gradients = GradientsAccumulator::new();
        let mut projector_gradients = GradientsAccumulator::new();
        for (index, batch) in batches.iter().enumerate() {
            let counter = step * batches.len() as u64 + index as u64;
            let (image, generator, projector) =
                self.generator_pass(counter, batch, batches.len() as f64, scalars, observer);
            images.push(image);
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
        let rate = config.lr_generator * config.rate_share(step, self.experiment.run.steps);
        let generator = take(&mut self.networks.generator);
        self.networks.generator = self.optimizer_generator.step(rate, generator, gradients);
        if let Some((projector, _)) = &mut self.networks.contrastive {
            *projector =
                self.optimizer_projector
                    .step(rate, take(projector), projector_gradients.grads());
        }
        observer.end_of(StepPart::GeneratorOptimizer);
        images
    }

    /// Images of one batch, and gradients for generator and projector.
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
    ) -> (
        Tensor<B::InnerBackend, 4>,
        GradientsParams,
        Option<GradientsParams>,
    ) {
        let loss = self.experiment.loss.clone();
        let images = batch.images.dims()[0];
        let copies = if loss.has_pairs() { 2 } else { 1 };
        let maps = LabelMaps::<B>::from_inner(batch.maps.clone());
        let shift = self.shift(counter);
        let labels = shift.labels(maps.labels.clone());
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
        // Of a pair the second image is made only where it is looked at.
        let seen = if loss.compares_images() {
            2 * images
        } else {
            images
        };
        let seen = features.clone().narrow(0, 0, seen);
        let all = generator.image(seen, Mode::Train);
        let image = all.clone().narrow(0, 0, images);
        observer.end_of(StepPart::Generator);

        let cut = image.clone().detach().require_grad();
        let mut frozen =
            Discriminator::<B>::from_inner(self.networks.discriminator.valid()).no_grad();
        let backbone = &self.networks.backbone;
        let moved = shift.images(cut.clone());
        let levels = backbone
            .as_ref()
            .map_or_else(Vec::new, |b| b.features(moved.clone()));
        let logits = frozen.forward(moved, levels, Mode::Train);
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
        if let Some((projector, network)) = &self.networks.contrastive
            && loss.contrastive.lambda > 0.0
        {
            let cut = image.clone().detach().require_grad();
            let fake = network.features(shift.images(cut.clone()));
            let real = network.plain_features(shift.images(batch.images.clone()));
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

        let plain_image = image.clone().inner();
        let mut surrogate = (image * Tensor::from_inner(image_gradient)).sum();
        let pair = (copies == 2).then(|| Pair {
            features,
            images: all,
            latents: latent,
            shift,
        });
        if let Some(pair) = &pair {
            let other = pair.second_image(self.networks.generator.to_image());
            scalars.push("noise_effect", (plain_image.clone() - other).abs().mean());
        }
        measure_exposures(&plain_image, &batch.images, scalars);
        if let Some(pair) = pair {
            let network = self
                .networks
                .contrastive
                .as_ref()
                .map(|(_, network)| network);
            let (term, pull) = pair.terms(&loss, network, scalars);
            total = total + term;
            surrogate = surrogate + pull;
            observer.end_of(StepPart::Diversity);
        }
        scalars.push("g_total", total);
        let gradients = (surrogate / passes).backward();
        let gradients = GradientsParams::from_grads(gradients, &self.networks.generator);
        observer.end_of(StepPart::GeneratorBackward);
        (plain_image, gradients, projector_gradients)
    }
}

/// How bright generated images and photos are, which tells a collapse to one exposure.
fn measure_exposures<B: Backend>(
    images: &Tensor<B, 4>,
    photos: &Tensor<B, 4>,
    scalars: &mut StepScalars<B>,
) {
    for (names, images) in [
        (["exposure_fake", "exposure_fake_squared"], images),
        (["exposure_real", "exposure_real_squared"], photos),
    ] {
        let exposures: Tensor<B, 2> = images.clone().flatten::<2>(1, 3).mean_dim(1);
        scalars.push(names[0], exposures.clone().mean());
        scalars.push(names[1], exposures.square().mean());
    }
}
