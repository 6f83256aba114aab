//! The way back through a tape against that through one graph.

use burn::tensor::{Int, TensorData};

use super::*;
use crate::discriminator::{
    ConditioningMode, Discriminator, DiscriminatorArchitecture, DiscriminatorConfig,
    OasisDiscriminatorConfig,
};
use crate::generator::{Generator, GeneratorArchitecture, GeneratorConfig, NoiseMode};
use crate::init::normals;
use crate::layers::{LabelMaps, Mode};
use crate::testing::values;
use crate::weights::{StateDict, state_dict};

type B = dp_sims_backends::FlexAutodiff;
type Flex = <B as AutodiffBackend>::InnerBackend;

const IMAGES: usize = 2;
const SIDE: usize = 16;

fn maps<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<Flex, D> {
    let values = normals(7, 0, name, shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// Reads the gradients of parameters in the order of the module.
struct Reader<'a> {
    gradients: &'a GradientsParams,
    found: Vec<Vec<f32>>,
}

impl ModuleVisitor<B> for Reader<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<Flex, D>(param.id) {
            self.found.push(values(gradient));
        }
    }
}

/// What a way back brings, and the state it leaves.
struct Outcome {
    output: Vec<f32>,
    inputs: Vec<Vec<f32>>,
    parameters: Vec<Vec<f32>>,
    state: StateDict,
}

fn outcome<M: AutodiffModule<B>>(
    network: &M,
    output: Tensor<Flex, 4>,
    inputs: Vec<Option<Tensor<Flex, 4>>>,
    gradients: &GradientsParams,
) -> Outcome {
    let mut reader = Reader {
        gradients,
        found: Vec::new(),
    };
    network.visit(&mut reader);
    Outcome {
        output: values(output),
        inputs: inputs
            .into_iter()
            .map(|input| values(input.unwrap()))
            .collect(),
        parameters: reader.found,
        state: state_dict(network),
    }
}

/// All three ways: as one graph, on a tape, and on one that computes segments again.
fn assert_all_agree(name: &str, [whole, kept, again]: [Outcome; 3]) {
    assert!(!whole.parameters.is_empty(), "{name}");
    assert_eq!(kept.output, whole.output, "{name}: output");
    assert_eq!(again.output, whole.output, "{name}: output");
    assert!(kept.state == whole.state, "{name}: state");
    assert!(again.state == whole.state, "{name}: state");
    let gradients = |outcome: Outcome| [outcome.inputs, outcome.parameters].concat();
    let [whole, kept, again] = [whole, kept, again].map(gradients);
    assert_eq!(kept, again, "{name}: gradients, computed again");
    assert_eq!(kept.len(), whole.len(), "{name}");
    let size = |gradient: &[f32]| {
        gradient
            .iter()
            .fold(0f32, |most, value| most.max(value.abs()))
    };
    let largest = whole.iter().map(|whole| size(whole)).fold(0.0, f32::max);
    for (index, (kept, whole)) in kept.iter().zip(&whole).enumerate() {
        // Sums have another order. Those of biases before a batch norm cancel out but for rounding errors.
        let bound = 1e-3 * size(whole) + 1e-5 * largest;
        let differences: Vec<_> = kept.iter().zip(whole).map(|(a, b)| a - b).collect();
        let difference = size(&differences);
        assert!(
            difference <= bound,
            "{name}, gradient {index}: {difference} > {bound}"
        );
    }
}

fn generator(architecture: GeneratorArchitecture, noise: NoiseMode) -> GeneratorConfig {
    GeneratorConfig {
        architecture,
        base_width: 2,
        width_multipliers: vec![4, 2, 2, 1],
        encoder_channels: vec![3, 4, 4, 4],
        latent_dim: 5,
        mapping_width: 6,
        tokens: 3,
        token_dim: 4,
        attention_stride: 2,
        noise,
        spade_hidden: 3,
        initial_gain: 1.0,
        initial_gate: 0.5,
        ..GeneratorConfig::default()
    }
}

