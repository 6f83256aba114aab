//! Networks of the ablations against PyTorch: `tests/reference/ablations.py` made the fixtures.

use std::path::PathBuf;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};

use crate::discriminator::{
    ConditioningMode, Discriminator, DiscriminatorArchitecture, DiscriminatorConfig,
    OasisDiscriminatorConfig,
};
use crate::generator::{Activation, Generator, GeneratorArchitecture, GeneratorConfig, NoiseMode};
use crate::layers::{LabelMaps, Mode};
use crate::testing::relative_error;
use crate::weights::{ModulePath, StateDict, load_state_dict, read_weights, state_dict};

const CLASSES: usize = 4;
const BOUND: f32 = 1e-4;

fn read(name: &str) -> StateDict {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/ablations")
        .join(format!("{name}.safetensors"));
    read_weights(&path).unwrap()
}

fn part(state: &StateDict, prefix: &str) -> StateDict {
    let own = |(name, data): (&String, &TensorData)| {
        Some((name.strip_prefix(prefix)?.to_string(), data.clone()))
    };
    state.iter().filter_map(own).collect()
}

fn tensor<B: Backend, const D: usize>(data: &TensorData) -> Tensor<B, D> {
    Tensor::from_data(data.clone(), &Default::default())
}

fn floats(data: &TensorData) -> Vec<f32> {
    data.clone().convert::<f32>().to_vec().unwrap()
}

fn assert_equal<B: Backend, const D: usize>(
    found: Tensor<B, D>,
    expected: &TensorData,
    what: &str,
) {
    assert_eq!(found.dims().as_slice(), expected.shape.as_slice(), "{what}");
    let error = relative_error(&floats(&found.into_data()), &floats(expected));
    println!("{what}: relative error {error:.1e}");
    assert!(error <= BOUND, "{what}: relative error {error:.1e}");
}

/// Gradients by name.
struct Gradients<'a, B: AutodiffBackend> {
    gradients: &'a B::Gradients,
    path: ModulePath,
    found: Vec<(String, Vec<f32>)>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = param.grad(self.gradients) {
            self.found
                .push((self.path.name(), floats(&gradient.into_data())));
        }
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
}

/// Runs a network as the script does and compares all it left behind.
fn compare<B: AutodiffBackend, M: Module<B>>(
    name: &str,
    network: M,
    inputs: &[(String, Tensor<B, 4>)],
    mut forward: impl FnMut(&mut M, Mode) -> Tensor<B, 4>,
) {
    let reference = read(name);
    let mut network = load_state_dict(network, &part(&reference, "state."), name).unwrap();
    let first = forward(&mut network, Mode::Train);
    assert_equal(first, &reference["first"], &format!("{name}, first pass"));
    let second = forward(&mut network, Mode::Train);
    assert_equal(
        second.clone(),
        &reference["second"],
        &format!("{name}, second pass"),
    );
    let gradients = (second * tensor(&reference["cotangent"])).sum().backward();
    for (key, input) in inputs {
        let found = input.grad(&gradients).unwrap();
        let expected = &reference[&format!("gradient.{key}")];
        let found = found.reshape([expected.num_elements()]);
        let expected = TensorData::new(floats(expected), [expected.num_elements()]);
        assert_equal(found, &expected, &format!("{name}, gradient of {key}"));
    }

    let mut visitor = Gradients {
        gradients: &gradients,
        path: ModulePath::default(),
        found: vec![],
    };
    network.visit(&mut visitor);
    let expected = part(&reference, "gradient.state.");
    assert_eq!(
        visitor.found.len(),
        expected.len(),
        "{name}: parameters with a gradient"
    );
    let largest = |key: &str| {
        let values = expected.get(key).map(floats).unwrap_or_default();
        values.iter().fold(0f32, |max, value| max.max(value.abs()))
    };
    for (key, found) in &visitor.found {
        // A bias before a batch norm has a gradient of exactly zero: what is found is rounding,
        // of the size that the gradient of its convolution's weight has.
        let scale = match key.strip_suffix("bias") {
            Some(layer) => largest(key).max(largest(&format!("{layer}weight"))),
            None => largest(key),
        };
        let error = found
            .iter()
            .zip(floats(&expected[key]))
            .fold(0f32, |max, (a, b)| max.max((a - b).abs()))
            / scale;
        println!("{name}, gradient of {key}: relative error {error:.1e}");
        assert!(error <= BOUND, "{name}, gradient of {key}: {error:.1e}");
    }

    let state = state_dict::<B, _>(&network);
    for (key, expected) in part(&reference, "after.") {
        let error = relative_error(&floats(&state[&key]), &floats(&expected));
        assert!(error <= BOUND, "{name}, {key} after training: {error:.1e}");
    }
    let output = forward(&mut network, Mode::Eval);
    assert_equal(
        output,
        &reference["evaluation"],
        &format!("{name}, evaluation"),
    );
}

