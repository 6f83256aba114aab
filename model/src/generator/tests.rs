//! Every generator: sizes, noise, gradients.

use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::backend::Backend;
use burn::tensor::{ElementConversion, Int, Tensor, TensorData};

use super::*;
use crate::init::normals;
use crate::layers::Mode;
use crate::weights::{load_owned_state_dict, state_dict};

fn tiny(noise: NoiseMode) -> GeneratorConfig {
    GeneratorConfig {
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
        ..GeneratorConfig::default()
    }
}

/// Every architecture with every kind of noise it has.
fn all() -> Vec<GeneratorConfig> {
    let dp_gan = GeneratorConfig {
        encoder_activation: Activation::Relu,
        pointwise: false,
        self_attention: false,
        ..tiny(NoiseMode::Concat)
    };
    let oasis = |noise| GeneratorConfig {
        architecture: GeneratorArchitecture::Oasis,
        ..tiny(noise)
    };
    vec![
        tiny(NoiseMode::CrossAttention),
        tiny(NoiseMode::Concat),
        tiny(NoiseMode::None),
        dp_gan,
        oasis(NoiseMode::Concat),
        oasis(NoiseMode::None),
    ]
}

fn labels<B: Backend>() -> Tensor<B, 3, Int> {
    let labels: Vec<i32> = (0..2 * 8 * 12).map(|i| i * 5 % 7 % 3).collect();
    Tensor::from_data(TensorData::new(labels, [2, 8, 12]), &Default::default())
}

fn latents<B: Backend>(rows: usize, seed: u64) -> Tensor<B, 2> {
    let values = normals(seed, 0, "latent", rows * 5);
    Tensor::from_data(TensorData::new(values, [rows, 5]), &Default::default())
}

fn largest<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> f32 {
    tensor.abs().max().into_scalar().elem()
}

fn images_have_the_size_of_the_labels<B: AutodiffBackend>() {
    for config in all() {
        let mut generator = config.init::<B>(3, 0, &Default::default()).unwrap();
        let image = generator.forward(labels(), latents(2, 1), Mode::Train);
        assert_eq!(image.dims(), [2, 3, 8, 12]);
        assert!(largest(image) <= 1.0);
    }
}

/// A pair of latents in one forward gives what two batches of one latent give.
fn one_forward_of_a_pair_equals_two<B: AutodiffBackend>() {
    for config in all() {
        let mut generator = config.init::<B>(3, 0, &Default::default()).unwrap();
        open_gates(&mut generator);
        let pair = latents::<B>(4, 1);
        let joint = generator.forward(labels(), pair.clone(), Mode::Eval);
        let first = generator.forward(labels(), pair.clone().narrow(0, 0, 2), Mode::Eval);
        let second = generator.forward(labels(), pair.narrow(0, 2, 2), Mode::Eval);
        let difference = largest(second.clone() - first.clone());
        let noisy = config.noise != NoiseMode::None;
        assert_eq!(difference > 0.0, noisy, "{config:?}: effect of the noise");
        let bound = if noisy { 1e-3 * difference } else { 1e-6 };
        assert!(largest(joint - Tensor::cat(vec![first, second], 0)) <= bound);
    }
}

fn a_generator_for_inference_makes_the_same_images<B: AutodiffBackend>() {
    for config in all() {
        let mut generator = config.init::<B>(3, 0, &Default::default()).unwrap();
        open_gates(&mut generator);
        // Away from the first vectors of spectral norm and statistics of batch norm.
        generator.forward(labels(), latents(2, 2), Mode::Train);
        let plain = generator.forward(labels(), latents(2, 1), Mode::Eval);
        let mut folded = generator.for_inference();
        let found = folded.forward(labels(), latents(2, 1), Mode::Eval);
        assert_eq!(found.into_data(), plain.into_data(), "{config:?}");
        assert!(folded.to_image().spectral_norm.is_none());
    }
}

fn every_parameter_gets_a_gradient<B: AutodiffBackend>() {
    for config in all() {
        let mut generator = config.init::<B>(3, 0, &Default::default()).unwrap();
        open_gates(&mut generator);
        let image = generator.forward(labels(), latents(4, 1), Mode::Train);
        let probe = normals(9, 0, "probe", 4 * 3 * 8 * 12);
        let probe = TensorData::new(probe, [4, 3, 8, 12]);
        let gradients = (image * Tensor::from_data(probe, &Default::default()))
            .sum()
            .backward();
        let mut missing = Missing {
            gradients: &gradients,
            path: vec![],
            missing: vec![],
        };
        generator.visit(&mut missing);
        assert!(
            missing.missing.is_empty(),
            "{config:?}: no gradient for {:?}",
            missing.missing
        );
    }
}

