//! Layers against PyTorch over several steps: `tests/reference/layers.py` made the fixtures.
//!
//! Each step is what a training step makes of a layer: two forward passes in training mode with a
//! graph, a gradient step, a forward pass in training mode without a graph whose buffers are
//! carried over, and one in evaluation mode. The state runs on from step to step.

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, Optimizer, SgdConfig};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

use super::*;
use crate::buffers::copy_buffers;
use crate::init::InitRng;
use crate::testing::relative_error;
use crate::weights::{ModulePath, StateDict, from_safetensors_bytes, load_state_dict, state_dict};

const STEPS: usize = 4;
/// Largest error relative to the largest value of a tensor; that of PyTorch in float32 is 9e-7.
const MOST: f32 = 5e-6;
/// A gradient this much smaller than the largest of its step is zero but for rounding (that of
/// the bias of the keys, which shifts all scores of a pixel alike) and held against that largest.
const ZERO: f32 = 1e-6;

/// A layer as a function of stored maps.
trait Layer<B: Backend>: Module<B> {
    fn apply(&mut self, inputs: &[Tensor<B, 4>], mode: Mode) -> Tensor<B, 4>;
}

impl<B: Backend> Layer<B> for Conv<B> {
    fn apply(&mut self, inputs: &[Tensor<B, 4>], mode: Mode) -> Tensor<B, 4> {
        self.forward_normed(inputs[0].clone(), mode)
    }
}

impl<B: Backend> Layer<B> for BatchNorm<B> {
    fn apply(&mut self, inputs: &[Tensor<B, 4>], mode: Mode) -> Tensor<B, 4> {
        self.forward(inputs[0].clone(), mode)
    }
}

impl<B: Backend> Layer<B> for Spade<B> {
    fn apply(&mut self, inputs: &[Tensor<B, 4>], mode: Mode) -> Tensor<B, 4> {
        self.forward(
            inputs[0].clone(),
            &inputs[1].clone().into(),
            Then::Nothing,
            mode,
        )
    }
}

impl<B: Backend> Layer<B> for CrossAttention<B> {
    fn apply(&mut self, inputs: &[Tensor<B, 4>], _: Mode) -> Tensor<B, 4> {
        self.forward(inputs[0].clone(), inputs[1].clone().squeeze_dim::<3>(1))
    }
}

impl<B: Backend> Layer<B> for SelfAttention<B> {
    fn apply(&mut self, inputs: &[Tensor<B, 4>], _: Mode) -> Tensor<B, 4> {
        self.forward(inputs[0].clone())
    }
}

impl<B: Backend> Layer<B> for LabelConv<B> {
    fn apply(&mut self, inputs: &[Tensor<B, 4>], _: Mode) -> Tensor<B, 4> {
        self.forward(inputs[0].clone().squeeze_dim::<3>(1).int())
    }
}

/// The tensors of a fixture, and the largest error seen.
struct Reference {
    name: &'static str,
    tensors: StateDict,
    worst: (f32, String),
}

impl Reference {
    fn new(name: &'static str, file: &[u8]) -> Self {
        Self {
            name,
            tensors: from_safetensors_bytes(file, name).unwrap(),
            worst: (0.0, "nothing".to_string()),
        }
    }

    fn tensor<B: Backend, const D: usize>(&self, key: &str) -> Tensor<B, D> {
        Tensor::from_data(self.tensors[key].clone(), &Default::default())
    }

    /// The inputs of a forward pass, as leaves of a graph if `B` has one.
    fn inputs<B: Backend>(&self, pass: &str) -> Vec<Tensor<B, 4>> {
        (0..2)
            .map(|index| format!("{pass}.input{index}"))
            .filter(|key| self.tensors.contains_key(key))
            .map(|key| self.tensor::<B, 4>(&key).require_grad())
            .collect()
    }

