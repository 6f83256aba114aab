mod precision;

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use dp_sims_backends::FlexAutodiff;
use dp_sims_model::discriminator::DiscriminatorArchitecture;
use dp_sims_model::generator::{GeneratorArchitecture, NoiseMode};
use dp_sims_model::init::normals;
use dp_sims_model::layers::LabelMaps;
use dp_sims_model::weights::{StateDict, state_dict};

use super::*;
use crate::runtime::noise::Purpose;

type Flex = <FlexAutodiff as AutodiffBackend>::InnerBackend;

const CLASSES: usize = 4;
const SIDE: usize = 32;

/// Numbers that do not depend on what they are for.
#[derive(Debug)]
struct OneForAll(SeededDraws);

impl Draws for OneForAll {
    fn normals(&self, counter: u64, _: Purpose, count: usize) -> Vec<f32> {
        self.0.normals(counter, Purpose::Generator, count)
    }

    fn positions(&self, counter: u64, positions: usize, count: usize) -> Vec<i32> {
        self.0.positions(counter, positions, count)
    }

    fn coins(&self, counter: u64, classes: usize) -> Vec<bool> {
        self.0.coins(counter, classes)
    }
}

/// An experiment whose generator makes the same image of the same noise in both halves of a step.
fn experiment(reuse_fakes: bool) -> Experiment {
    let mut experiment = Experiment::default();
    experiment.generator.base_width = 8;
    experiment.generator.spectral_norm = false;
    // The gates of cross-attention let no noise through as yet.
    experiment.generator.noise = NoiseMode::Concat;
    experiment.loss.lambda_diversity = 0.0;
    experiment.optimizer.lr_generator = 0.0;
    experiment.run.reuse_fakes = reuse_fakes;
    experiment
}

fn batch(seed: u64) -> DeviceBatch<Flex> {
    let device = Default::default();
    let shape = [2, 3, SIDE, SIDE];
    let images = normals(seed, 0, "images", shape.iter().product());
    let labels = (0..2 * SIDE * SIDE).map(|index| (index / 7 % CLASSES) as i32);
    let labels = TensorData::new(labels.collect::<Vec<_>>(), [2, SIDE, SIDE]);
    DeviceBatch {
        images: Tensor::from_data(TensorData::new(images, shape), &device),
        maps: LabelMaps {
            labels: Tensor::from_data(labels, &device),
            offsets: None,
        },
        class_weights: Tensor::ones([CLASSES], &device),
    }
}

/// Scalars of one step on two batches.
fn scalars(experiment: &Experiment, draws: Box<dyn Draws>) -> BTreeMap<String, f64> {
    let device = Default::default();
    let networks = Networks::<FlexAutodiff>::new(experiment, CLASSES, Path::new(""), &device);
    let training = Training::new(networks.unwrap(), experiment, &device).unwrap();
    let mut training = training.with_draws(draws);
    let scalars = training.step(1, &[batch(1), batch(2)]).unwrap();
    scalars.read().unwrap().named()
}

#[test]
fn the_discriminator_is_shown_the_images_of_the_generator_step() {
    let seeded = SeededDraws { seed: 3 };
    let reused = scalars(&experiment(true), Box::new(seeded));
    // New images are the same only if their noise is.
    for (draws, is_same) in [
        (Box::new(OneForAll(seeded)) as Box<dyn Draws>, true),
        (Box::new(seeded), false),
    ] {
        let fresh = scalars(&experiment(false), draws);
        assert!(fresh.keys().eq(reused.keys()));
        let difference = (fresh["d_fake"] / reused["d_fake"] - 1.0).abs();
        assert_eq!(difference < 1e-6, is_same, "{difference}");
        assert!((fresh["g_gan"] / reused["g_gan"] - 1.0).abs() < 1e-6);
    }
}

#[test]
fn a_step_without_a_batch_is_an_error() {
    let experiment = experiment(true);
    let device = Default::default();
    let networks = Networks::<FlexAutodiff>::new(&experiment, CLASSES, Path::new(""), &device);
    let mut training = Training::new(networks.unwrap(), &experiment, &device).unwrap();
    assert!(training.step(1, &[]).is_err());
}

