//! A training step against a PyTorch twin of the whole model, `tests/reference/twin.py`.
//!
//! Both start from the same weights and read the same images, latents and contrastive positions;
//! the reference was computed in f64. Every loss term, every gradient, everything that the first
//! step leaves behind, and the losses of twenty steps are compared.
//!
//! With β₁ = 0 the first moment of Adam is the gradient, and Adam's first update has nearly the
//! size of the learning rate whatever the size of the gradient. So a parameter whose gradient is
//! within rounding of zero may move either way: of such a one only the length of its move is
//! checked. They are picked by the gradient of the reference, and are less than one in a hundred
//! of every network, those aside that the loss does not depend on.
//!
//! The reference encodes a label map once per latent, the program once per map up to the first
//! attention. The batch is half as large for the running variance of those levels: its unbiased
//! estimate differs by the factor (1 - 1/2n) / (1 - 1/n) of n values, here below 0.002.

mod reference;

use std::collections::{BTreeMap, BTreeSet};

use burn::module::AutodiffModule;
use burn::tensor::TensorData;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::weights::{StateDict, state_dict};

use super::{ModuleOptimizer, Networks, Training, optimizer_state};
use crate::config::{Experiment, OptimizerConfig};
use reference::{Reference, row};

/// Largest relative error of the first step.
const TOLERANCE: f64 = 1e-3;
/// Largest relative error of a loss within twenty steps.
const RUN_TOLERANCE: f64 = 1e-2;
/// Gradients are compared relative to the largest of their tensor, but at least to this share of
/// the largest of their network (notes E6).
const GRADIENT_SCALE: f64 = 1e-4;
/// Share of that scale below which the sign of a gradient counts as undecided, a few times the
/// error of a gradient in f32.
const NOISE: f64 = 1e-4;
const STEPS: u64 = 20;
const CLASSES: usize = 5;
const LOSSES: [&str; 7] = [
    "g_gan",
    "g_contrastive",
    "g_diversity",
    "g_total",
    "d_fake",
    "d_real",
    "d_total",
];

/// Parameters that the loss does not depend on, but whose gradient is rounding noise: biases that
/// a batch norm takes away, and biases of keys, which softmax does not see.
const WITHOUT_INFLUENCE: [&str; 17] = [
    "blocks.0.conv_0.bias",
    "blocks.0.conv_1.bias",
    "blocks.1.conv_0.bias",
    "blocks.1.conv_1.bias",
    "blocks.2.conv_0.bias",
    "blocks.2.conv_1.bias",
    "blocks.3.conv_0.bias",
    "encoder.label_conv.bias",
    "encoder.levels.0.conv.bias",
    "encoder.levels.1.conv.bias",
    "encoder.levels.2.conv.bias",
    "encoder.levels.2.cross_attention.key.bias",
    "encoder.levels.2.self_attention.key.bias",
    "encoder.levels.3.conv.bias",
    "encoder.levels.3.cross_attention.key.bias",
    "encoder.levels.3.self_attention.key.bias",
    "start.bias",
];

fn values(data: &TensorData) -> Vec<f64> {
    data.iter::<f64>().collect()
}

fn largest<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values
        .into_iter()
        .fold(0.0, |most, value| most.max(value.abs()))
}

/// Largest error relative to `scale`.
fn error(actual: &[f64], expected: &[f64], scale: f64) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let differences: Vec<_> = actual.iter().zip(expected).map(|(a, e)| a - e).collect();
    assert!(differences.iter().all(|difference| difference.is_finite()));
    largest(&differences) / scale
}

/// Keeps the worst error of a group and prints it in the end.
struct Worst<'a> {
    group: &'a str,
    found: (f64, String),
}

impl<'a> Worst<'a> {
    fn of(group: &'a str) -> Self {
        Self {
            group,
            found: (0.0, String::new()),
        }
    }

    fn check(&mut self, name: &str, error: f64, most: f64) {
        assert!(
            error <= most,
            "{} {name}: {error:.1e} of {most:.0e}",
            self.group
        );
        if error >= self.found.0 {
            self.found = (error, name.to_string());
        }
    }

    fn print(self) {
        let (error, name) = self.found;
        println!("{}: at most {error:.1e} ({name})", self.group);
    }
}