    /// Tensors whose names start with `prefix`, without it.
    fn part(&self, prefix: &str) -> StateDict {
        self.tensors
            .iter()
            .filter_map(|(name, data)| Some((name.strip_prefix(prefix)?.to_string(), data.clone())))
            .collect()
    }

    fn check<B: Backend, const D: usize>(&mut self, key: &str, actual: Tensor<B, D>) {
        self.check_data(key, actual.into_data(), 0.0);
    }

    /// Compares with the tensor `key` relative to its largest value, or to `scale` if its largest
    /// value is zero next to that.
    fn check_data(&mut self, key: &str, actual: TensorData, scale: f32) {
        let expected = &self.tensors[key];
        assert_eq!(actual.shape, expected.shape, "{}, {key}", self.name);
        let mut actual: Vec<f32> = actual.to_vec().unwrap();
        let mut expected: Vec<f32> = expected.to_vec().unwrap();
        if largest(&expected) < ZERO * scale {
            actual.push(scale);
            expected.push(scale);
        }
        let error = relative_error(&actual, &expected);
        assert!(
            error <= MOST,
            "{}, {key}: relative error {error:e}",
            self.name
        );
        if error > self.worst.0 {
            self.worst = (error, key.to_string());
        }
    }

    /// Compares every tensor of a set with those under `prefix`; the names must be the same.
    fn check_all(&mut self, prefix: &str, actual: StateDict, scale: f32) {
        let expected = self.part(prefix);
        assert!(actual.keys().eq(expected.keys()), "{}, {prefix}", self.name);
        for (name, data) in actual {
            self.check_data(&format!("{prefix}{name}"), data, scale);
        }
    }

    fn report(&self) {
        let (error, key) = &self.worst;
        println!("{}: largest relative error {error:.1e} at {key}", self.name);
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// Gradients of a module by the names of its parameters.
struct Gradients<'a> {
    params: &'a GradientsParams,
    path: ModulePath,
    found: StateDict,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.params.get::<B::InnerBackend, D>(param.id) {
            self.found.insert(self.path.name(), gradient.into_data());
        }
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
}

fn agrees<B, M>(name: &'static str, file: &[u8], layer: M)
where
    B: AutodiffBackend,
    M: AutodiffModule<B> + Layer<B>,
    M::InnerModule: Layer<B::InnerBackend>,
{
    let mut reference = Reference::new(name, file);
    let mut layer = load_state_dict(layer, &reference.part("initial."), name).unwrap();
    let rate = f64::from(reference.tensors["rate"].to_vec::<f32>().unwrap()[0]);
    let mut sgd = SgdConfig::new().init::<B, M>();
    for step in 0..STEPS {
        let passes: Vec<_> = (0..3).map(|pass| format!("{step}.{pass}")).collect();
        let mut loss = Tensor::<B, 1>::zeros([1], &Default::default());
        let mut leaves = Vec::new();
        for pass in &passes[..2] {
            let inputs = reference.inputs::<B>(pass);
            let output = layer.apply(&inputs, Mode::Train);
            let cotangent = reference.tensor(&format!("{pass}.cotangent"));
            loss = loss + (output.clone() * cotangent).sum();
            reference.check(&format!("{pass}.output"), output);
            leaves.extend(inputs.into_iter().enumerate().map(|(index, input)| {
                let key = format!("{pass}.gradient{index}");
                (key, input)
            }));
        }
        let gradients = loss.backward();
        for (key, leaf) in leaves {
            match leaf.grad(&gradients) {
                Some(gradient) => reference.check(&key, gradient),
                None => assert!(!reference.tensors.contains_key(&key), "{name}, {key}: none"),
            }
        }
        let params = GradientsParams::from_grads(gradients, &layer);
        let mut visitor = Gradients {
            params: &params,
            path: ModulePath::default(),
            found: StateDict::new(),
        };
        layer.visit(&mut visitor);
        let prefix = format!("{step}.gradient.");
        let scale = reference
            .part(&prefix)
            .values()
            .map(|data| largest(data.as_slice().unwrap()))
            .fold(0.0, f32::max);
        reference.check_all(&prefix, visitor.found, scale);

        layer = sgd.step(rate, layer, params);
        let mut plain = layer.valid();
        let output = plain.apply(&reference.inputs(&passes[2]), Mode::Train);
        reference.check(&format!("{}.output", passes[2]), output);
        layer = copy_buffers(layer, &plain);
        let state = state_dict(&layer);
        reference.check_all(&format!("{step}.state."), state.clone(), 0.0);

        let output = layer.apply(&reference.inputs(&passes[0]), Mode::Eval);
        reference.check(&format!("{step}.evaluation"), output);
        assert_eq!(
            state_dict(&layer),
            state,
            "{name}: evaluation moved the state"
        );
    }
    reference.report();
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(
            "../../../tests/fixtures/layers/",
            $name,
            ".safetensors"
        ))
    };
}

