//! Backbones against timm and torchvision: `tests/reference/backbones.py` made the fixtures.

use std::path::PathBuf;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};

use super::*;
use crate::testing::relative_error;
use crate::weights::{from_safetensors_bytes, read_weights, state_dict};

type Flex = dp_sims_backends::FlexAutodiff;

/// Sizes of the thin networks of the script.
const THIN_LITE: (f64, f64) = (0.1, 0.4);
const HALF: [f32; 3] = [0.5; 3];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/backbones")
        .join(name)
}

fn tensor<B: AutodiffBackend, const D: usize>(data: &TensorData) -> Tensor<B, D> {
    Tensor::from_data(data.clone(), &Default::default())
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().to_vec().unwrap()
}

fn dict(name: &str) -> StateDict {
    read_weights(&fixture(name)).unwrap()
}

fn source(name: &str) -> WeightSource {
    WeightSource::State(dict(name), name.to_string())
}

fn thin_convnext<B: Backend>() -> Backbone<B> {
    let config = ConvNextConfig::new([1, 2, 1, 1], [8, 12, 16, 24]);
    let network = config.init(&mut InitRng::new(0, "thin"), &Default::default());
    let convert = |dict, _: &str, _: &str| Ok(config.trunk(dict));
    let network = load(network, source("convnext.pth"), "thin", convert).unwrap();
    Backbone::new(Network::ConvNext(network), HALF, HALF)
}

fn thin_lite<B: Backend>(weights: WeightSource) -> Result<Backbone<B>, WeightsError> {
    let (width, depth) = THIN_LITE;
    let config = EfficientNetLiteConfig { width, depth };
    let network = config.init(&mut InitRng::new(0, "thin"), &Default::default());
    let convert = |dict, origin: &str, name: &str| config.fold(dict, origin, name);
    let network = load(network, weights, "thin", convert)?;
    Ok(Backbone::new(
        Network::EfficientNetLite(network),
        HALF,
        HALF,
    ))
}

fn thin_vgg<B: Backend>() -> Backbone<B> {
    let config = VggConfig::new([2, 2, 3, 3, 3]).with_channels([4, 6, 8, 10, 12]);
    let network = config.init(&mut InitRng::new(0, "thin"), &Default::default());
    let convert = |dict, _: &str, _: &str| Ok(config.trunk(dict));
    let network = load(network, source("vgg.pth"), "thin", convert).unwrap();
    let imagenet = info(BackboneKind::Vgg16);
    Backbone::new(Network::Vgg(network), imagenet.mean, imagenet.std)
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

fn convnext_agrees_with_timm<B: AutodiffBackend>() {
    matches_reference::<B>(&thin_convnext(), "convnext");
    matches_finite_differences::<B>(&thin_convnext(), "convnext");
}

fn efficientnet_lite_agrees_with_timm<B: AutodiffBackend>() {
    let backbone = thin_lite(source("efficientnet_lite.pth")).unwrap();
    matches_reference::<B>(&backbone, "efficientnet_lite");
    matches_finite_differences::<B>(&backbone, "efficientnet_lite");
}

fn efficientnet_lite_reads_the_names_of_the_original_port<B: AutodiffBackend>() {
    let backbone = thin_lite(source("efficientnet_lite_legacy.pth")).unwrap();
    matches_reference::<B>(&backbone, "efficientnet_lite");
}

fn vgg_agrees_with_torchvision<B: AutodiffBackend>() {
    matches_reference::<B>(&thin_vgg(), "vgg");
    matches_finite_differences::<B>(&thin_vgg(), "vgg");
}

backend_tests!(
    convnext_agrees_with_timm,
    efficientnet_lite_agrees_with_timm,
    efficientnet_lite_reads_the_names_of_the_original_port,
    vgg_agrees_with_torchvision,
);

#[test]
fn convnext_carries_the_names_of_timm() {
    let config = ConvNextConfig::new([1, 2, 1, 1], [8, 12, 16, 24]);
    let network = config.init::<Flex>(&mut InitRng::new(0, "thin"), &Default::default());
    let ours: Vec<String> = state_dict::<Flex, _>(&network).into_keys().collect();
    let theirs: Vec<String> = config.trunk(dict("convnext.pth")).into_keys().collect();
    assert_eq!(ours, theirs);
}

#[test]
fn convnext_can_be_trained() {
    let config = ConvNextConfig::new([1, 1, 1, 1], [4, 4, 4, 4]);
    let network = config.init::<Flex>(&mut InitRng::new(0, "thin"), &Default::default());
    let image = Tensor::<Flex, 4>::ones([1, 3, 32, 32], &Default::default());
    let taps = network.forward(image);
    let mut found = Gradients::new(taps[3].clone().square().sum().backward());
    network.visit(&mut found);
    assert_eq!(
        (found.present, found.absent),
        (state_dict::<Flex, _>(&network).len(), 0)
    );
}

/// Counts parameters with and without a gradient.
struct Gradients<B: AutodiffBackend> {
    gradients: B::Gradients,
    present: usize,
    absent: usize,
}

impl<B: AutodiffBackend> Gradients<B> {
    fn new(gradients: B::Gradients) -> Self {
        Self {
            gradients,
            present: 0,
            absent: 0,
        }
    }
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        match param.grad(&self.gradients) {
            Some(_) => self.present += 1,
            None => self.absent += 1,
        }
    }
}

