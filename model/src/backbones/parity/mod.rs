//! Backbones against timm and torchvision: the scripts `tests/reference/backbones*.py` made the
//! fixtures.

mod frozen;
mod names;
mod real;
mod thin;

use std::path::PathBuf;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};

use super::*;
use crate::init::InitRng;
use crate::testing::{formula_image, relative_error, values};
use crate::weights::{StateDict, read_weights};

type Flex = dp_sims_backends::FlexAutodiff;

const HALF: [f32; 3] = [0.5; 3];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/backbones")
        .join(name)
}

fn tensor<B: AutodiffBackend, const D: usize>(data: &TensorData) -> Tensor<B, D> {
    Tensor::from_data(data.clone(), &Default::default())
}

fn dict(name: &str) -> StateDict {
    read_weights(&fixture(name)).unwrap()
}

fn source(name: &str) -> WeightSource {
    WeightSource::State(dict(name), name.to_string())
}

/// Sum of cotangent · tap over all taps of a reference.
fn objective<B: AutodiffBackend>(taps: &[Tensor<B, 4>], reference: &StateDict) -> Tensor<B, 1> {
    let terms = taps
        .iter()
        .enumerate()
        .map(|(index, tap)| (tap.clone() * tensor(&reference[&format!("cotangent{index}")])).sum());
    terms.reduce(|total, term| total + term).unwrap()
}

fn matches_reference<B: AutodiffBackend>(backbone: &Backbone<B>, name: &str) {
    let reference = dict(&format!("{name}.reference.safetensors"));
    let image = tensor::<B, 4>(&reference["image"]).require_grad();
    let taps = backbone.forward(image.clone());
    assert!(
        !reference.contains_key(&format!("tap{}", taps.len())),
        "{name}: a tap is missing"
    );
    for (index, tap) in taps.iter().enumerate() {
        let expected = &reference[&format!("tap{index}")];
        assert_eq!(
            tap.dims().as_slice(),
            expected.shape.as_slice(),
            "{name}, tap {index}"
        );
        let error = relative_error(&values(tap.clone()), expected.as_slice().unwrap());
        println!("{name}, tap {index}: relative error {error:.1e}");
        assert!(error <= 1e-4, "{name}, tap {index}: {error}");
    }
    let gradients = objective(&taps, &reference).backward();
    let gradient = values(image.grad(&gradients).unwrap());
    let error = relative_error(&gradient, reference["gradient"].as_slice().unwrap());
    println!("{name}, gradient: relative error {error:.1e}");
    assert!(error <= 1e-4, "{name}, gradient: {error}");
}

/// The derivative along the gradient against a central difference.
fn matches_finite_differences<B: AutodiffBackend>(backbone: &Backbone<B>, name: &str) {
    let reference = dict(&format!("{name}.reference.safetensors"));
    let image = tensor::<B, 4>(&reference["image"]).require_grad();
    let gradients = objective(&backbone.forward(image.clone()), &reference).backward();
    let gradient = Tensor::<B, 4>::from_inner(image.grad(&gradients).unwrap());
    let norm = values(gradient.clone().square().sum())[0].sqrt();
    let step = gradient * (0.02 / norm);
    let at = |image: Tensor<B, 4>| values(objective(&backbone.forward(image), &reference))[0];
    let difference = (at(image.clone() + step.clone()) - at(image - step)) / 0.04;
    let error = (difference - norm).abs() / norm;
    println!("{name}: derivative {norm}, difference {difference}, error {error:.1e}");
    assert!(
        error < 1e-2,
        "{name}: derivative {norm}, difference {difference}"
    );
}