#[test]
fn the_way_back_through_a_generator_is_the_same() {
    let device = Default::default();
    for (architecture, noise) in [
        (GeneratorArchitecture::DpSims, NoiseMode::CrossAttention),
        (GeneratorArchitecture::DpSims, NoiseMode::Concat),
        (GeneratorArchitecture::DpSims, NoiseMode::None),
        (GeneratorArchitecture::Oasis, NoiseMode::Concat),
    ] {
        let config = generator(architecture, noise);
        let labels: Vec<i32> = (0..IMAGES * SIDE * SIDE)
            .map(|i| (i * 5 % 7 % 3) as i32)
            .collect();
        let labels = TensorData::new(labels, [IMAGES, SIDE, SIDE]);
        let labels = || Tensor::<B, 3, Int>::from_data(labels.clone(), &device);
        let latent = || Tensor::<B, 2>::from_inner(maps("latent", [2 * IMAGES, 5]));
        // Of pairs of images the first are looked at, and the features of all.
        let probe = || maps("image", [IMAGES, 3, SIDE, SIDE]);
        let features_probe = || maps("features", [2 * IMAGES, 2, SIDE, SIDE]);
        let fresh = || -> Generator<B> { config.init(3, 4, &device).unwrap() };
        let whole = || {
            let mut network = fresh();
            let features = network.features(labels(), latent(), Mode::Train);
            let image = network.image(features.clone().narrow(0, 0, IMAGES), Mode::Train);
            let output = image.clone().inner();
            let sum = (image * Tensor::from_inner(probe())).sum()
                + (features * Tensor::from_inner(features_probe())).sum();
            let gradients = GradientsParams::from_grads(sum.backward(), &network);
            outcome(&network, output, Vec::new(), &gradients)
        };
        let on_tape = |recompute| {
            let mut network = fresh();
            let mut tape = Tape::new(recompute);
            let features = network.train_features(&mut tape, LabelMaps::from(labels()), latent());
            let image = network.train_image(&mut tape, features.clone(), IMAGES);
            let output = image.tensor();
            let pulled = tape.backward([(image, probe()), (features, features_probe())]);
            outcome(&network, output, Vec::new(), &pulled.parameters)
        };
        let name = format!("{architecture:?}, {noise:?}");
        assert_all_agree(&name, [whole(), on_tape(false), on_tape(true)]);
    }
}

#[test]
fn the_way_back_through_a_discriminator_is_the_same() {
    let device = Default::default();
    let of_mode = |conditioning| DiscriminatorConfig {
        conditioning,
        projection_channels: 4,
        decoder_channels: vec![6, 5, 4],
        full_resolution_channels: 4,
        initial_gain: 1.0,
        ..DiscriminatorConfig::default()
    };
    let oasis = DiscriminatorConfig {
        architecture: DiscriminatorArchitecture::Oasis,
        oasis: OasisDiscriminatorConfig {
            encoder_channels: vec![4, 6],
            decoder_channels: vec![6, 4],
        },
        ..of_mode(ConditioningMode::None)
    };
    for config in [
        of_mode(ConditioningMode::SigmoidBatchNorm),
        of_mode(ConditioningMode::None),
        of_mode(ConditioningMode::CcmCsm),
        oasis,
    ] {
        let (channels, strides) = ([3, 5], [4, 8]);
        let fresh =
            || -> Discriminator<B> { config.init(&channels, &strides, 3, 4, &device).unwrap() };
        let inputs = || {
            let mut inputs = vec![maps("image", [IMAGES, 3, SIDE, SIDE])];
            if config.has_backbone() {
                for (channels, stride) in channels.into_iter().zip(strides) {
                    let side = SIDE / stride;
                    inputs.push(maps("features", [IMAGES, channels, side, side]));
                }
            }
            inputs
        };
        let probe = || maps("logits", [IMAGES, 4, SIDE, SIDE]);
        let whole = || {
            let mut network = fresh();
            let leaves = inputs().into_iter();
            let leaves: Vec<_> = leaves
                .map(|input| Tensor::<B, 4>::from_inner(input).require_grad())
                .collect();
            let logits = network.forward(leaves[0].clone(), leaves[1..].to_vec(), Mode::Train);
            let output = logits.clone().inner();
            let mut gradients = (logits * Tensor::from_inner(probe())).sum().backward();
            let pulls = leaves.iter().map(|leaf| leaf.grad(&gradients)).collect();
            let parameters = GradientsParams::from_module(&mut gradients, &network);
            outcome(&network, output, pulls, &parameters)
        };
        let on_tape = |recompute| {
            let mut network = fresh();
            let mut tape = Tape::new(recompute);
            let mut values: Vec<_> = inputs()
                .into_iter()
                .map(|input| tape.input(input))
                .collect();
            let features = values.split_off(1);
            let image = values.remove(0);
            let logits = network.train_logits(&mut tape, image, features);
            let output = logits.tensor();
            let pulled = tape.backward([(logits, probe())]);
            outcome(&network, output, pulled.inputs, &pulled.parameters)
        };
        let name = format!("{config:?}");
        assert_all_agree(&name, [whole(), on_tape(false), on_tape(true)]);
    }
}