#[test]
fn every_backbone_is_frozen_and_passes_gradients_to_the_image() {
    let device = Default::default();
    for kind in BackboneKind::ALL {
        let backbone = build::<Flex>(kind, WeightSource::Random { seed: 1 }, &device).unwrap();
        let info = info(kind);
        let image = Tensor::<Flex, 4>::from_data(pattern(64, 32, 0.0), &device).require_grad();
        let taps = backbone.forward(image.clone());
        let mut total = Tensor::zeros([1], &device);
        for ((tap, channels), stride) in taps.iter().zip(&info.channels).zip(&info.strides) {
            assert_eq!(
                tap.dims(),
                [1, *channels, 64 / stride, 32 / stride],
                "{}",
                info.name
            );
            total = total + tap.clone().abs().mean();
        }
        assert_eq!(taps.len(), info.channels.len());
        let mut found = Gradients::new(total.backward());
        let gradient = values(image.grad(&found.gradients).unwrap());
        assert!(
            gradient.iter().all(|value| value.is_finite()),
            "{}",
            info.name
        );
        assert!(gradient.iter().any(|value| *value != 0.0), "{}", info.name);
        backbone.visit(&mut found);
        assert_eq!(found.present, 0, "{}: weights have a gradient", info.name);
        assert!(found.absent > 10);
    }
}

#[test]
fn wrong_weights_are_named() {
    let mut broken = dict("efficientnet_lite.pth");
    broken.remove("blocks.1.0.bn2.running_var");
    broken.insert(
        "blocks.9.0.conv_pw.weight".into(),
        TensorData::new(vec![0f32], [1]),
    );
    let short = TensorData::new(vec![0f32], [1]);
    broken.insert("bn1.bias".into(), short);
    let error = thin_lite::<Flex>(WeightSource::State(broken, "lite.pth".into())).unwrap_err();
    let text = error.to_string();
    for part in [
        "lite.pth does not fit thin",
        "1 missing: blocks.1.0.bn2.running_var",
        "blocks.9.0.conv_pw.weight",
        "bn1.bias (expected [32], found [1])",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let device = Default::default();
    let error = build::<Flex>(BackboneKind::Vgg16, source("vgg.pth"), &device).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("vgg.pth does not fit vgg16"), "{text}");
    assert!(text.contains("features.0.weight (expected [64, 3, 3, 3], found [4, 3, 3, 3])"));
}