/// What the reference says about the gradients of a network.
struct Gradients {
    tensors: BTreeMap<String, Vec<f64>>,
    /// Largest of all.
    largest: f64,
}

impl Gradients {
    fn expected(reference: &Reference, network: &str) -> Self {
        let tensors: BTreeMap<_, _> = reference
            .expected(&format!("gradient.{network}"))
            .iter()
            .map(|(name, data)| (name.clone(), values(data)))
            .collect();
        let largest = largest(tensors.values().flatten());
        Self { tensors, largest }
    }

    fn scale(&self, name: &str) -> f64 {
        largest(&self.tensors[name]).max(GRADIENT_SCALE * self.largest)
    }

    /// The list above is the set of gradients that vanish in the reference.
    fn check_list(&self) {
        let vanishing: BTreeSet<&str> = self
            .tensors
            .iter()
            .filter(|(_, values)| largest(*values) < 1e-10 * self.largest)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(vanishing, BTreeSet::from(WITHOUT_INFLUENCE));
    }

    fn check<B: AutodiffBackend, M: AutodiffModule<B>>(
        &self,
        network: &str,
        optimizer: &ModuleOptimizer<B, M>,
        module: &M,
    ) {
        let moments = optimizer_state(optimizer, module);
        let actual: BTreeMap<_, _> = moments
            .iter()
            .filter_map(|(name, data)| Some((name.strip_suffix(".moment_1")?, values(data))))
            .collect();
        assert!(
            actual.keys().copied().eq(self.tensors.keys()),
            "{network}: names"
        );
        let group = format!("gradients of the {network}");
        let mut worst = Worst::of(&group);
        for (name, expected) in &self.tensors {
            let scale = if WITHOUT_INFLUENCE.contains(&name.as_str()) {
                // Its terms cancel; they are of the size of the terms of the layer's weight.
                self.scale(&name.replace("bias", "weight"))
            } else {
                self.scale(name)
            };
            worst.check(
                name,
                error(&actual[name.as_str()], expected, scale),
                TOLERANCE,
            );
        }
        worst.print();
    }
}

/// Checks what a step has left behind in `state`: how far each parameter has moved, and buffers.
///
/// `roundings` is the number of roundings of a parameter on its way.
fn check_state(
    reference: &Reference,
    [network, after]: [&str; 2],
    state: &StateDict,
    rate: f64,
    roundings: f64,
) {
    let gradients = Gradients::expected(reference, network);
    let initial = reference.initial(network);
    let expected = reference.expected(&format!("after.{after}"));
    assert!(state.keys().eq(expected.keys()), "{after}: names");
    let (moves, buffers) = (
        format!("moves of the {after}"),
        format!("buffers of the {after}"),
    );
    let (mut moves, mut buffers) = (Worst::of(&moves), Worst::of(&buffers));
    let (mut counted, mut either_way) = (0, 0);
    for (name, expected) in &expected {
        let (now, expected) = (values(&state[name]), values(expected));
        let Some(gradient) = gradients.tensors.get(name) else {
            let scale = largest(&expected);
            buffers.check(name, error(&now, &expected, scale), TOLERANCE);
            continue;
        };
        let without_influence = WITHOUT_INFLUENCE.contains(&name.as_str());
        let noise = NOISE * gradients.scale(name);
        // The weights of an absent class and of a unit that is off stay where they are. A bias
        // can have a gradient of exactly zero by the luck of rounding: that of β in
        // `blocks.1.spade_s` has no influence either, beside that of γ in the same tensor.
        let is_weight = name.ends_with("weight");
        for (index, (now, before)) in now.iter().zip(values(&initial[name])).enumerate() {
            let moved = now - before;
            let rounding = roundings * f64::from(f32::EPSILON) / 2.0 * now.abs();
            let decided = gradient[index].abs() > noise || is_weight && gradient[index] == 0.0;
            counted += usize::from(!without_influence);
            let off = if decided && !without_influence {
                (moved - expected[index]).abs()
            } else {
                either_way += usize::from(!without_influence);
                (moved.abs() - rate).max(0.0)
            };
            moves.check(name, (off - rounding).max(0.0) / rate, TOLERANCE);
        }
    }
    moves.print();
    buffers.print();
    println!("{after}: {either_way} of {counted} parameters may move either way");
    assert!(
        either_way * 100 < counted,
        "{after}: {either_way} of {counted}"
    );
}

