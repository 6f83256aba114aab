//! A thin network against transformers, and its scores against the rule of the original project:
//! `tests/reference/mask2former.py` made the fixtures.

use std::path::PathBuf;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use dp_sims_model::backbones::WeightSource;
use dp_sims_model::backend_tests;
use dp_sims_model::testing::{formula_image, relative_error, values};
use dp_sims_model::weights::{StateDict, read_weights};

use super::Mask2Former;
use super::semantic::normalised;
use super::tests::{thin, thin_dict};

/// Distance of the values that are compared.
const STEP: usize = 13;
const TOLERANCE: f32 = 1e-4;

pub(super) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/evaluators")
        .join(name)
}

fn network<B: Backend>(masks_first: bool) -> Mask2Former<B> {
    let source = WeightSource::State(thin_dict(), "thin".to_string());
    let config = thin().with_masks_first(masks_first);
    config.load(source, &Default::default()).unwrap()
}

/// The picture of the script, in [0, 1].
fn image<B: Backend>([height, width]: [usize; 2], phase: f64) -> Tensor<B, 4> {
    let data = formula_image(height, width, phase);
    (Tensor::from_data(data, &Default::default()) + 1.0) / 2.0
}

fn agrees<B: Backend, const D: usize>(actual: Tensor<B, D>, reference: &StateDict, key: &str) {
    let subset: Vec<f32> = values(actual).into_iter().step_by(STEP).collect();
    let error = relative_error(&subset, reference[key].as_slice().unwrap());
    println!("{key}: relative error {error:.1e}");
    assert!(error < TOLERANCE, "{key}: {error}");
}

fn phase(reference: &StateDict, key: &str) -> f64 {
    f64::from(reference[key].as_slice::<f32>().unwrap()[0])
}

/// Every stage of the backbone, every map of the pixel decoder, and the output.
fn matches_transformers<B: Backend>(images: Tensor<B, 4>, reference: &StateDict, case: &str) {
    let network = network::<B>(false);
    let module = &network.model.pixel_level_module;
    let stages = module.encoder.forward(normalised(images.clone()));
    for (index, stage) in stages.iter().enumerate() {
        agrees(stage.clone(), reference, &format!("{case}.stage{index}"));
    }
    let features = module.decoder.forward(stages);
    for (index, level) in features.levels.iter().enumerate() {
        let map = level.clone().swap_dims(1, 2);
        agrees(map, reference, &format!("{case}.level{index}"));
    }
    agrees(
        features.mask_features,
        reference,
        &format!("{case}.mask_features"),
    );
    let sides = [2, 3].map(|axis| images.dims()[axis].div_ceil(4));
    let batch = images.dims()[0];
    let (classes, masks) = network.forward(images);
    assert_eq!(classes.dims(), [batch, 10, 8]);
    assert_eq!(masks.dims(), [batch, 10, sides[0], sides[1]]);
    agrees(classes, reference, &format!("{case}.classes"));
    agrees(masks, reference, &format!("{case}.masks"));
}

fn two_images_agree_with_transformers<B: AutodiffBackend>() {
    let reference = read_weights(&fixture("mask2former.safetensors")).unwrap();
    let phase = phase(&reference, "even.phase");
    let pair = [phase, phase + 0.4].map(|phase| image::<B::InnerBackend>([64, 96], phase));
    matches_transformers(Tensor::cat(pair.to_vec(), 0), &reference, "even");
}

fn an_image_of_odd_size_agrees_with_transformers<B: AutodiffBackend>() {
    let reference = read_weights(&fixture("mask2former.safetensors")).unwrap();
    let image = image::<B::InnerBackend>([70, 90], phase(&reference, "odd.phase"));
    matches_transformers(image, &reference, "odd");
}

fn scores_follow_the_original_project<B: AutodiffBackend>() {
    let reference = read_weights(&fixture("mask2former.safetensors")).unwrap();
    let image = image::<B::InnerBackend>([70, 90], phase(&reference, "odd.phase"));
    let size = [35, 48];
    let mut found = Vec::new();
    for masks_first in [false, true] {
        let network = network::<B::InnerBackend>(masks_first);
        let scores = network.semantic(image.clone(), size);
        assert_eq!(scores.dims(), [1, 7, size[0], size[1]]);
        let key = format!("odd.scores{}", u8::from(masks_first));
        agrees(scores.clone(), &reference, &key);

        // Two images at once, of which the first is another one.
        let pair = Tensor::cat(vec![image.clone().flip([3]), image.clone()], 0);
        let classes = network.predict(pair, size);
        assert_eq!(classes.dims(), [2, size[0], size[1]]);
        let classes = classes.narrow(0, 1, 1).into_data().convert::<i32>();
        let scores = values(scores);
        let pixels = size[0] * size[1];
        for (pixel, &class) in classes.as_slice::<i32>().unwrap().iter().enumerate() {
            let of = |class: usize| scores[class * pixels + pixel];
            let largest = (0..7).map(of).fold(0.0, f32::max);
            assert!(of(class as usize) >= largest - 1e-5, "pixel {pixel}");
        }
        found.push(scores);
    }
    // The order of resizing matters by more than what the comparison allows.
    assert!(relative_error(&found[0], &found[1]) > 10.0 * TOLERANCE);
}

/// Each tensor that is joined, split or used only at one place moves the output.
fn the_comparison_sees_a_wrong_tensor<B: AutodiffBackend>() {
    let images = image::<B::InnerBackend>([64, 96], 0.0);
    let output = |dict: StateDict| {
        let source = WeightSource::State(dict, "thin".to_string());
        let network: Mask2Former<B::InnerBackend> =
            thin().load(source, &Default::default()).unwrap();
        values(network.forward(images.clone()).1)
    };
    let right = output(thin_dict());
    for name in [
        "model.pixel_level_module.encoder.encoder.layers.3.blocks.1.attention.self.query.bias",
        "model.pixel_level_module.decoder.encoder.layers.0.self_attn.sampling_offsets.bias",
        "model.pixel_level_module.decoder.level_embed",
        "model.transformer_module.decoder.layers.1.cross_attn.in_proj_weight",
        "model.transformer_module.queries_embedder.weight",
    ] {
        let mut dict = thin_dict();
        let data = &dict[name];
        let mut changed: Vec<f32> = data.to_vec().unwrap();
        changed.reverse();
        let changed = TensorData::new(changed, data.shape.clone());
        dict.insert(name.to_string(), changed);
        let error = relative_error(&output(dict), &right);
        assert!(error > 10.0 * TOLERANCE, "{name}: {error}");
    }
}

backend_tests!(
    two_images_agree_with_transformers,
    an_image_of_odd_size_agrees_with_transformers,
    scores_follow_the_original_project,
);

/// On one backend: it runs the network six times.
#[test]
fn the_comparison_can_fail() {
    the_comparison_sees_a_wrong_tensor::<dp_sims_backends::FlexAutodiff>();
}