/// The deterministic image of the script, `[1, 3, height, width]` in [-1, 1].
fn pattern(height: usize, width: usize, phase: f64) -> TensorData {
    let mut pixels = Vec::with_capacity(3 * height * width);
    for channel in 0..3 {
        for y in 0..height {
            for x in 0..width {
                let (c, y, x) = (channel as f64, y as f64, x as f64);
                let value = 0.6 * (0.21 * x + 0.13 * (c + 1.0) * y + c + phase).sin()
                    + 0.4 * (0.003 * x * y + 0.5 * c).cos();
                pixels.push(value as f32);
            }
        }
    }
    TensorData::new(pixels, [1, 3, height, width])
}

/// Folder of real weights, or none where this checkout has none.
fn real_weights(file: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("DP_SIMS_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let path = shared.join("weights").join(file);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {file}, {} not found", path.display());
    None
}

fn real_network_agrees(kind: BackboneKind, file: &str) {
    let Some(path) = real_weights(file) else {
        return;
    };
    let device = Default::default();
    let weights = WeightSource::State(read_weights(&path).unwrap(), file.to_string());
    let backbone = build::<Flex>(kind, weights, &device).unwrap();
    let name = info(kind).name;
    let reference = dict(&format!("{name}.real.safetensors"));
    let phase = f64::from(reference["phase"].as_slice::<f32>().unwrap()[0]);
    let image = Tensor::<Flex, 4>::from_data(pattern(33, 47, phase), &device).require_grad();
    let taps = backbone.forward(image.clone());
    let total = taps
        .iter()
        .map(|tap| tap.clone().square().mean())
        .reduce(|sum, term| sum + term);
    let gradient = image.grad(&total.unwrap().backward()).unwrap();
    let mut compared: Vec<(String, Vec<f32>)> = taps
        .into_iter()
        .enumerate()
        .map(|(index, tap)| (format!("tap{index}"), values(tap)))
        .collect();
    compared.push(("gradient".into(), values(gradient)));
    for (key, actual) in compared {
        let number = |part: &str| {
            reference[&format!("{key}.{part}")]
                .as_slice::<f32>()
                .unwrap()[0]
        };
        let subset = actual.iter().step_by(7).copied();
        let expected = reference[&key].as_slice::<f32>().unwrap();
        assert_eq!(subset.len(), expected.len(), "{name}, {key}");
        let largest = subset
            .zip(expected)
            .fold(0f32, |max, (a, e)| max.max((a - e).abs()));
        let error = largest / number("max");
        let mean = actual.iter().map(|value| value.abs()).sum::<f32>() / actual.len() as f32;
        let drift = (mean - number("mean")).abs() / number("mean");
        println!("{name}, {key}: relative error {error:.1e}, of the mean {drift:.1e}");
        assert!(error <= 1e-4, "{name}, {key}: relative error {error}");
        assert!(
            drift <= 1e-4,
            "{name}, {key}: relative error of the mean {drift}"
        );
    }
}

#[test]
fn real_efficientnet_lite1_agrees_with_timm() {
    let file = "tf_efficientnet_lite1.safetensors";
    real_network_agrees(BackboneKind::EfficientnetLite1, file);
}

#[test]
fn real_efficientnet_lite2_agrees_with_timm() {
    let file = "tf_efficientnet_lite2.safetensors";
    real_network_agrees(BackboneKind::EfficientnetLite2, file);
}

#[test]
fn real_vgg16_agrees_with_torchvision() {
    real_network_agrees(
        BackboneKind::Vgg16,
        "vgg16_features_hed_rgb_tvnorm.safetensors",
    );
}

#[test]
fn f16_weights_are_accepted() {
    let mut half = dict("efficientnet_lite.pth");
    for data in half.values_mut() {
        *data = data.clone().convert_dtype(burn::tensor::DType::F16);
    }
    let bytes = crate::weights::to_safetensors_bytes(&half).unwrap();
    let read = from_safetensors_bytes(&bytes, "half").unwrap();
    assert!(thin_lite::<Flex>(WeightSource::State(read, "half".into())).is_ok());
}
