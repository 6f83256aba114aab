use anyhow::Result;
use burn::module::{AutodiffModule, Module};
use burn::optim::{GradientsAccumulator, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_model::buffers::{copy_buffers, take};
use dp_sims_model::discriminator::Discriminator;
use dp_sims_model::layers::{LabelMaps, concat};
use dp_sims_model::tape::Tape;

use super::super::parts::StepPart;
use super::super::report::{Scalar, StepScalars};
use super::diversity::Pair;
use super::view::{Look, Views, pulls, tracked};
use super::{Training, gradient};
use crate::events::{Measure, Term};
use crate::runtime::batch::DeviceBatch;
use crate::runtime::noise::{Purpose, latents_of_share};

/// What the generator's step made of a batch, without a graph, and what it learnt on the way.
pub(super) struct Made<B: Backend> {
    /// Images, `[N, 3, H, W]`.
    pub(super) images: Tensor<B, 4>,
    /// Features of the images, moved, in the backbone, where they were at hand.
    pub(super) fake_features: Option<Vec<Tensor<B, 4>>>,
    /// The same of the photos.
    pub(super) photo_features: Option<Vec<Tensor<B, 4>>>,
}

impl<B: AutodiffBackend> Training<B> {
    /// Changes generator and projector. Gives back what was made of every batch.
    ///
    /// # Errors
    /// When ranks cannot agree.
    pub(super) fn generator_step(
        &mut self,
        step: u64,
        batches: &[DeviceBatch<B::InnerBackend>],
        scalars: &mut StepScalars<B::InnerBackend>,
    ) -> Result<Vec<Made<B::InnerBackend>>> {
        let mut made = Vec::with_capacity(batches.len());
        let mut generator_gradients = GradientsAccumulator::new();
        let mut projector_gradients = GradientsAccumulator::new();
        for (index, batch) in batches.iter().enumerate() {
            let counter = step * batches.len() as u64 + index as u64;
            let passes = batches.len() as f64;
            let (images, generator, projector) =
                self.generator_pass([step, counter], batch, passes, scalars);
            made.push(images);
            generator_gradients.accumulate(&self.networks.generator, generator);
            if let (Some((module, _)), Some(gradients)) = (&self.networks.contrastive, projector) {
                projector_gradients.accumulate(module, gradients);
            }
        }
        let config = &self.experiment.optimizer;
        let rate = config.lr_generator * config.rate_share(step, self.experiment.run.steps);
        let gradients = generator_gradients.grads();
        let gradients = self.summed(&self.networks.generator, gradients)?;
        let of_projector = match &self.networks.contrastive {
            Some((projector, _)) => self.summed(projector, projector_gradients.grads())?,
            None => None,
        };
        if let Some(gradients) = gradients {
            let generator = take(&mut self.networks.generator);
            self.networks.generator = self.optimizer_generator.step(rate, generator, gradients);
        } else {
            self.overflowed = true;
        }
        if let Some((projector, _)) = &mut self.networks.contrastive {
            if let Some(gradients) = of_projector {
                *projector = self
                    .optimizer_projector
                    .step(rate, take(projector), gradients);
            } else {
                self.overflowed = true;
            }
        }
        StepPart::GeneratorOptimizer.end();
        Ok(made)
    }

    /// Images of one batch, and gradients for generator and projector.
    ///
    /// The graph is cut at the generated image and at the features of the diversity loss: each
    /// term runs backward to the cut on its own, which shows how strongly it pulls (notes O1), or all
    /// share a pass through the frozen network ([`Views`]), and then their sum goes back through the
    /// generator, segment by segment ([`Tape`]).
    fn generator_pass(
        &mut self,
        [step, counter]: [u64; 2],
        batch: &DeviceBatch<B::InnerBackend>,
        passes: f64,
        scalars: &mut StepScalars<B::InnerBackend>,
    ) -> (
        Made<B::InnerBackend>,
        GradientsParams,
        Option<GradientsParams>,
    ) {
        let loss = self.experiment.loss.clone();
        let images = batch.images.dims()[0];
        let copies = if loss.has_pairs() { 2 } else { 1 };
        let maps = LabelMaps::<B>::from_inner(batch.maps.clone());
        let shift = self.shift(counter);
        let labels = shift.labels(maps.labels.clone());
        let shape = [copies, images, self.networks.generator.latent_dim()];
        let latent = latents_of_share::<B>(
            &*self.draws,
            counter,
            Purpose::Generator,
            shape,
            self.ranks.share(),
            &self.device,
        );

        let recompute = self.experiment.run.recompute;
        let mut tape = Tape::new(recompute);
        let generator = &mut self.networks.generator;
        let features = generator.train_features(&mut tape, maps, latent.clone());
        // Of a pair the second image is made only where it is looked at.
        let seen = if loss.compares_images() {
            2 * images
        } else {
            images
        };
        let all = generator.train_image(&mut tape, features.clone(), seen);
        StepPart::Generator.end();

        let plain_image = all.tensor().narrow(0, 0, images);
        let backbone = self.networks.backbone.as_ref();
        let shared = backbone.filter(|_| self.experiment.shares_features());
        let scale = self.scale();
        let look = Look {
            shift,
            recompute,
            scale,
        };
        let mut views = Views::new(step, plain_image.clone(), look, shared);
        let mut frozen =
            Discriminator::<B>::from_inner(self.networks.discriminator.valid()).no_grad();
        let alpha = Tensor::from_inner(batch.class_weights.clone());
        let mut total = Tensor::zeros([1], &self.device);
        let pixel = &self.pixel;
        views.ask(backbone, 1.0, Term::Gan, scalars, |seen| {
            let mut tape = Tape::new(recompute);
            let mut seen = seen.into_iter().map(|map| tape.input(map));
            let (images, features) = (seen.next(), seen.collect());
            let Some(images) = images else {
                return Vec::new();
            };
            let logits = frozen.train_logits(&mut tape, images, features);
            let leaf = logits.leaf();
            let term = pixel.generator(leaf.clone(), labels, alpha) * loss.lambda_gan;
            total = term.clone().inner();
            StepPart::Judgement.end();
            let pull = gradient(&leaf, &scale.backward(term));
            tape.backward([(logits, pull)]).inputs
        });
        scalars.push(Scalar::generator(Term::Gan), total.clone());
        self.networks.discriminator =
            copy_buffers(self.networks.discriminator.clone(), &frozen.valid());
        StepPart::JudgementBackward.end();

        let mut projector_gradients = None;
        let mut photo_features = None;
        let contrastive = self.networks.contrastive.as_ref();
        if let Some((projector, network)) = contrastive
            && loss.contrastive.lambda > 0.0
        {
            let photos = shift.images(batch.images.clone());
            let real = match shared.filter(|_| views.are_shared()) {
                Some(shared) => {
                    let features = shared.plain_features(photos);
                    network.select(photo_features.insert(features))
                }
                None => network.plain_features(photos),
            };
            let positions: Vec<_> = real
                .iter()
                .map(|map| map.dims()[2] * map.dims()[3])
                .map(|count| self.draws.positions(counter, count, projector.queries()))
                .collect();
            let mut value = Tensor::zeros([1], &self.device);
            let (network, term) = (Some(network), Term::Contrastive);
            views.ask(network, passes, term, scalars, |seen| {
                let leaves = tracked(seen);
                let fake = leaves[1..].to_vec();
                let term = projector.loss(fake, real, &positions) * loss.contrastive.lambda;
                value = term.clone().inner();
                StepPart::Contrastive.end();
                let mut gradients = scale.backward(term / passes);
                let own = GradientsParams::from_module(&mut gradients, projector);
                projector_gradients = Some(own);
                pulls(&leaves, &gradients)
            });
            scalars.push(Scalar::generator(Term::Contrastive), value.clone());
            total = total + value;
            StepPart::ContrastiveBackward.end();
        }

        let pair = (copies == 2).then(|| Pair {
            features: Tensor::from_inner(features.tensor()),
            images: Tensor::from_inner(all.tensor()),
            latents: latent,
            shift,
        });
        if let Some(pair) = &pair {
            let other = pair.second_image(self.networks.generator.to_image());
            let effect = (plain_image.clone() - other).abs().mean();
            scalars.push(Scalar::Measure(Measure::NoiseEffect), effect);
        }
        measure_exposures(&plain_image, &batch.images, scalars);
        let (mut at_features, mut at_images) = (None, None);
        if let Some(pair) = pair {
            let network = contrastive.map(|(_, network)| network);
            let terms = pair.terms(&loss, network, scale, &mut views, scalars);
            total = total + terms.total;
            (at_features, at_images) = (terms.at_features, terms.at_images);
            StepPart::Diversity.end();
        }
        let fake_features = views.shared_features();
        let mut pull = views.finish();
        StepPart::FeaturesBackward.end();
        scalars.push(Scalar::generator(Term::Total), total);
        if seen > images {
            let unseen = pull.zeros_like();
            pull = concat(vec![pull, unseen], 0);
        }
        if let Some(gradient) = at_images {
            pull = pull + gradient;
        }
        let at_features = at_features.map(|gradient| (features, gradient / passes));
        let gradients = at_features.into_iter().chain([(all, pull / passes)]);
        let gradients = gradients.map(|(map, gradient)| (map, scale.up(gradient)));
        let gradients = tape.backward(gradients).parameters;
        StepPart::GeneratorBackward.end();
        let made = Made {
            images: plain_image,
            fake_features,
            photo_features,
        };
        (made, gradients, projector_gradients)
    }
}

/// How bright generated images and photos are, which tells a collapse to one exposure.
fn measure_exposures<B: Backend>(
    images: &Tensor<B, 4>,
    photos: &Tensor<B, 4>,
    scalars: &mut StepScalars<B>,
) {
    for (mean, square, images) in [
        (Measure::ExposureFake, Scalar::SquaredExposureFake, images),
        (Measure::ExposureReal, Scalar::SquaredExposureReal, photos),
    ] {
        let exposures: Tensor<B, 2> = images.clone().flatten::<2>(1, 3).mean_dim(1);
        scalars.push(Scalar::Measure(mean), exposures.clone().mean());
        scalars.push(square, exposures.square().mean());
    }
}
