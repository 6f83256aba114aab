//! The networks against PyTorch: `tests/reference/segmentation_networks.py` made the fixtures.

mod names;

use std::path::PathBuf;

use burn::tensor::TensorData;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::backend_tests;
use dp_sims_model::testing::{formula_dict, formula_image, relative_error, values};
use dp_sims_model::weights::read_weights;
use serde_json::Value;

use super::*;

/// Relative error that is allowed, the `BOUND` of the script.
const BOUND: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/evaluators")
        .join(name)
}

fn record() -> Value {
    let text = std::fs::read_to_string(fixture("segmentation_networks.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn size(value: &Value) -> [usize; 2] {
    serde_json::from_value(value.clone()).unwrap()
}

/// Weights of a thin network as the script makes them: the formula, some tensors scaled, and those
/// that it stored.
fn thin_dict(name: &str, record: &Value, reference: &StateDict) -> StateDict {
    let thin = &record["thin"][name];
    let mut dict = formula_dict(&thin["listing"].to_string());
    for (tensor, gain) in thin["gains"].as_object().unwrap() {
        let data = dict.get_mut(tensor).unwrap();
        let gain = gain.as_f64().unwrap() as f32;
        let values: Vec<f32> = data.iter::<f32>().map(|value| value * gain).collect();
        *data = TensorData::new(values, data.shape.clone());
    }
    for (tensor, data) in reference {
        if let Some(tensor) = tensor.strip_prefix("kept.") {
            dict.insert(tensor.to_string(), data.clone());
        }
    }
    dict
}

/// The tensors of one of several files that were written as one, under this prefix.
fn part(dict: &StateDict, prefix: &str) -> StateDict {
    let tensors = dict.iter().filter_map(|(name, data)| {
        let name = name.strip_prefix(prefix)?;
        Some((name.to_string(), data.clone()))
    });
    tensors.collect()
}

fn deeplab() -> DeepLabConfig {
    DeepLabConfig::new()
        .with_depths([1, 2, 2, 1])
        .with_width(4)
        .with_classes(5)
}

fn drn() -> DrnConfig {
    DrnConfig::new()
        .with_depths([1, 2, 1, 1])
        .with_channels([3, 4, 2, 3, 4, 4, 8, 8])
        .with_classes(5)
}

fn upernet() -> UperNetConfig {
    UperNetConfig::new()
        .with_stem([4, 6, 8])
        .with_depths([1, 2, 1, 1])
        .with_widths([4, 6, 8, 8])
        .with_pooled(6)
        .with_pyramid(8)
        .with_classes(6)
}

/// A thin network of the script from its tensors.
fn thin<B: Backend>(kind: SegmenterKind, dict: StateDict) -> Result<Segmenter<B>, WeightsError> {
    let device = Default::default();
    let source = |dict, file: &str| WeightSource::State(dict, file.to_string());
    let network = match kind {
        SegmenterKind::DeepLabV2CocoStuff => {
            Network::DeepLab(deeplab().load(source(dict, "thin.pth"), "thin", &device)?)
        }
        SegmenterKind::Drn105Cityscapes => {
            Network::Drn(drn().load(source(dict, "thin.pth"), "thin", &device)?)
        }
        SegmenterKind::UperNetAde20k => {
            let encoder = source(part(&dict, "encoder."), "encoder.pth");
            let decoder = source(part(&dict, "decoder."), "decoder.pth");
            Network::UperNet(upernet().load(encoder, decoder, "thin", &device)?)
        }
    };
    Ok(Segmenter { kind, network })
}

/// Logits of one size, scores over all sizes, and the class of every pixel that the reference
/// decides by more than the bound.
fn agrees<B: Backend>(kind: SegmenterKind, name: &str) {
    let record = record();
    let reference = read_weights(&fixture(&format!("{name}.safetensors"))).unwrap();
    let segmenter = thin::<B>(kind, thin_dict(name, &record, &reference)).unwrap();
    let settings = &record["thin"][name];
    let sizes = settings["sizes"].as_array().unwrap().iter();
    let scaled: Vec<Tensor<B, 4>> = sizes
        .enumerate()
        .map(|(index, side)| {
            let [height, width] = size(side);
            let image = formula_image(height, width, 0.4 * index as f64);
            Tensor::from_data(image, &Default::default()) * 0.5 + 0.5
        })
        .collect();
    let image = scaled[0].clone();
    let logits = match &segmenter.network {
        Network::DeepLab(network) => network.forward(image),
        Network::Drn(network) => network.forward(image),
        Network::UperNet(network) => network.forward(image),
    };
    let target = size(&settings["size"]);
    let scores = segmenter.scores(scaled.clone(), target);
    for (what, actual) in [("logits", logits), ("scores", scores)] {
        let expected = &reference[what];
        assert_eq!(
            actual.dims().as_slice(),
            expected.shape.as_slice(),
            "{name}: {what}"
        );
        let error = relative_error(&values(actual), expected.as_slice().unwrap());
        println!("{name}, {what}: relative error {error:.1e}");
        assert!(error <= BOUND, "{name}, {what}: {error}");
    }
    let found = segmenter.predict(scaled, target);
    assert_eq!(found.dims(), [1, target[0], target[1]]);
    let found: Vec<i64> = found.into_data().convert::<i64>().to_vec().unwrap();
    let decided = decided(reference["scores"].as_slice().unwrap(), segmenter.classes());
    assert!(
        decided.iter().flatten().count() > found.len() * 9 / 10,
        "{name}"
    );
    for (pixel, (found, class)) in found.into_iter().zip(decided).enumerate() {
        assert!(
            class.is_none_or(|class| class as i64 == found),
            "{name}: pixel {pixel}"
        );
    }
}

/// The class with the largest score where the second largest is farther away than the bound.
fn decided(scores: &[f32], classes: usize) -> Vec<Option<usize>> {
    let pixels = scores.len() / classes;
    let largest = scores.iter().fold(0f32, |max, score| max.max(score.abs()));
    (0..pixels)
        .map(|pixel| {
            let mut order: Vec<usize> = (0..classes).collect();
            let score = |class: &usize| scores[class * pixels + pixel];
            order.sort_by(|a, b| score(b).total_cmp(&score(a)));
            (score(&order[0]) - score(&order[1]) > BOUND * largest).then_some(order[0])
        })
        .collect()
}

fn deeplab_agrees_with_pytorch<B: AutodiffBackend>() {
    agrees::<B::InnerBackend>(SegmenterKind::DeepLabV2CocoStuff, "deeplab");
}

fn drn_agrees_with_pytorch<B: AutodiffBackend>() {
    agrees::<B::InnerBackend>(SegmenterKind::Drn105Cityscapes, "drn");
}

fn upernet_agrees_with_pytorch<B: AutodiffBackend>() {
    agrees::<B::InnerBackend>(SegmenterKind::UperNetAde20k, "upernet");
}

backend_tests!(
    deeplab_agrees_with_pytorch,
    drn_agrees_with_pytorch,
    upernet_agrees_with_pytorch
);

#[test]
fn scales_are_those_of_the_projects() {
    for case in record()["scales"].as_array().unwrap() {
        let [height, width] = size(&case["image"]);
        let sizes = |name: &str| -> Vec<[usize; 2]> {
            case[name].as_array().unwrap().iter().map(size).collect()
        };
        let scales = |kind: SegmenterKind| kind.scales(height, width);
        let deeplab = scales(SegmenterKind::DeepLabV2CocoStuff);
        assert_eq!(deeplab, [[height, width]]);
        assert_eq!(scales(SegmenterKind::Drn105Cityscapes), sizes("drn"));
        assert_eq!(scales(SegmenterKind::UperNetAde20k), sizes("upernet"));
    }
    // What a generated image of ADE20K becomes.
    let sides = [320, 384, 480, 544, 608].map(|side| [side, side]);
    assert_eq!(SegmenterKind::UperNetAde20k.scales(256, 256), sides);
}
