//! Against the package of the authors: `tests/reference/lpips_distance.py` made the fixture.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::TensorData;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::backend_tests;
use dp_sims_model::init::InitRng;
use dp_sims_model::testing::{formula, formula_image, relative_error, values};
use dp_sims_model::weights::StateDict;
use serde::Deserialize;

use super::*;

type Flex = dp_sims_backends::cpu::Cpu;
type NdArray = <dp_sims_backends::NdArrayAutodiff as AutodiffBackend>::InnerBackend;

const PHASES: [f64; 4] = [0.0, 0.4, 1.7, 4.0];

#[derive(Deserialize)]
struct Reference {
    trunk: Vec<(String, Vec<usize>)>,
    /// By image size: the distance of every pair of images at every tap.
    distances: BTreeMap<String, Vec<Vec<f64>>>,
}

fn reference(trunk: LpipsTrunk) -> Reference {
    let path = "../../tests/fixtures/evaluators/lpips.json";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(path).unwrap();
    let mut references: BTreeMap<String, Reference> = serde_json::from_str(&text).unwrap();
    let name = match trunk {
        LpipsTrunk::Vgg => "vgg",
        LpipsTrunk::AlexNet => "alex",
    };
    references.remove(name).unwrap()
}

/// The formula at the gain of He et al., as in the script.
fn trunk_weights(reference: &Reference) -> StateDict {
    let tensor = |(name, shape): &(String, Vec<usize>)| {
        let data = formula(name, shape);
        if shape.len() < 4 {
            return (name.clone(), data);
        }
        let gain = (4.0f64 / 3.0).sqrt() as f32;
        let values: Vec<f32> = data.iter::<f32>().map(|value| value * gain).collect();
        (name.clone(), TensorData::new(values, shape.clone()))
    };
    reference.trunk.iter().map(tensor).collect()
}

fn load<B: Backend>(
    trunk: LpipsTrunk,
    weights: StateDict,
    heads: StateDict,
) -> Result<Lpips<B>, WeightsError> {
    let weights = WeightSource::State(weights, "trunk.pth".to_string());
    let heads = WeightSource::State(heads, "heads.pth".to_string());
    Lpips::load(trunk, weights, heads, &Default::default())
}

fn heads(trunk: LpipsTrunk) -> StateDict {
    match trunk.heads().unwrap() {
        WeightSource::State(dict, _) => dict,
        WeightSource::Random { .. } => panic!("the published heads are not random"),
    }
}

/// Two cosines: the distance without trained heads is 2 - 2 cos of the angle between feature vectors.
#[test]
fn even_heads_average_over_positions_and_taps() {
    let trunk = LpipsTrunk::Vgg;
    let reference = reference(trunk);
    let WeightSource::State(even, _) = trunk.even_heads() else {
        panic!("even heads are not random")
    };
    let lpips = load::<Flex>(trunk, trunk_weights(&reference), even).unwrap();
    let images = pictures(32, 48, &PHASES[..2]);
    let found = lpips.features(images.clone());
    let [one, other] = [0, 1].map(|index| image(&found, index, 0..5));
    let found = values(lpips.distance(&one, &other))[0];

    let device = Default::default();
    let channels = |values| Tensor::<Flex, 1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
    let taps = lpips
        .network
        .forward((images - channels(SHIFT)) / channels(SCALE));
    let distances = taps.into_iter().map(|tap| {
        let [_, channels, height, width] = tap.dims();
        let values: Vec<f32> = tap.into_data().to_vec().unwrap();
        let at = |image: usize, channel: usize, place: usize| {
            f64::from(values[(image * channels + channel) * height * width + place])
        };
        let sum = |place: usize, first: usize, second: usize| {
            let products = (0..channels).map(|c| at(first, c, place) * at(second, c, place));
            products.sum::<f64>()
        };
        let places = (0..height * width).map(|place| {
            let norms = (sum(place, 0, 0) * sum(place, 1, 1)).sqrt();
            2.0 - 2.0 * sum(place, 0, 1) / norms
        });
        places.sum::<f64>() / (height * width) as f64
    });
    let expected = distances.sum::<f64>() / 5.0;
    // f32 vectors of length one: each squared difference is off by some 1e-7.
    assert!(expected > 1e-3, "{expected}");
    assert!(
        (f64::from(found) - expected).abs() < 1e-5,
        "{found} {expected}"
    );
}

fn pictures<B: Backend>(height: usize, width: usize, phases: &[f64]) -> Tensor<B, 4> {
    let pictures = phases.iter().map(|&phase| {
        let picture = formula_image(height, width, phase);
        Tensor::<B, 4>::from_data(picture, &Default::default())
    });
    Tensor::cat(pictures.collect(), 0)
}

