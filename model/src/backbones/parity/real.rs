//! Real weights, on a computed image and on real photos. `DP_SIMS_SHARED` names the folder that holds
//! them in `weights` and `data`.

use sha2::{Digest, Sha256};

use super::*;

/// Photos of `tests/reference/backbones_photos.py`, PNG so that every decoder reads the same.
const PHOTOS: [&str; 3] = [
    "val/0016E5_07959.png",
    "test/0001TP_008550.png",
    "train/0001TP_006690.png",
];
/// Distance of the values of a tap that are compared.
const PHOTO_STEP: usize = 211;

/// A file of the folder of real weights and data.
fn shared_file(file: &str) -> PathBuf {
    let shared = std::env::var_os("DP_SIMS_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    shared.join(file)
}

fn real_backbone<B: AutodiffBackend>(kind: BackboneKind, file: &str) -> Backbone<B> {
    let path = shared_file(&format!("weights/{file}"));
    let weights = WeightSource::State(read_weights(&path).unwrap(), file.to_string());
    build(kind, weights, &Default::default()).unwrap()
}

/// Compares every `step`-th value with those stored under `key`, and the mean magnitude.
fn agrees(actual: &[f32], reference: &StateDict, key: &str, step: usize) {
    let number = |part: &str| {
        let data = &reference[&format!("{key}.{part}")];
        data.as_slice::<f32>().unwrap()[0]
    };
    let subset = actual.iter().step_by(step).copied();
    let expected = reference[key].as_slice::<f32>().unwrap();
    assert_eq!(subset.len(), expected.len(), "{key}");
    let largest = subset
        .zip(expected)
        .fold(0f32, |max, (a, e)| max.max((a - e).abs()));
    let error = largest / number("max");
    let mean = actual.iter().map(|value| value.abs()).sum::<f32>() / actual.len() as f32;
    let drift = (mean - number("mean")).abs() / number("mean");
    println!("{key}: relative error {error:.1e}, of the mean {drift:.1e}");
    assert!(error <= 1e-4, "{key}: relative error {error}");
    assert!(drift <= 1e-4, "{key}: relative error of the mean {drift}");
}

fn agrees_on_a_computed_image<B: AutodiffBackend>(kind: BackboneKind, file: &str) {
    let backbone = real_backbone::<B>(kind, file);
    let reference = dict(&format!("{}.real.safetensors", kind.name()));
    let phase = f64::from(reference["phase"].as_slice::<f32>().unwrap()[0]);
    let data = formula_image(33, 47, phase);
    let image = Tensor::<B, 4>::from_data(data, &Default::default()).require_grad();
    let taps = backbone.forward(image.clone());
    let total = taps
        .iter()
        .map(|tap| tap.clone().square().mean())
        .reduce(|sum, term| sum + term);
    let gradient = image.grad(&total.unwrap().backward()).unwrap();
    for (index, tap) in taps.into_iter().enumerate() {
        agrees(&values(tap), &reference, &format!("tap{index}"), 7);
    }
    agrees(&values(gradient), &reference, "gradient", 7);
}

/// Pixels of the photo in [-1, 1], `[1, 3, H, W]`; its file must be the one of the script.
fn photo<B: Backend>(path: &std::path::Path, digest: &TensorData) -> Tensor<B, 4> {
    let bytes = std::fs::read(path).unwrap();
    let found = Sha256::digest(&bytes).map(f32::from);
    assert_eq!(
        found.as_slice(),
        digest.as_slice::<f32>().unwrap(),
        "another photo"
    );
    let photo = image::load_from_memory(&bytes).unwrap().to_rgb8();
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let pixels = photo.into_raw();
    let pixels: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 127.5 - 1.0).collect();
    let data = TensorData::new(pixels, [1, height, width, 3]);
    Tensor::from_data(data, &Default::default()).permute([0, 3, 1, 2])
}

fn agrees_on_photos<B: AutodiffBackend>(kind: BackboneKind, file: &str) {
    let backbone = real_backbone::<B>(kind, file);
    let reference = dict(&format!("{}.photos.safetensors", kind.name()));
    let path = shared_file(&format!("weights/{file}"));
    let weights = WeightSource::State(read_weights(&path).unwrap(), file.to_string());
    let head = LiteHead::<B>::load(kind, weights, &Default::default()).unwrap();
    for (index, name) in PHOTOS.into_iter().enumerate() {
        let path = shared_file(&format!("data/camvid/{name}"));
        let image = photo(&path, &reference[&format!("photo{index}.sha256")]);
        let taps = backbone.forward(image);
        assert_eq!(taps.len(), info(kind).channels.len());
        if let Some(head) = &head {
            let features = values(head.forward(taps[taps.len() - 1].clone()));
            assert_eq!(features.len(), LITE_FEATURES);
            agrees(
                &features,
                &reference,
                &format!("photo{index}.head"),
                PHOTO_STEP,
            );
        }
        for (tap, features) in taps.into_iter().enumerate() {
            let key = format!("photo{index}.tap{tap}");
            agrees(&values(features), &reference, &key, PHOTO_STEP);
        }
    }
}

fn real_efficientnet_lite1_agrees_with_timm<B: AutodiffBackend>() {
    let file = "tf_efficientnet_lite1.safetensors";
    agrees_on_a_computed_image::<B>(BackboneKind::EfficientnetLite1, file);
}

fn real_efficientnet_lite2_agrees_with_timm<B: AutodiffBackend>() {
    let file = "tf_efficientnet_lite2.safetensors";
    agrees_on_a_computed_image::<B>(BackboneKind::EfficientnetLite2, file);
}

fn real_vgg16_agrees_with_torchvision<B: AutodiffBackend>() {
    agrees_on_a_computed_image::<B>(
        BackboneKind::Vgg16,
        "vgg16_features_hed_rgb_tvnorm.safetensors",
    );
}

fn real_efficientnet_lite1_agrees_with_timm_on_photos<B: AutodiffBackend>() {
    let file = "tf_efficientnet_lite1.safetensors";
    agrees_on_photos::<B>(BackboneKind::EfficientnetLite1, file);
}

fn real_efficientnet_lite2_agrees_with_timm_on_photos<B: AutodiffBackend>() {
    let file = "tf_efficientnet_lite2.safetensors";
    agrees_on_photos::<B>(BackboneKind::EfficientnetLite2, file);
}

fn real_vgg16_agrees_with_torchvision_on_photos<B: AutodiffBackend>() {
    let file = "vgg16_features_hed_rgb_tvnorm.safetensors";
    agrees_on_photos::<B>(BackboneKind::Vgg16, file);
}

backend_tests!(
    ; without ndarray:
    #[ignore = "needs real weights, see CONTRIBUTING.md"]
    real_efficientnet_lite1_agrees_with_timm,
    #[ignore = "needs real weights, see CONTRIBUTING.md"]
    real_efficientnet_lite2_agrees_with_timm,
    #[ignore = "needs real weights, see CONTRIBUTING.md"]
    real_vgg16_agrees_with_torchvision,
    #[ignore = "needs real weights, see CONTRIBUTING.md"]
    real_efficientnet_lite1_agrees_with_timm_on_photos,
    #[ignore = "needs real weights, see CONTRIBUTING.md"]
    real_efficientnet_lite2_agrees_with_timm_on_photos,
    #[ignore = "needs real weights, see CONTRIBUTING.md"]
    real_vgg16_agrees_with_torchvision_on_photos
);