/// Adam makes steps of one length of gradients of any size, but for those that its ε drowns.
#[test]
fn the_gradients_of_the_projector_are_clipped() {
    let moved = |clip_norm| {
        let mut experiment = experiment(true);
        experiment.optimizer.lr_generator = 1e-3;
        experiment.optimizer.clip_norm = clip_norm;
        let device = Default::default();
        let networks = Networks::<FlexAutodiff>::new(&experiment, CLASSES, Path::new(""), &device);
        let mut training = Training::new(networks.unwrap(), &experiment, &device).unwrap();
        let weights = |training: &Training<FlexAutodiff>| {
            let (projector, _) = training.networks.contrastive.as_ref().unwrap();
            let tensors = state_dict(projector).into_values();
            let values = tensors.map(|tensor| tensor.to_vec::<f32>().unwrap());
            values.flatten().collect::<Vec<_>>()
        };
        let before = weights(&training);
        training.step(1, &[batch(1)]).unwrap();
        let after = weights(&training);
        let pairs = before.iter().zip(&after);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(moved(None) > 5e-4, "{}", moved(None));
    assert!(moved(Some(1e-12)) < 1e-5, "{}", moved(Some(1e-12)));
}

/// Names and bytes of all trained tensors and running statistics after two steps of two batches, in the first of
/// which every loss looks for itself, and in the second all share a view.
fn weights_after_two_steps(experiment: &Experiment) -> BTreeMap<String, TensorData> {
    let device = Default::default();
    let networks = Networks::<FlexAutodiff>::new(experiment, CLASSES, Path::new(""), &device);
    let mut training = Training::new(networks.unwrap(), experiment, &device).unwrap();
    for step in 1..=2 {
        training
            .step(step, &[batch(step), batch(step + 10)])
            .unwrap();
    }
    let networks = &training.networks;
    let mut all = BTreeMap::new();
    let mut add = |network: &str, tensors: StateDict| {
        let named = tensors.into_iter();
        all.extend(named.map(|(name, data)| (format!("{network}.{name}"), data)));
    };
    add("generator", state_dict(&networks.generator));
    add("average", state_dict(&networks.ema));
    add("discriminator", state_dict(&networks.discriminator));
    if let Some((projector, _)) = &networks.contrastive {
        add("projector", state_dict(projector));
    }
    all
}

#[test]
fn recomputation_changes_no_bit_of_what_is_trained() {
    let mut all_losses = Experiment::default();
    all_losses.generator.base_width = 8;
    all_losses.generator.initial_gate = 0.1;
    all_losses.loss.image_diversity.lambda = 1.0;
    all_losses.loss.feature_diversity.lambda = 1.0;
    all_losses.loss.lambda_label_mix = 1.0;
    let mut oasis = all_losses.clone();
    oasis.generator.architecture = GeneratorArchitecture::Oasis;
    oasis.generator.noise = NoiseMode::Concat;
    oasis.generator.spade_hidden = 8;
    oasis.discriminator.architecture = DiscriminatorArchitecture::Oasis;
    oasis.discriminator.oasis.encoder_channels = vec![8, 12, 16];
    oasis.discriminator.oasis.decoder_channels = vec![16, 12, 8];
    let mut plain = all_losses.clone();
    plain.loss = Default::default();
    plain.run.reuse_fakes = true;
    for mut experiment in [all_losses, oasis, plain] {
        assert!(experiment.loss.contrastive.lambda > 0.0);
        assert!(experiment.loss.lambda_diversity > 0.0);
        let kept = weights_after_two_steps(&experiment);
        experiment.run.recompute = true;
        let again = weights_after_two_steps(&experiment);
        assert!(kept.keys().eq(again.keys()));
        let differing: Vec<_> = kept
            .iter()
            .filter(|(name, kept)| *kept != &again[*name])
            .map(|(name, _)| name)
            .collect();
        assert!(
            differing.is_empty(),
            "{} of {}: {differing:?}",
            differing.len(),
            kept.len()
        );
    }
}
