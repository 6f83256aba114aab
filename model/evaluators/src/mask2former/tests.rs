//! Names and shapes of the published networks, and what is said about files that do not fit.

use std::collections::BTreeMap;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Bytes, DType, Shape, TensorData};
use dp_sims_model::backbones::{SwinConfig, WindowFit};
use dp_sims_model::init::InitRng;
use dp_sims_model::testing::formula_dict;
use dp_sims_model::weights::StateDict;

use super::parity::fixture;
use super::*;

type Flex = <dp_sims_backends::FlexAutodiff as AutodiffBackend>::InnerBackend;

/// The thin network of the script.
pub(super) fn thin() -> Mask2FormerConfig {
    let swin = SwinConfig::new([2, 1, 2, 2], 24, [1, 2, 4, 8]);
    Mask2FormerConfig::new(10, 7)
        .with_swin(swin.with_window(5).with_fit(WindowFit::Pad))
        .with_hidden(64)
        .with_mask_features(20)
        .with_heads(4)
        .with_encoder_layers(2)
        .with_encoder_feedforward(48)
        .with_decoder_layers(4)
        .with_decoder_feedforward(40)
}

/// Its weights: see `weight` of the script for the two that are scaled.
pub(super) fn thin_dict() -> StateDict {
    let listing = std::fs::read_to_string(fixture("mask2former.json")).unwrap();
    let scaled = |(name, data): (String, TensorData)| {
        let factor = match name.as_str() {
            "model.pixel_level_module.decoder.mask_projection.bias" => 10.0,
            _ if name.contains(".queries_") => 6.0,
            _ => 1.0,
        };
        let values: Vec<f32> = data.iter::<f32>().map(|value| factor * value).collect();
        (name, TensorData::new(values, data.shape))
    };
    formula_dict(&listing).into_iter().map(scaled).collect()
}

fn source(dict: StateDict) -> WeightSource {
    WeightSource::State(dict, "file.bin".to_string())
}

type Listing = BTreeMap<String, Vec<usize>>;

/// Tensors of the published network `name`, by the configurations of transformers.
fn published(name: &str) -> Listing {
    let text = std::fs::read_to_string(fixture("mask2former_swin_large.json")).unwrap();
    let lists: BTreeMap<String, Vec<(String, Vec<usize>)>> = serde_json::from_str(&text).unwrap();
    let own = lists["shared"].iter().chain(&lists[name]);
    own.cloned().collect()
}

/// A tensor that has a shape and no values.
fn hollow(shape: &[usize]) -> TensorData {
    TensorData {
        bytes: Bytes::from_elems(Vec::<f32>::new()),
        shape: Shape::from(shape.to_vec()),
        dtype: DType::F32,
    }
}

#[test]
fn the_published_networks_have_the_tensors_of_their_configuration() {
    for (kind, name) in
        Mask2FormerKind::all().zip(["ade-semantic", "cityscapes-semantic", "coco-panoptic"])
    {
        assert!(kind.info().repository.ends_with(name));
        let listing = published(name);
        let tensors = listing.iter();
        let dict: StateDict = tensors
            .map(|(name, shape)| (name.clone(), hollow(shape)))
            .collect();
        let config = Mask2FormerConfig::of_shapes(&dict, name).unwrap();
        assert_eq!(config.to_string(), kind.config().to_string());
        let network = config.init::<Flex>(&mut InitRng::unset(), &Default::default());
        let checked = names::keys(&config).checked(&network, dict, name);
        assert!(checked.is_ok(), "{}", checked.unwrap_err());
    }
}

#[test]
fn the_size_of_a_network_is_read_from_its_tensors() {
    let config = Mask2FormerConfig::of_shapes(&thin_dict(), "thin").unwrap();
    assert_eq!(config.to_string(), thin().to_string());
}

#[test]
fn tensors_that_only_training_or_other_versions_need_are_left_out() {
    let mut dict = thin_dict();
    assert!(dict.contains_key("criterion.empty_weight"));
    let block = "model.pixel_level_module.encoder.encoder.layers.0.blocks.0.";
    let norm = "model.pixel_level_module.encoder.swin.layernorm.";
    for name in [
        format!("{block}attention.self.relative_position_index"),
        format!("{norm}weight"),
        format!("{norm}bias"),
    ] {
        dict.insert(name, TensorData::new(vec![0f32; 2], [2]));
    }
    assert!(
        thin()
            .load::<Flex>(source(dict), &Default::default())
            .is_ok()
    );
}

