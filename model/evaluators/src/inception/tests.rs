//! Against pytorch-fid and torch-fidelity: `tests/reference/inception.py` made the fixtures.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::TensorData;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::backend_tests;
use dp_sims_model::testing::{formula_dict, formula_image, relative_error};
use dp_sims_model::weights::{StateDict, read_weights};

use super::*;

type Flex = dp_sims_backends::cpu::Cpu;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/evaluators")
        .join(name)
}

fn reference() -> StateDict {
    read_weights(&fixture("inception.safetensors")).unwrap()
}

/// Formula weights with the stored statistics of the network called `name`.
fn weights(name: &str, listing: &str, reference: &StateDict) -> StateDict {
    let mut dict = formula_dict(&std::fs::read_to_string(fixture(listing)).unwrap());
    let prefix = format!("{name}.");
    for (key, data) in reference {
        if let Some(key) = key.strip_prefix(&prefix) {
            assert!(
                dict.insert(key.to_string(), data.clone()).is_some(),
                "{key}"
            );
        }
    }
    dict
}

fn thin_weights() -> StateDict {
    weights("thin", "inception_thin.json", &reference())
}

fn thin<B: Backend>(dict: StateDict) -> Result<FidInception<B>, WeightsError> {
    let config = InceptionConfig::new().with_narrowing(16);
    let source = WeightSource::State(dict, "thin.pth".to_string());
    config.load(source, &Default::default())
}

/// The pictures of the script, `[phases, 3, height, width]` in [0, 1].
fn pictures<B: Backend>(height: usize, width: usize, phases: &[f64]) -> Tensor<B, 4> {
    let pictures = phases.iter().map(|&phase| {
        let picture = formula_image(height, width, phase);
        Tensor::<B, 4>::from_data(picture, &Default::default())
    });
    Tensor::cat(pictures.collect(), 0) * 0.5 + 0.5
}

fn compare<B: Backend>(features: Tensor<B, 2>, expected: &TensorData, what: &str) {
    assert_eq!(features.dims().as_slice(), expected.shape.as_slice());
    let features: Vec<f32> = features.into_data().to_vec().unwrap();
    let error = relative_error(&features, expected.as_slice().unwrap());
    println!("{what}: relative error {error:.1e}");
    assert!(error <= 1e-4, "{what}: {error}");
}

fn compare_sizes<B: Backend>(network: &FidInception<B>, name: &str, reference: &StateDict) {
    for (height, width) in [(64, 96), (330, 200)] {
        let features = network.forward(pictures(height, width, &[0.0, 1.7]));
        let what = format!("features.{name}.{height}x{width}");
        compare(features, &reference[&what], &what);
    }
}

fn a_thin_network_agrees_with_pytorch_fid<B: AutodiffBackend>() {
    let network = thin::<B::InnerBackend>(thin_weights()).unwrap();
    compare_sizes(&network, "thin", &reference());
}

fn the_network_agrees_with_pytorch_fid_and_torch_fidelity<B: AutodiffBackend>() {
    let reference = reference();
    let dict = weights("full", "inception.json", &reference);
    let source = WeightSource::State(dict, "full.pth".to_string());
    let network = FidInception::<B::InnerBackend>::load(source, &Default::default()).unwrap();
    compare_sizes(&network, "full", &reference);

    // torch-fidelity reads 8-bit values u as (u - 128) / 128, which is 2 x - 1 at x = u / 256.
    let bytes = (pictures(299, 299, &[0.0]) * 255.0).round();
    let features = network.forward(bytes / 256.0);
    let what = "features.fidelity.299x299";
    compare(features, &reference[what], what);
}

/// The published file may carry classifiers and counters; everything else has to fit.
#[test]
fn tensors_that_do_not_fit_are_named() {
    let reject = |dict: StateDict, names: &[&str]| {
        let text = thin::<Flex>(dict).unwrap_err().to_string();
        for name in names.iter().chain(&["thin.pth", NAME]) {
            assert!(text.contains(name), "{name} is not in: {text}");
        }
    };
    let one = || TensorData::new(vec![1f32], [1]);
    let mut dict = thin_weights();
    dict.insert("AuxLogits.conv0.conv.weight".into(), one());
    dict.insert("Mixed_5b.branch1x1.bn.num_batches_tracked".into(), one());
    dict.insert("fc.more".into(), one());
    thin::<Flex>(dict.clone()).unwrap();

    let name = "Mixed_7c.branch3x3dbl_3b.conv.weight";
    let mut missing = dict.clone();
    missing.remove(name);
    reject(missing, &["1 missing", name]);
    let mut misshapen = dict.clone();
    let data = misshapen.remove(name).unwrap();
    let [output, input, height, width] = data.shape.as_slice().try_into().unwrap();
    let turned = TensorData::new(
        data.to_vec::<f32>().unwrap(),
        [output, input, width, height],
    );
    misshapen.insert(name.into(), turned);
    reject(misshapen, &["1 misshapen", name]);
    let statistics = "Conv2d_1a_3x3.bn.running_var";
    let mut misshapen = dict.clone();
    misshapen.insert(statistics.into(), one());
    reject(misshapen, &["1 misshapen", statistics]);
    let mut unused = dict.clone();
    unused.insert("Mixed_8a.conv.weight".into(), one());
    reject(unused, &["1 unknown", "Mixed_8a.conv.weight"]);
    // A network of another width.
    let mut missing = dict;
    missing.retain(|name, _| !name.starts_with("Mixed_6e.branch_pool."));
    reject(
        missing,
        &["5 missing", "Mixed_6e.branch_pool.bn.running_mean"],
    );
}

/// One image alone and in a batch, and an image of a single pixel, which is the same everywhere.
fn images_do_not_see_each_other<B: AutodiffBackend>() {
    let network = thin::<B::InnerBackend>(thin_weights()).unwrap();
    let both = pictures(40, 30, &[0.3, 2.9]);
    let together = network.forward(both.clone());
    let alone = network.forward(both.narrow(0, 1, 1)).into_data();
    compare(together.narrow(0, 1, 1), &alone, "in a batch and alone");
    let pixel = network.forward(Tensor::full([1, 3, 1, 1], 0.3, &Default::default()));
    let plain = Tensor::full([1, 3, 299, 299], 0.3, &Default::default());
    compare(pixel, &network.forward(plain).into_data(), "one pixel");
}

backend_tests!(
    a_thin_network_agrees_with_pytorch_fid,
    images_do_not_see_each_other;
    without ndarray: the_network_agrees_with_pytorch_fid_and_torch_fidelity
);

/// Prints images per second; `tests/bench/inception_speed.py` prints those of pytorch-fid.
#[test]
#[ignore = "a measurement, not a test"]
fn speed() {
    let source = WeightSource::Random { seed: 1 };
    let network = FidInception::<Flex>::load(source, &Default::default()).unwrap();
    for batch in [1, 2, 4, 8, 16] {
        let images = pictures::<Flex>(299, 299, &[0.7]).repeat_dim(0, batch);
        let mut best = f64::INFINITY;
        for _ in 0..64 / batch {
            let start = Instant::now();
            let features = network.forward(images.clone()).into_data();
            best = best.min(start.elapsed().as_secs_f64());
            assert_eq!(features.shape.as_slice(), [batch, INCEPTION_FEATURES]);
        }
        let speed = batch as f64 / best;
        println!("{speed:.2} images/s at batch {batch}, 299 x 299");
    }
}