/// Tokens decide alone: all of another latent make its image, none of them change nothing.
fn tokens_of_two_latents_mix<B: AutodiffBackend>() {
    for config in all() {
        let mut generator = config.init::<B>(3, 0, &Default::default()).unwrap();
        open_gates(&mut generator);
        let (own, other) = (latents::<B>(2, 1), latents::<B>(2, 2));
        let attends = config.noise == NoiseMode::CrossAttention;
        assert_eq!(generator.tokens(), if attends { 3 } else { 0 });
        let mut plain = |latent| generator.forward(labels(), latent, Mode::Eval).into_data();
        let (of_own, of_other) = (plain(own.clone()), plain(other.clone()));
        let mut mixed = |styles: &[usize]| {
            let latents = [own.clone(), other.clone()];
            let image = generator.forward_mixed(labels(), latents, styles, Mode::Eval);
            image.into_data()
        };
        assert_eq!(mixed(&[]), of_own, "{config:?}");
        let all = if attends { &of_other } else { &of_own };
        assert_eq!(&mixed(&[2, 0, 1]), all, "{config:?}");
        let one = mixed(&[1]);
        assert_eq!(one != of_own && one != of_other, attends, "{config:?}");
    }
}

fn open_gates<B: Backend>(generator: &mut Generator<B>) {
    let Generator::DpSims(generator) = generator else {
        return;
    };
    for level in &mut generator.encoder.levels {
        if let Some(attention) = &mut level.cross_attention {
            attention.gate = attention
                .gate
                .clone()
                .map(|gate| gate.add_scalar(1.0).detach().require_grad());
        }
    }
}

struct Missing<'a, B: AutodiffBackend> {
    gradients: &'a B::Gradients,
    path: Vec<String>,
    missing: Vec<String>,
}

impl<B: AutodiffBackend> burn::module::ModuleVisitor<B> for Missing<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<B, D>>) {
        if param.is_require_grad() && param.grad(self.gradients).is_none() {
            self.missing.push(self.path.join("."));
        }
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}

fn an_unset_generator_has_no_weights_until_it_is_loaded<B: AutodiffBackend>() {
    for config in all() {
        let device = Default::default();
        let unset = config.init_unset::<B>(3, &device).unwrap();
        let mut made = MadeKernels(0);
        unset.visit(&mut made);
        assert_eq!(made.0, 0, "{config:?}");
        let dict = state_dict(&config.init::<B>(3, 9, &device).unwrap());
        let loaded = load_owned_state_dict(unset, dict.clone(), "test").unwrap();
        assert_eq!(state_dict(&loaded), dict, "{config:?}");
    }
}

/// Counts the convolution weights that are in memory: all but a hundredth of a generator.
struct MadeKernels(usize);

impl<B: Backend> burn::module::ModuleVisitor<B> for MadeKernels {
    fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<B, D>>) {
        self.0 += usize::from(D == 4 && param.is_initialized());
    }
}

/// Largest difference of the images of two latents from a generator that has learnt nothing.
fn noise_at_first<B: Backend>(config: &GeneratorConfig) -> f32 {
    let image = |seed| {
        let mut generator = config.init::<B>(3, 0, &Default::default()).unwrap();
        generator.forward(labels(), latents(2, seed), Mode::Train)
    };
    largest(image(1) - image(2))
}

/// A closed gate lets no noise through, whatever the gains; through an open one more comes with
/// larger initial weights.
fn noise_is_there_from_the_start_where_gates_are_open<B: AutodiffBackend>() {
    let with = |gate, noise_gain| {
        noise_at_first::<B>(&GeneratorConfig {
            initial_gain: 1.0,
            initial_gate: gate,
            initial_noise_gain: noise_gain,
            ..tiny(NoiseMode::CrossAttention)
        })
    };
    assert_eq!(with(0.0, 1.0), 0.0);
    assert_eq!(with(0.0, 2.4), 0.0);
    let (small, large) = (with(1.0, 1.0), with(1.0, 2.4));
    assert!(small > 1e-4 && large > 2.0 * small, "{small:e} {large:e}");
}

#[test]
fn initial_values_that_are_no_numbers_are_named() {
    type Spoil = fn(&mut GeneratorConfig);
    let cases: [(&str, Spoil); 4] = [
        ("generator.initial_gain", |c| c.initial_gain = 0.0),
        ("generator.initial_gain", |c| c.initial_gain = f64::NAN),
        ("generator.initial_gate", |c| c.initial_gate = f64::INFINITY),
        ("generator.initial_noise_gain", |c| {
            c.initial_noise_gain = -1.0;
        }),
    ];
    for (key, spoil) in cases {
        let mut config = GeneratorConfig::default();
        spoil(&mut config);
        assert_eq!(config.validate(256, 256).unwrap_err().key, key);
    }
}

backend_tests!(
    noise_is_there_from_the_start_where_gates_are_open,
    a_generator_for_inference_makes_the_same_images,
    an_unset_generator_has_no_weights_until_it_is_loaded,
    images_have_the_size_of_the_labels,
    tokens_of_two_latents_mix,
    one_forward_of_a_pair_equals_two,
    every_parameter_gets_a_gradient
);
