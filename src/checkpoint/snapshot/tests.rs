use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::LazyLock;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use dp_sims_backends::FlexAutodiff;
use dp_sims_datasets::description::DescribedClass;
use dp_sims_model::generator::Generator;
use dp_sims_model::init::normals;
use dp_sims_model::layers::{LabelMaps, Mode};
use dp_sims_model::weights::{
    StateDict, from_safetensors_bytes, load_state_dict, safetensors_text, to_safetensors_with_text,
};
use serde_json::{Value, json};

use super::*;
use crate::checkpoint;
use crate::config::Experiment;
use crate::runtime::batch::{label_maps, to_rgb};

type Flex = <FlexAutodiff as AutodiffBackend>::InnerBackend;

const KEY: &str = "dp-sims";

fn description() -> Description {
    let class = |(id, name): (u8, &str)| DescribedClass {
        name: name.to_string(),
        colour: [40 * id, 9, 9],
        ids: vec![id],
        thing: false,
    };
    Description {
        name: "toy".to_string(),
        void: vec![0],
        classes: [(1, "sky"), (2, "road"), (3, "tree")].map(class).into(),
        train: None,
        validation: None,
        test: None,
    }
}

fn experiment() -> Experiment {
    let mut experiment = Experiment {
        name: "tiny".to_string(),
        ..Experiment::default()
    };
    (experiment.data.height, experiment.data.width) = (32, 32);
    let config = &mut experiment.generator;
    config.base_width = 2;
    config.encoder_channels = vec![4, 8, 8, 8, 8, 8, 8];
    (config.latent_dim, config.mapping_width) = (8, 16);
    (config.tokens, config.token_dim) = (4, 8);
    experiment
}

fn labels() -> LabelMaps<Flex> {
    let labels: Vec<u8> = (0..32 * 32).map(|i| (i / 77 % 4) as u8).collect();
    label_maps(&labels, None, [1, 32, 32], &Default::default())
}

fn latent(count: usize) -> Tensor<Flex, 2> {
    let values = normals(5, 0, "latent", count * 8);
    Tensor::from_data(TensorData::new(values, [count, 8]), &Default::default())
}

/// A generator whose statistics and spectral norms have seen something, whose gates are open, and whose
/// images have contrast.
fn generator() -> Generator<Flex> {
    let device = Default::default();
    let mut generator = experiment().generator.init::<Flex>(4, 3, &device).unwrap();
    let mut dict = state_dict(&generator);
    for (name, data) in &mut dict {
        if name.ends_with(".gate") {
            *data = TensorData::new(vec![0.7f32], [1]);
        }
        // Untrained images are all gray.
        if name == "to_image.weight" {
            let values: Vec<f32> = data.iter::<f32>().map(|value| 400.0 * value).collect();
            *data = TensorData::new(values, data.shape.clone());
        }
    }
    generator = load_state_dict(generator, &dict, "the test").unwrap();
    for _ in 0..5 {
        generator.forward(labels(), latent(4), Mode::Train);
    }
    generator
}

fn images(mut generator: Generator<Flex>) -> Vec<u8> {
    to_rgb(generator.forward(labels(), latent(3), Mode::Eval))
        .unwrap()
        .concat()
}

/// A checkpoint of the generator in a folder of its own.
fn run() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (ready, state) = (generator(), State::new(7, 28, "flex"));
    let (experiment, description) = (experiment(), description());
    let files = generator_files(&ready, &state, &experiment, &description);
    checkpoint::write(&folder.path().join("checkpoints"), 7, files).unwrap();
    let path = folder.path().to_path_buf();
    (folder, path)
}

fn model(bytes: Vec<u8>) -> Result<ModelFile> {
    ModelFile::parse(Cow::Owned(bytes), "toy.safetensors")
}