/// Image `index` of a batch, and of its maps only those of `taps`.
fn image<B: Backend>(
    features: &LpipsFeatures<B>,
    index: usize,
    taps: std::ops::Range<usize>,
) -> LpipsFeatures<B> {
    let maps = features.maps()[taps].iter();
    LpipsFeatures::new(maps.map(|map| map.clone().narrow(0, index, 1)).collect())
}

fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |i| (i + 1..count).map(move |j| (i, j)))
}

/// `images` is how many pictures are compared, of the four in the fixture.
fn agrees_with_the_package<B: Backend>(trunk: LpipsTrunk, images: usize) {
    let reference = reference(trunk);
    let lpips = load::<B>(trunk, trunk_weights(&reference), heads(trunk)).unwrap();
    for (size, expected) in &reference.distances {
        let (height, width) = size.split_once('x').unwrap();
        let [height, width] = [height, width].map(|length| length.parse().unwrap());
        let features = lpips.features(pictures(height, width, &PHASES[..images]));
        let mut worst = 0f32;
        let mut totals = Vec::new();
        for ((i, j), taps) in pairs(PHASES.len()).zip(expected) {
            if j >= images {
                continue;
            }
            for (tap, &expected) in taps.iter().enumerate() {
                let one = |index| image(&features, index, tap..tap + 1);
                let distance = values(lpips.distance(&one(i), &one(j)));
                worst = worst.max(relative_error(&distance, &[expected as f32]));
            }
            let one = |index| image(&features, index, 0..5);
            let distance = values(lpips.distance(&one(i), &one(j)));
            totals.push(taps.iter().sum::<f64>());
            worst = worst.max(relative_error(
                &distance,
                &[totals[totals.len() - 1] as f32],
            ));
        }
        println!("{trunk:?} {size}: relative error of a distance {worst:.1e}");
        assert!(worst <= 1e-4, "{trunk:?} {size}: {worst}");

        let mean = totals.iter().sum::<f64>() / totals.len() as f64;
        let found = values(lpips.pairwise(&[features]).unwrap());
        let error = relative_error(&found, &[mean as f32]);
        println!("{trunk:?} {size}: relative error of the mean {error:.1e}");
        assert!(error <= 1e-4, "{trunk:?} {size}: {error}");
    }
}

fn vgg_agrees_with_the_package<B: AutodiffBackend>() {
    agrees_with_the_package::<B::InnerBackend>(LpipsTrunk::Vgg, 4);
}

fn alexnet_agrees_with_the_package<B: AutodiffBackend>() {
    agrees_with_the_package::<B::InnerBackend>(LpipsTrunk::AlexNet, 4);
}

/// Two pictures, because convolutions are slow there.
#[test]
fn alexnet_on_ndarray_agrees_with_the_package() {
    agrees_with_the_package::<NdArray>(LpipsTrunk::AlexNet, 2);
}

/// The mean distance of all pairs in f64, from the features in f32.
fn slow_pairwise<B: Backend>(features: &[LpipsFeatures<B>]) -> f64 {
    let taps = features[0].maps().len();
    let images: Vec<Vec<f64>> = features
        .iter()
        .flat_map(|batch| (0..batch.images()).map(move |index| image(batch, index, 0..taps)))
        .map(|image| {
            let maps = image.maps().iter();
            maps.flat_map(|map| map.to_data().to_vec::<f32>().unwrap())
                .map(f64::from)
                .collect()
        })
        .collect();
    let distance = |(i, j): (usize, usize)| -> f64 {
        let terms = images[i].iter().zip(&images[j]);
        terms.map(|(a, b)| (a - b).powi(2)).sum()
    };
    let count = images.len();
    pairs(count).map(distance).sum::<f64>() / (count * (count - 1) / 2) as f64
}