fn rng() -> InitRng {
    InitRng::new(0, "parity")
}

fn spectral_norm_agrees<B: AutodiffBackend>() {
    let config = ConvConfig::new(3, 4, 3).with_spectral_norm(true);
    let layer = config.init::<B>(&mut rng(), &Default::default());
    agrees("spectral norm", fixture!("spectral_norm"), layer);
}

fn batch_norm_agrees<B: AutodiffBackend>() {
    let layer = BatchNorm::<B>::plain(4, &Default::default());
    agrees("batch norm", fixture!("batch_norm"), layer);
    let layer = BatchNorm::<B>::affine(4, &mut rng(), &Default::default());
    agrees("affine batch norm", fixture!("batch_norm_affine"), layer);
}

fn spade_agrees<B: AutodiffBackend>() {
    let layer = Spade::<B>::new(3, 5, &mut rng(), &Default::default());
    agrees("SPADE", fixture!("spade"), layer);
}

fn attention_agrees<B: AutodiffBackend>() {
    let layer = CrossAttention::<B>::new(4, 6, &mut rng(), &Default::default());
    agrees("cross-attention", fixture!("cross_attention"), layer);
    let layer = SelfAttention::<B>::new(4, &mut rng(), &Default::default());
    agrees("self-attention", fixture!("self_attention"), layer);
}

fn label_convolution_agrees<B: AutodiffBackend>() {
    let layer = LabelConv::<B>::new([5, 0], 3, &mut rng(), &Default::default());
    agrees("label convolution", fixture!("label_conv"), layer);
}

fn resizing_agrees<B: AutodiffBackend>() {
    let mut reference = Reference::new("resize", fixture!("resize"));
    for (mode, count) in [("bilinear", 8), ("nearest", 2)] {
        for number in 0..count {
            let key = |part: &str| format!("{mode}{number}.{part}");
            let input = reference.tensor::<B, 4>(&key("input")).require_grad();
            let cotangent: Tensor<B, 4> = reference.tensor(&key("cotangent"));
            let [_, _, height, width] = cotangent.dims();
            let output = match mode {
                "bilinear" => resize_bilinear(input.clone(), height, width),
                _ => upsample_nearest(input.clone()),
            };
            let gradients = (output.clone() * cotangent).sum().backward();
            reference.check(&key("output"), output);
            reference.check(&key("gradient"), input.grad(&gradients).unwrap());
        }
    }
    for number in 0..6 {
        let labels = reference
            .tensor::<B, 3>(&format!("labels{number}.input"))
            .int();
        let key = format!("labels{number}.output");
        let shape = reference.tensors[&key].shape.clone();
        let output = nearest_labels(labels, shape[1], shape[2]).float();
        let expected = reference.tensor::<B, 3>(&key).into_data();
        assert_eq!(output.into_data(), expected, "{key}");
    }
    reference.report();
}

backend_tests!(
    spectral_norm_agrees,
    batch_norm_agrees,
    spade_agrees,
    attention_agrees,
    label_convolution_agrees,
    resizing_agrees,
);