#[test]
fn a_model_file_makes_the_images_of_its_checkpoint() {
    let (_folder, path) = run();
    let device = Default::default();
    let snapshot = Snapshot::open(&path).unwrap();
    let expected = images(snapshot.load::<Flex>(&device).unwrap());
    let single = snapshot.export::<Flex>(false, &device).unwrap();
    assert_eq!(single, snapshot.export::<Flex>(false, &device).unwrap());
    let file = path.join("toy.safetensors");
    std::fs::write(&file, &single).unwrap();
    let read = Snapshot::open(&file).unwrap();
    assert_eq!(images(read.load::<Flex>(&device).unwrap()), expected);
    assert_eq!(
        (read.name.as_str(), read.step, read.kind()),
        ("tiny", 7, "model")
    );
    assert_eq!(
        (read.size, &read.description),
        (Size::new(32, 32), &description())
    );
    let training = read.training().unwrap();
    assert_eq!(
        (training.images_seen, training.backend.as_str()),
        (28, "flex")
    );
    assert_eq!(training.finished.len(), "2026-11-29".len());
    let card = read.record().unwrap().card().unwrap().to_string();
    assert!(
        card.contains("7 steps") && card.contains("#280909  sky"),
        "{card}"
    );
    // A model file can be exported again.
    assert_eq!(read.export::<Flex>(false, &device).unwrap(), single);
}

/// Half precision is off by at most 2^-11 of the largest element of a tensor, in either direction; some
/// 25 layers one after another add up to 1.2 % at the worst, 3 of 255 levels, and mostly cancel out.
#[test]
fn half_precision_moves_pixels_by_a_level_or_two() {
    let (_folder, path) = run();
    let device = Default::default();
    let snapshot = Snapshot::open(&path).unwrap();
    let single = snapshot.export::<Flex>(false, &device).unwrap();
    let half = snapshot.export::<Flex>(true, &device).unwrap();
    let tensors = |bytes: &[u8]| from_safetensors_bytes(bytes, "toy").unwrap();
    let (exact, rounded) = (tensors(&single), tensors(&half));
    let mut halved = 0;
    for (name, exact) in &exact {
        let pairs = || exact.iter::<f32>().zip(rounded[name].iter::<f32>());
        let largest = pairs().fold(0f32, |a, (b, _)| a.max(b.abs()));
        let worst = pairs().fold(0f32, |a, (b, c)| a.max((b - c).abs()));
        assert!(worst <= largest / 2048.0, "{name}: {worst} of {largest}");
        let is_vector = exact.shape.as_slice().len() == 1;
        assert!(!is_vector || worst == 0.0, "{name} is a vector");
        halved += usize::from(worst > 0.0);
    }
    assert!(halved > 20, "{halved} tensors are halved");
    let exact = images(model(single).unwrap().generator::<Flex>(&device).unwrap());
    let rounded = images(model(half).unwrap().generator::<Flex>(&device).unwrap());
    let differences: Vec<u8> = exact
        .iter()
        .zip(&rounded)
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    let worst = differences.iter().max().unwrap();
    assert!(*worst <= 3, "{worst} levels");
    // Images that are all gray would pass as well.
    let spread = exact.iter().max().unwrap() - exact.iter().min().unwrap();
    assert!(spread > 30, "{spread}");
}

/// Tensors and the text beside them, taken apart and put together again.
fn rewritten(change: impl Fn(&mut StateDict, &mut Value)) -> Result<Generator<Flex>> {
    static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let (_folder, path) = run();
        let snapshot = Snapshot::open(&path).unwrap();
        snapshot.export::<Flex>(true, &Default::default()).unwrap()
    });
    let device = Default::default();
    let mut dict = from_safetensors_bytes(&WHOLE, "toy").unwrap();
    let text = safetensors_text(&WHOLE, KEY, "toy").unwrap().unwrap();
    let mut record = serde_json::from_str(&text).unwrap();
    change(&mut dict, &mut record);
    let bytes = to_safetensors_with_text(&dict, KEY, &record.to_string())?;
    model(bytes)?.generator::<Flex>(&device)
}