/// Also where samples differ by a ten-thousandth of their size, and in batches of any size.
fn pairwise_is_the_mean_of_all_pairs<B: AutodiffBackend>() {
    let rng = &mut InitRng::new(3, "samples");
    let mut noise = |shape: [usize; 4]| -> Tensor<B::InnerBackend, 4> {
        rng.normal(shape, 0.1, &Default::default()).val()
    };
    let sizes = [[8, 20, 16], [12, 5, 4]];
    let common = sizes.map(|[channels, height, width]| noise([1, channels, height, width]));
    for spread in [1.0, 1e-2, 1e-4] {
        let batches = [4, 1, 2].map(|count| {
            let maps = common.iter().map(|map| {
                let [_, channels, height, width] = map.dims();
                map.clone() + noise([count, channels, height, width]) * spread
            });
            LpipsFeatures::new(maps.collect())
        });
        let expected = slow_pairwise(&batches) as f32;
        let found = values(LpipsFeatures::pairwise(&batches).unwrap());
        let error = relative_error(&found, &[expected]);
        println!("spread {spread}: {expected:.1e}, relative error {error:.1e}");
        assert!(error <= 1e-5, "spread {spread}: {error}");
    }
    let one = LpipsFeatures::new(common.to_vec());
    assert!(LpipsFeatures::pairwise(std::slice::from_ref(&one)).is_none());
    assert!(LpipsFeatures::<B::InnerBackend>::pairwise(&[]).is_none());
    let same = [one.clone(), one.clone(), one.clone()];
    assert!(values(LpipsFeatures::pairwise(&same).unwrap())[0] < 1e-12);
    assert_eq!(values(one.distance(&one)), [0.0]);
}

/// An image that is zero after normalisation has feature vectors of zeros in a trunk without bias,
/// as that of random weights is: they have no direction.
#[test]
fn distances_are_finite_at_the_smallest_size() {
    for trunk in LpipsTrunk::all() {
        let weights = WeightSource::Random { seed: 1 };
        let heads = trunk.heads().unwrap();
        let lpips = Lpips::<Flex>::load(trunk, weights, heads, &Default::default()).unwrap();
        let size = trunk.min_size();
        let black = Tensor::zeros([1, 3, size, size], &Default::default());
        let [shift, scale] = [SHIFT, SCALE].map(Tensor::<Flex, 1>::from);
        let black = black * scale.reshape([1, 3, 1, 1]) + shift.reshape([1, 3, 1, 1]);
        let [black, picture] =
            [black, pictures(size, size, &[0.0])].map(|images| lpips.features(images));
        let last = picture.maps()[4].dims();
        assert_eq!(last, [1, trunk.channels()[4], 1, 1], "{trunk:?}");
        let distance = values(lpips.distance(&black, &picture))[0];
        assert!(
            distance.is_finite() && distance > 0.0,
            "{trunk:?}: {distance}"
        );
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let trunk = LpipsTrunk::AlexNet;
    let weights = trunk_weights(&reference(trunk));
    let reject = |weights: &StateDict, heads: &StateDict, parts: &[&str]| {
        let error = load::<Flex>(trunk, weights.clone(), heads.clone()).unwrap_err();
        let text = error.to_string();
        for part in parts {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    };
    let changed = |dict: &StateDict, name: &str, data: Option<TensorData>| {
        let mut dict = dict.clone();
        match data {
            Some(data) => dict.insert(name.to_string(), data),
            None => dict.remove(name),
        };
        dict
    };
    let one = || Some(TensorData::new(vec![1f32], [1]));
    let good = heads(trunk);
    let whole = changed(&weights, "classifier.1.weight", one());
    load::<Flex>(trunk, whole, good.clone()).unwrap();

    let name = "features.8.bias";
    let file = "trunk.pth does not fit LPIPS with AlexNet";
    reject(
        &changed(&weights, name, None),
        &good,
        &[file, "1 missing", name],
    );
    reject(
        &changed(&weights, name, one()),
        &good,
        &[file, "1 misshapen", name],
    );
    let other = "features.12.weight";
    reject(
        &changed(&weights, other, one()),
        &good,
        &[file, "1 unknown", other],
    );

    let name = "lin3.model.1.weight";
    let file = "heads.pth does not fit the heads of LPIPS with AlexNet";
    reject(
        &weights,
        &changed(&good, name, None),
        &[file, "1 missing", name],
    );
    reject(
        &weights,
        &changed(&good, name, one()),
        &[file, "1 misshapen", name],
    );
    let other = "lin5.model.1.weight";
    reject(
        &weights,
        &changed(&good, other, one()),
        &[file, "1 unknown", other],
    );
    reject(&weights, &heads(LpipsTrunk::Vgg), &[file, "4 misshapen"]);
    let mut values = good[name].to_vec::<f32>().unwrap();
    values[7] = -0.5;
    let negative = TensorData::new(values, good[name].shape.clone());
    let bad = changed(&good, name, Some(negative));
    reject(&weights, &bad, &["heads.pth", name, "-0.5"]);
}

backend_tests!(
    pairwise_is_the_mean_of_all_pairs;
    without ndarray: vgg_agrees_with_the_package, alexnet_agrees_with_the_package
);