/// What loading says where one tensor was changed.
fn error_of(change: impl FnOnce(&mut StateDict)) -> String {
    let mut dict = thin_dict();
    change(&mut dict);
    let loaded = thin().load::<Flex>(source(dict), &Default::default());
    loaded.unwrap_err().to_string()
}

fn one() -> TensorData {
    TensorData::new(vec![0f32], [1])
}

#[test]
fn wrong_tensors_are_named() {
    let query = "model.pixel_level_module.encoder.encoder.layers.2.blocks.1.attention.self.query.";
    let joined = "model.pixel_level_module.encoder.swin.layers.2.blocks.1.attn.query.";
    let in_proj = "model.transformer_module.decoder.layers.3.cross_attn.in_proj_weight";
    for (name, reported) in [
        (format!("{query}weight"), format!("{joined}weight")),
        (format!("{query}bias"), format!("{joined}bias")),
        (in_proj.to_string(), in_proj.to_string()),
        (
            "class_predictor.bias".to_string(),
            "class_predictor.bias".to_string(),
        ),
    ] {
        let text = error_of(|dict| assert!(dict.remove(&name).is_some()));
        assert!(text.contains("file.bin does not fit mask2former"), "{text}");
        assert!(text.contains(&format!("missing: {reported}")), "{text}");
        let text = error_of(|dict| assert!(dict.insert(name, one()).is_some()));
        assert!(
            text.contains(&format!("misshapen: {reported} (expected")),
            "{text}"
        );
    }
    let stray = "model.pixel_level_module.encoder.encoder.layers.0.blocks.2.layernorm_before.bias";
    let text = error_of(|dict| assert!(dict.insert(stray.to_string(), one()).is_none()));
    let unknown = "unknown: model.pixel_level_module.encoder.swin.layers.0.blocks.2.norm1.bias";
    assert!(text.contains(unknown), "{text}");
    let text = error_of(|dict| assert!(dict.insert("extra".to_string(), one()).is_none()));
    assert!(text.contains("1 unknown: extra"), "{text}");
}

#[test]
fn sizes_that_fit_no_network_are_refused() {
    let load = |dict: StateDict| {
        let loaded = Mask2Former::<Flex>::load(source(dict), &Default::default());
        loaded.unwrap_err().to_string()
    };
    let text = load(thin_dict());
    assert!(text.contains("it tells 7 classes apart"), "{text}");
    assert!(
        text.contains("150 (facebook/mask2former-swin-large-ade-semantic)"),
        "{text}"
    );

    let offsets =
        "model.pixel_level_module.decoder.encoder.layers.0.self_attn.sampling_offsets.weight";
    let table = "model.pixel_level_module.encoder.encoder.layers.3.blocks.0.attention.self.\
                 relative_position_bias_table";
    let queries = "model.transformer_module.queries_embedder.weight";
    for (name, shape, part) in [
        (
            "class_predictor.weight",
            vec![8],
            "has shape [8], expected 2 axes",
        ),
        ("class_predictor.weight", vec![1, 64], "has one row"),
        (queries, vec![0, 64], "has shape [0, 64]"),
        (
            queries,
            vec![10, 40],
            "40 channels cannot be shared by 32 groups",
        ),
        (
            offsets,
            vec![100, 64],
            "has 100 rows, expected 24 for each head",
        ),
        (
            table,
            vec![82, 8],
            "has 82 rows, which is no odd number squared",
        ),
        (
            table,
            vec![81, 7],
            "192 channels cannot be shared by 7 heads of Swin's stage 4",
        ),
    ] {
        let mut dict = thin_dict();
        assert!(dict.insert(name.to_string(), hollow(&shape)).is_some());
        let text = load(dict);
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let text = load(StateDict::new());
    assert!(
        text.contains("1 missing: model.pixel_level_module.encoder.embeddings"),
        "{text}"
    );
    let random = WeightSource::Random { seed: 1 };
    let loaded = Mask2Former::<Flex>::load(random, &Default::default());
    assert!(
        loaded
            .unwrap_err()
            .to_string()
            .contains("Mask2FormerConfig")
    );
}

#[test]
fn random_weights_make_a_network() {
    let random = WeightSource::Random { seed: 1 };
    let network: Mask2Former<Flex> = thin().load(random, &Default::default()).unwrap();
    assert_eq!(network.classes(), 7);
    let (classes, masks) = network.forward(Tensor::ones([1, 3, 33, 30], &Default::default()));
    assert_eq!((classes.dims(), masks.dims()), ([1, 10, 8], [1, 10, 9, 8]));
    let values = masks.into_data().to_vec::<f32>().unwrap();
    assert!(values.iter().all(|value| value.is_finite()));
}