/// Runs the first step and checks its terms and gradients.
fn first_step<B: AutodiffBackend>(reference: &Reference) -> (Training<B>, Experiment) {
    let (mut training, experiment) = reference.training::<B>();
    let batch = reference.batch(1, experiment.data.size());
    let terms = training.step(1, &[batch]).unwrap().read().unwrap().named();
    let expected = reference.expected("terms");
    assert!(terms.keys().eq(expected.keys()), "terms: names");
    let mut worst = Worst::of("terms");
    for (name, expected) in &expected {
        let expected = values(expected)[0];
        worst.check(name, (terms[name] - expected).abs() / expected, TOLERANCE);
    }
    worst.print();

    let networks = &training.networks;
    let (projector, _) = networks.contrastive.as_ref().unwrap();
    let gradients = Gradients::expected(reference, "generator");
    gradients.check_list();
    gradients.check(
        "generator",
        &training.optimizer_generator,
        &networks.generator,
    );
    let optimizer = &training.optimizer_discriminator;
    Gradients::expected(reference, "discriminator").check(
        "discriminator",
        optimizer,
        &networks.discriminator,
    );
    let optimizer = &training.optimizer_projector;
    Gradients::expected(reference, "projector").check("projector", optimizer, projector);
    (training, experiment)
}

/// Checks everything that the first step leaves behind.
fn states<B: AutodiffBackend>(
    reference: &Reference,
    networks: &Networks<B>,
    rates: &OptimizerConfig,
) {
    let (projector, _) = networks.contrastive.as_ref().unwrap();
    let generator = state_dict::<B, _>(&networks.generator);
    let discriminator = state_dict::<B, _>(&networks.discriminator);
    let projector = state_dict::<B, _>(projector);
    let ema = state_dict::<B::InnerBackend, _>(&networks.ema);
    for (names, state, rate, roundings) in [
        (
            ["generator", "generator"],
            generator,
            rates.lr_generator,
            1.0,
        ),
        (
            ["discriminator", "discriminator"],
            discriminator,
            rates.lr_discriminator,
            1.0,
        ),
        (
            ["projector", "projector"],
            projector,
            rates.lr_generator,
            1.0,
        ),
        (["generator", "ema"], ema, rates.lr_generator, 4.0),
    ] {
        check_state(reference, names, &state, rate, roundings);
    }
}

fn twenty_steps<B: AutodiffBackend>() {
    let reference = Reference::new();
    let (mut training, experiment) = reference.training::<B>();
    let expected = reference.expected("terms");
    let mut worst = Worst::of("losses of twenty steps");
    for step in 1..=STEPS {
        let batch = reference.batch(step, experiment.data.size());
        let terms = training
            .step(step, &[batch])
            .unwrap()
            .read()
            .unwrap()
            .named();
        for name in LOSSES {
            let expected = f64::from(row(&expected[name], step)[0]);
            let error = (terms[name] - expected).abs() / expected;
            worst.check(&format!("{name} at step {step}"), error, RUN_TOLERANCE);
        }
    }
    worst.print();
}

#[test]
fn the_first_step_on_flex_is_that_of_pytorch() {
    let reference = Reference::new();
    let (training, experiment) = first_step::<dp_sims_backends::FlexAutodiff>(&reference);
    states(&reference, &training.networks, &experiment.optimizer);
}

/// ndarray has burn's own version of every operation that flex replaces, GELU for one. It
/// approximates reciprocals: its gradients are off by up to [`NOISE`], so that the moves, which
/// depend on their signs, cannot be compared.
#[test]
fn the_gradients_of_the_first_step_on_ndarray_are_those_of_pytorch() {
    first_step::<dp_sims_backends::NdArrayAutodiff>(&Reference::new());
}

#[test]
fn twenty_steps_on_flex_stay_with_pytorch() {
    twenty_steps::<dp_sims_backends::FlexAutodiff>();
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use super::*;

    #[test]
    fn the_first_step_is_that_of_pytorch() {
        let reference = Reference::new();
        let (training, experiment) = first_step::<dp_sims_backends::WgpuAutodiff>(&reference);
        states(&reference, &training.networks, &experiment.optimizer);
    }

    #[test]
    fn twenty_steps_stay_with_pytorch() {
        twenty_steps::<dp_sims_backends::WgpuAutodiff>();
    }
}