fn compare_generator<B: AutodiffBackend>(name: &str, config: GeneratorConfig) {
    let config = GeneratorConfig {
        base_width: 2,
        width_multipliers: vec![4, 2, 2, 1],
        encoder_channels: vec![3, 4, 4, 4],
        latent_dim: 5,
        attention_stride: 2,
        spade_hidden: 3,
        ..config
    };
    let inputs = read("inputs");
    let labels = Tensor::<B, 3, Int>::from_data(
        inputs["labels"].clone().convert::<i32>(),
        &Default::default(),
    );
    let mut latent = tensor::<B, 2>(&inputs["latent"]);
    let mut differentiable = vec![];
    if config.noise == NoiseMode::None {
        latent = latent.narrow(0, 0, labels.dims()[0]);
    } else {
        let [rows, columns] = latent.dims();
        let leaf = latent.reshape([rows, columns, 1, 1]).require_grad();
        differentiable.push(("latent".to_string(), leaf.clone()));
        latent = leaf.reshape([rows, columns]);
    }
    let offsets = config
        .offsets
        .then(|| tensor::<B, 4>(&read("offsets")["offsets"]));
    let maps = LabelMaps { labels, offsets };
    let network: Generator<B> = config.init(CLASSES, 0, &Default::default()).unwrap();
    compare(name, network, &differentiable, |network, mode| {
        network.forward(maps.clone(), latent.clone(), mode)
    });
}

fn oasis_generator<B: AutodiffBackend>() {
    compare_generator::<B>("oasis_generator", GeneratorConfig::oasis());
}

fn oasis_generator_without_noise<B: AutodiffBackend>() {
    let config = GeneratorConfig {
        architecture: GeneratorArchitecture::Oasis,
        noise: NoiseMode::None,
        ..GeneratorConfig::default()
    };
    compare_generator::<B>("oasis_generator_without_noise", config);
}

fn dp_gan_generator<B: AutodiffBackend>() {
    let config = GeneratorConfig::dp_gan();
    assert_eq!(config.encoder_activation, Activation::Relu);
    compare_generator::<B>("dp_gan_generator", config);
}

fn concatenated_noise<B: AutodiffBackend>() {
    let config = GeneratorConfig {
        noise: NoiseMode::Concat,
        ..GeneratorConfig::default()
    };
    compare_generator::<B>("concatenated_noise", config);
}

/// Centre offsets beside the classes (section 4.1), resized with them to the start grid.
fn offsets_generator<B: AutodiffBackend>() {
    let config = GeneratorConfig {
        noise: NoiseMode::Concat,
        offsets: true,
        ..GeneratorConfig::default()
    };
    compare_generator::<B>("offsets_generator", config);
}

fn compare_discriminator<B: AutodiffBackend>(name: &str, config: &DiscriminatorConfig) {
    let images = read("images");
    let inputs: Vec<_> = ["image", "features0", "features1"]
        .into_iter()
        .filter(|key| config.has_backbone() || *key == "image")
        .map(|key| (key.to_string(), tensor::<B, 4>(&images[key]).require_grad()))
        .collect();
    let network: Discriminator<B> = config
        .init(&[3, 4], &[4, 8], CLASSES, 0, &Default::default())
        .unwrap();
    compare(name, network, &inputs, |network, mode| {
        let mut tensors = inputs.iter().map(|(_, tensor)| tensor.clone());
        let image = tensors.next().unwrap();
        network.forward(image, tensors.collect(), mode)
    });
}

fn oasis_discriminator<B: AutodiffBackend>() {
    let config = DiscriminatorConfig {
        architecture: DiscriminatorArchitecture::Oasis,
        oasis: OasisDiscriminatorConfig {
            encoder_channels: vec![3, 3, 4],
            decoder_channels: vec![4, 3, 2],
        },
        ..DiscriminatorConfig::default()
    };
    compare_discriminator::<B>("oasis_discriminator", &config);
}

fn every_conditioning<B: AutodiffBackend>() {
    for (name, conditioning) in [
        ("none", ConditioningMode::None),
        ("ccm_csm", ConditioningMode::CcmCsm),
        ("batch_norm_ccm_csm", ConditioningMode::BatchNormCcmCsm),
        ("batch_norm", ConditioningMode::BatchNorm),
        ("sigmoid", ConditioningMode::Sigmoid),
        ("sigmoid_batch_norm", ConditioningMode::SigmoidBatchNorm),
    ] {
        let config = DiscriminatorConfig {
            conditioning,
            projection_channels: 2,
            decoder_channels: vec![5, 4, 3],
            full_resolution_channels: 3,
            ..DiscriminatorConfig::default()
        };
        compare_discriminator::<B>(&format!("discriminator_{name}"), &config);
    }
}

backend_tests!(
    oasis_generator,
    oasis_generator_without_noise,
    dp_gan_generator,
    concatenated_noise,
    offsets_generator,
    oasis_discriminator,
    every_conditioning,
);