#[test]
fn two_passes_of_a_network_add_their_gradients_and_move_its_state_twice() {
    let device = Default::default();
    let config = DiscriminatorConfig {
        decoder_channels: vec![6, 5, 4],
        full_resolution_channels: 4,
        initial_gain: 1.0,
        ..DiscriminatorConfig::default()
    };
    let outcome = |recompute| {
        let mut network: Discriminator<B> = config.init(&[3, 5], &[4, 8], 3, 4, &device).unwrap();
        let mut tape = Tape::new(recompute);
        let mut seeds = Vec::new();
        for name in ["first", "second"] {
            // Photos take no gradient.
            let constant = |shape| Value::constant(maps(name, shape));
            let image = constant([IMAGES, 3, SIDE, SIDE]);
            let features = [[3, 4], [5, 2]];
            let features =
                features.map(|[channels, side]| constant([IMAGES, channels, side, side]));
            let logits = network.train_logits(&mut tape, image, features.into());
            seeds.push((logits, maps("logits", [IMAGES, 4, SIDE, SIDE])));
        }
        let output = seeds[1].0.tensor();
        let pulled = tape.backward(seeds);
        assert!(pulled.inputs.is_empty());
        self::outcome(&network, output, Vec::new(), &pulled.parameters)
    };
    let (kept, again) = (outcome(false), outcome(true));
    assert_eq!(kept.output, again.output);
    assert!(kept.state == again.state);
    assert!(!kept.parameters.is_empty());
    assert_eq!(kept.parameters, again.parameters);
}

/// Of the size of a short run, where operations take threads and kernels that small ones do not.
#[test]
fn a_larger_generator_is_computed_again_to_the_bit() {
    let device = Default::default();
    let config = GeneratorConfig {
        base_width: 8,
        initial_gate: 0.1,
        ..GeneratorConfig::default()
    };
    let outcome = |recompute| {
        let mut network: Generator<B> = config.init(4, 42, &device).unwrap();
        let labels: Vec<i32> = (0..2 * 32 * 32).map(|i| i / 7 % 4).collect();
        let labels = TensorData::new(labels, [2, 32, 32]);
        let labels = Tensor::<B, 3, Int>::from_data(labels, &device);
        let latent = Tensor::<B, 2>::from_inner(maps("latent", [4, 64]));
        let mut tape = Tape::new(recompute);
        let features = network.train_features(&mut tape, LabelMaps::from(labels), latent);
        let image = network.train_image(&mut tape, features.clone(), 4);
        let output = image.tensor();
        let probe = maps("image", [4, 3, 32, 32]);
        let features_probe = maps("features", [4, 8, 32, 32]);
        let pulled = tape.backward([(image, probe), (features, features_probe)]);
        self::outcome(&network, output, Vec::new(), &pulled.parameters)
    };
    let (kept, again) = (outcome(false), outcome(true));
    let differ = |one: &Outcome, other: &Outcome| {
        let pairs = one.parameters.iter().zip(&other.parameters);
        let places = pairs.enumerate().filter(|(_, (one, other))| one != other);
        places.map(|(place, _)| place).collect::<Vec<_>>()
    };
    assert_eq!(kept.output, again.output);
    assert!(kept.state == again.state);
    assert_eq!(differ(&kept, &again), [0; 0]);
}