fn problem(change: impl Fn(&mut StateDict, &mut Value)) -> String {
    format!("{:#}", rewritten(change).unwrap_err())
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    assert!(rewritten(|_, _| ()).is_ok());
    let name = "to_image.bias";
    let message = problem(|dict, _| drop(dict.remove(name)));
    assert!(message.contains("1 missing: to_image.bias"), "{message}");
    let more = TensorData::new(vec![1f32], [1]);
    let message = problem(|dict, _| drop(dict.insert("more".to_string(), more.clone())));
    assert!(message.contains("1 unknown: more"), "{message}");
    let message = problem(|dict, _| drop(dict.insert(name.to_string(), more.clone())));
    assert!(message.contains("1 misshapen: to_image.bias"), "{message}");
    let nan = TensorData::new(vec![f32::NAN; 3], [3]);
    let message = problem(|dict, _| drop(dict.insert(name.to_string(), nan.clone())));
    assert!(message.contains("to_image.bias"), "{message}");
}

#[test]
fn a_header_that_asks_for_too_much_is_refused() {
    let set = |key: &str, value: Value| {
        problem(|_, record| {
            *record.pointer_mut(key).unwrap() = value.clone();
        })
    };
    let large = json!(usize::MAX / 2);
    for (key, value, expected) in [
        ("/format", json!(9), "format 9"),
        ("/height", json!(1 << 20), "key `height`"),
        ("/height", json!(33), "data.height"),
        (
            "/generator/base_width",
            large.clone(),
            "generator.base_width",
        ),
        (
            "/generator/base_width",
            json!(4096),
            "parameters, more than",
        ),
        (
            "/generator/mapping_width",
            large.clone(),
            "generator.mapping_width",
        ),
        ("/generator/tokens", large.clone(), "generator.tokens"),
        (
            "/generator/encoder_channels/3",
            large.clone(),
            "generator.encoder_channels",
        ),
        (
            "/generator/width_multipliers/0",
            large,
            "generator.width_multipliers",
        ),
        (
            "/generator/width_multipliers",
            json!(vec![1; 40]),
            "width_multipliers",
        ),
        ("/dataset", json!("name = 3"), "dataset"),
        ("/name", json!("\u{1b}[2J"), "is no name"),
        ("/training/backend", json!("x".repeat(9999)), "is no name"),
    ] {
        let message = set(key, value);
        assert!(message.contains(expected), "{key}: {message}");
    }
    let message = problem(|_, record| drop(record.as_object_mut().unwrap().remove("width")));
    assert!(message.contains("width"), "{message}");
    let message = problem(|_, record| record["hidden"] = json!(1));
    assert!(message.contains("hidden"), "{message}");
}

#[test]
fn what_is_no_model_is_told_so() {
    let dict = StateDict::from([("a".to_string(), TensorData::new(vec![1f32], [1]))]);
    let problem = |bytes: Vec<u8>| format!("{:#}", model(bytes).unwrap_err());
    let weights = to_safetensors_with_text(&dict, "format", "pt").unwrap();
    assert!(problem(weights).contains("dp-sims export"));
    let text = to_safetensors_with_text(&dict, KEY, "not JSON").unwrap();
    assert!(problem(text).contains("toy.safetensors holds no model"));
    for bytes in [vec![], vec![255; 100], b"<html>".to_vec()] {
        assert!(problem(bytes).contains("toy.safetensors"));
    }
    let message = Snapshot::open(Path::new("no/such/place")).unwrap_err();
    assert!(format!("{message:#}").contains("no/such/place"));
}

/// Without a model inside, its name is answered with what to do.
#[test]
fn the_model_inside_is_there_or_missed_by_name() {
    match Snapshot::open(Path::new(BUILT_IN)) {
        Ok(snapshot) => {
            snapshot.load::<Flex>(&Default::default()).unwrap();
            assert_eq!(snapshot.kind(), "model");
        }
        Err(error) => assert!(error.to_string().contains("--checkpoint"), "{error}"),
    }
}
