//! The averaged generator against PyTorch: six updates of the average with fixed decay and with
//! the ramp, the refresh of its statistics, and an image. `tests/reference/layers.py` made the
//! fixture.

use burn::module::AutodiffModule;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};
use dp_sims_model::buffers::average;
use dp_sims_model::generator::{Generator, GeneratorConfig};
use dp_sims_model::layers::Mode;
use dp_sims_model::weights::{StateDict, from_safetensors_bytes, load_state_dict, state_dict};

use super::refreshed;
use crate::config::EmaConfig;
use crate::runtime::noise::{Draws, Purpose};

const FIXTURE: &[u8] = include_bytes!("../../tests/fixtures/layers/average.safetensors");
const CLASSES: usize = 4;
const UPDATES: u64 = 6;
const REFRESH: usize = 3;
/// Largest error of each tensor relative to its largest value.
const MOST: f32 = 5e-6;

/// The latents of the fixture.
#[derive(Debug)]
struct Stored(StateDict);

impl Draws for Stored {
    fn coins(&self, _: u64, _: usize) -> Vec<bool> {
        unreachable!("no LabelMix in this test")
    }

    fn normals(&self, counter: u64, _: Purpose, count: usize) -> Vec<f32> {
        let latent = values(&self.0[&format!("latent.{counter}")]);
        assert_eq!(latent.len(), count);
        latent
    }

    fn positions(&self, _: u64, _: usize, _: usize) -> Vec<i32> {
        Vec::new()
    }
}

fn values(data: &TensorData) -> Vec<f32> {
    data.to_vec().unwrap()
}

fn error(actual: &TensorData, expected: &TensorData) -> f32 {
    assert_eq!(actual.shape, expected.shape);
    let (actual, expected) = (values(actual), values(expected));
    assert!(actual.iter().all(|value| value.is_finite()));
    let scale = expected
        .iter()
        .fold(f32::MIN_POSITIVE, |most, e| most.max(e.abs()));
    let pairs = actual.iter().zip(&expected);
    pairs.fold(0f32, |most, (a, e)| most.max((a - e).abs())) / scale
}

/// A state stored as one vector in the order of the names.
fn unflatten(vector: &TensorData, like: &StateDict) -> StateDict {
    let mut rest = values(vector);
    let state = like
        .iter()
        .map(|(name, data)| {
            let tail = rest.split_off(data.num_elements());
            let head = std::mem::replace(&mut rest, tail);
            (name.clone(), TensorData::new(head, data.shape.clone()))
        })
        .collect();
    assert!(rest.is_empty());
    state
}

/// The largest error over all tensors of a state.
fn state_error(actual: &StateDict, expected: &StateDict) -> f32 {
    assert!(actual.keys().eq(expected.keys()));
    let errors = actual
        .iter()
        .map(|(name, data)| error(data, &expected[name]));
    errors.fold(0.0, f32::max)
}

fn labels<B: Backend>(data: &TensorData) -> Tensor<B, 3, Int> {
    Tensor::<B, 3>::from_data(data.clone(), &Default::default()).int()
}

fn tiny<B: Backend>() -> Generator<B> {
    let config = GeneratorConfig {
        base_width: 2,
        width_multipliers: vec![2, 1, 1],
        encoder_channels: vec![2, 3, 2],
        latent_dim: 3,
        mapping_width: 4,
        tokens: 2,
        token_dim: 3,
        attention_stride: 2,
        ..GeneratorConfig::default()
    };
    config.init(CLASSES, 0, &Default::default()).unwrap()
}

fn follows<B: AutodiffBackend>(name: &str, ema: EmaConfig) {
    let fixture = Stored(from_safetensors_bytes(FIXTURE, "average").unwrap());
    let initial: StateDict = fixture
        .0
        .iter()
        .filter_map(|(name, data)| Some((name.strip_prefix("initial.")?.to_string(), data.clone())))
        .collect();
    let state = |key: &str| unflatten(&fixture.0[key], &initial);
    let mut current = load_state_dict(tiny::<B>(), &initial, "the fixture").unwrap();
    let mut averaged = current.valid();
    let mut worst = 0f32;
    for step in 1..=UPDATES {
        current = load_state_dict(current, &state(&format!("{step}.current")), "it").unwrap();
        averaged = average(averaged, &current.valid(), ema.decay_at(step));
        let expected = state(&format!("{step}.{name}"));
        worst = worst.max(state_error(&state_dict(&averaged), &expected));
    }
    assert!(worst <= MOST, "{name}: the average is off by {worst:e}");

    let batches: Vec<_> = (0..REFRESH)
        .map(|batch| labels(&fixture.0[&format!("labels.{batch}")]).into())
        .collect();
    let before = state_dict(&averaged);
    let mut ready = refreshed(&averaged, &batches, &fixture);
    assert_eq!(state_dict(&averaged), before, "{name}: the average moved");
    let refreshed_state = state_dict(&ready);
    let refresh = state_error(&refreshed_state, &state(&format!("refreshed.{name}")));
    assert!(
        refresh <= MOST,
        "{name}: the refreshed state is off by {refresh:e}"
    );

    let latent = Tensor::from_data(fixture.0["image.latent"].clone(), &Default::default());
    let image = ready.forward(labels(&fixture.0["image.labels"]), latent, Mode::Eval);
    let image = error(&image.into_data(), &fixture.0[&format!("image.{name}")]);
    assert!(image <= MOST, "{name}: the image is off by {image:e}");
    assert_eq!(
        state_dict(&ready),
        refreshed_state,
        "{name}: evaluation moved the state"
    );
    println!("{name}: average {worst:.1e}, refreshed {refresh:.1e}, image {image:.1e}");
}

fn agrees<B: AutodiffBackend>() {
    for (name, decay, ramp) in [("fixed", 0.9, false), ("ramp", 0.3, true)] {
        let ema = EmaConfig {
            decay,
            ramp,
            ..EmaConfig::default()
        };
        follows::<B>(name, ema);
    }
}

#[test]
fn the_average_and_its_refresh_agree_with_pytorch_on_flex() {
    agrees::<dp_sims_backends::FlexAutodiff>();
}

#[test]
fn the_average_and_its_refresh_agree_with_pytorch_on_ndarray() {
    agrees::<dp_sims_backends::NdArrayAutodiff>();
}
