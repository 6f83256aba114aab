//! Adam against PyTorch's over several steps, and across a saved state:
//! `tests/reference/layers.py` made the fixture.

use burn::module::Param;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::Linear;
use dp_sims_model::weights::{
    StateDict, from_safetensors_bytes, load_state_dict, state_dict, to_safetensors_bytes,
};

use super::{adam, load_optimizer_state, optimizer_state};
use crate::config::OptimizerConfig;

const FIXTURE: &[u8] = include_bytes!("../../tests/fixtures/layers/adam.safetensors");
const STEPS: usize = 6;
/// Betas of each run, and the largest error: of a parameter in learning rates, of a number of the
/// moments relative to itself. burn computes 1 − β₂ and 1 − β₂ᵗ in f32, which costs a relative
/// error of 1.3e-5 at β₂ = 0.999 and 1e-6 at 0.99.
const RUNS: [(&str, [f32; 2], f32); 2] = [
    ("paper", [0.0, 0.99], 5e-6),
    ("classic", [0.5, 0.999], 2e-5),
];

fn values(data: &TensorData) -> Vec<f32> {
    data.to_vec().unwrap()
}

/// Largest error, that of each number relative to `scale` of its expected value.
fn error(actual: &TensorData, expected: &TensorData, scale: impl Fn(f32) -> f32) -> f32 {
    assert_eq!(actual.shape, expected.shape);
    let pairs = values(actual).into_iter().zip(values(expected));
    pairs
        .map(|(a, e)| {
            assert!(a.is_finite());
            (a - e).abs() / scale(e)
        })
        .fold(0.0, f32::max)
}

/// A layer with the same state and other parameter ids, as a resumed run has.
fn renewed<B: AutodiffBackend>(state: &StateDict) -> Linear<B> {
    let layer = Linear::new(4, 3, &mut InitRng::new(0, "parity"), &Default::default());
    load_state_dict(layer, state, "the fixture").unwrap()
}

/// Takes the steps of a run and returns the last state of layer and optimizer. Before the step
/// `resume`, both are saved and read again.
fn steps<B: AutodiffBackend>(
    (name, betas, most): (&str, [f32; 2], f32),
    resume: Option<usize>,
) -> StateDict {
    let fixture = from_safetensors_bytes(FIXTURE, "adam").unwrap();
    let read = |key: String| fixture[&format!("{name}.{key}")].clone();
    let rate = values(&fixture["rate"])[0];
    let config = OptimizerConfig {
        beta_1: betas[0],
        beta_2: betas[1],
        epsilon: 1e-8,
        ..OptimizerConfig::default()
    };
    let initial =
        ["weight", "bias"].map(|part| (part.to_string(), read(format!("initial.{part}"))));
    let mut layer = renewed::<B>(&initial.into());
    let mut optimizer = adam(&config);
    let (mut worst, mut worst_moment) = (0f32, 0f32);
    for step in 0..STEPS {
        if resume == Some(step) {
            let saved = to_safetensors_bytes(&optimizer_state(&optimizer, &layer)).unwrap();
            let saved = from_safetensors_bytes(&saved, "memory").unwrap();
            layer = renewed(&state_dict(&layer));
            optimizer = load_optimizer_state(adam(&config), &layer, saved, "memory").unwrap();
        }
        let mut gradients = GradientsParams::new();
        register(
            &mut gradients,
            &layer.weight,
            read(format!("{step}.gradient.weight")),
        );
        register(
            &mut gradients,
            layer.bias.as_ref().unwrap(),
            read(format!("{step}.gradient.bias")),
        );
        layer = optimizer.step(f64::from(rate), layer, gradients);

        let moments = optimizer_state(&optimizer, &layer);
        for (part, actual) in state_dict(&layer) {
            let off = error(&actual, &read(format!("{step}.{part}")), |_| rate);
            worst = worst.max(off);
            for moment in ["moment_1", "moment_2"] {
                let key = format!("{part}.{moment}");
                let own = |value: f32| value.abs().max(f32::MIN_POSITIVE);
                let off = error(&moments[&key], &read(format!("{step}.{key}")), own);
                worst_moment = worst_moment.max(off);
            }
            assert_eq!(
                values(&moments[&format!("{part}.time")]),
                [(step + 1) as f32]
            );
        }
        assert_eq!(moments.len(), 6);
    }
    println!("Adam, {name}: parameters {worst:.1e} learning rates, moments {worst_moment:.1e}");
    assert!(
        worst <= most,
        "{name}: parameters are off by {worst:e} learning rates"
    );
    assert!(
        worst_moment <= most,
        "{name}: moments are off by {worst_moment:e}"
    );
    let mut state = optimizer_state(&optimizer, &layer);
    state.extend(state_dict(&layer));
    state
}

fn register<B: AutodiffBackend, const D: usize>(
    gradients: &mut GradientsParams,
    param: &Param<Tensor<B, D>>,
    gradient: TensorData,
) {
    let gradient = Tensor::from_data(gradient, &Default::default());
    gradients.register::<B::InnerBackend, D>(param.id, gradient);
}

fn agrees<B: AutodiffBackend>() {
    for run in RUNS {
        let straight = steps::<B>(run, None);
        assert_eq!(steps::<B>(run, Some(3)), straight, "{}, resumed", run.0);
    }
}

#[test]
fn adam_agrees_with_pytorch_on_flex() {
    agrees::<dp_sims_backends::FlexAutodiff>();
}

#[test]
fn adam_agrees_with_pytorch_on_ndarray() {
    agrees::<dp_sims_backends::NdArrayAutodiff>();
}
