//! Names and shapes of the published files, and what is said about files that do not fit.

use std::collections::BTreeMap;

use dp_sims_model::init::InitRng;
use dp_sims_model::weights::state_dict;

use super::*;

type Flex = <dp_sims_backends::FlexAutodiff as AutodiffBackend>::InnerBackend;

/// Names and shapes in a listing of the script.
fn published(listing: &Value) -> BTreeMap<String, Vec<usize>> {
    let listing: Vec<(String, Vec<usize>)> = serde_json::from_value(listing.clone()).unwrap();
    listing.into_iter().collect()
}

#[test]
fn networks_of_full_size_have_the_published_names_and_shapes() {
    let full = &record()["full"];
    let (rng, device) = (&mut InitRng::unset(), &Default::default());

    let config = DeepLabConfig::new();
    let network = config.init::<Flex>(rng, device);
    let found = config.keys("").file_shapes(&network);
    assert_eq!(found, published(&full["deeplab"]));

    let config = DrnConfig::new();
    let network = config.init::<Flex>(rng, device);
    let found = config.keys("").file_shapes(&network);
    assert_eq!(found, published(&full["drn"]));

    let config = UperNetConfig::new();
    let network = config.init::<Flex>(rng, device);
    let encoder = config.encoder_keys("").file_shapes(&network.encoder);
    let decoder = config.decoder_keys("").file_shapes(&network.decoder);
    let under = |prefix: &str, file: BTreeMap<String, Vec<usize>>| -> Vec<_> {
        let tensors = file.into_iter();
        tensors
            .map(|(name, shape)| (format!("{prefix}{name}"), shape))
            .collect()
    };
    let found = [under("encoder.", encoder), under("decoder.", decoder)].concat();
    assert_eq!(BTreeMap::from_iter(found), published(&full["upernet"]));
}

/// Zeros in the shapes of a published file.
fn zeros(listing: &Value) -> StateDict {
    let tensors = published(listing).into_iter();
    tensors
        .map(|(name, shape)| (name, TensorData::zeros::<f32, _>(shape)))
        .collect()
}

/// Zeros under the names of `DataParallel`, with the counter of a batch norm.
#[test]
fn a_file_of_full_size_is_loaded() {
    let mut dict: StateDict = zeros(&record()["full"]["drn"])
        .into_iter()
        .map(|(name, data)| (format!("module.{name}"), data))
        .collect();
    let counter = TensorData::zeros::<f32, _>([1]);
    dict.insert("module.base.0.1.num_batches_tracked".into(), counter);
    let kind = SegmenterKind::Drn105Cityscapes;
    let files = vec![(dict, "drn.pth".to_string())];
    let segmenter = Segmenter::<Flex>::load(kind, files, &Default::default()).unwrap();
    assert_eq!(segmenter.classes(), kind.info().classes.classes());
    assert_eq!(segmenter.kind(), kind);
}

/// Each kind wants the tensors of its own network in full size.
#[test]
fn files_of_thin_networks_do_not_fit() {
    let refused = |kind, files: Vec<(StateDict, &str)>| {
        let files = files.into_iter();
        let files = files.map(|(dict, name)| (dict, name.to_string())).collect();
        let error = Segmenter::<Flex>::load(kind, files, &Default::default()).unwrap_err();
        error.to_string()
    };
    let text = refused(
        SegmenterKind::DeepLabV2CocoStuff,
        vec![(dict("deeplab"), "a.pth")],
    );
    assert!(
        text.starts_with("a.pth does not fit deeplabv2_resnet101_coco_stuff"),
        "{text}"
    );
    assert!(
        text.contains("base.aspp.c3.bias (expected [182], found [5])"),
        "{text}"
    );
    let text = refused(
        SegmenterKind::Drn105Cityscapes,
        vec![(dict("drn"), "a.pth")],
    );
    assert!(
        text.starts_with("a.pth does not fit drn_d_105_cityscapes"),
        "{text}"
    );
    assert!(
        text.contains("seg.bias (expected [19], found [5])"),
        "{text}"
    );
    let both = dict("upernet");
    let files = vec![
        (part(&both, "encoder."), "a.pth"),
        (part(&both, "decoder."), "b.pth"),
    ];
    let text = refused(SegmenterKind::UperNetAde20k, files);
    assert!(
        text.starts_with("a.pth does not fit the encoder of upernet_resnet101_ade20k"),
        "{text}"
    );
    assert!(
        text.contains("bn3.bias (expected [128], found [8])"),
        "{text}"
    );
}

#[test]
fn the_number_of_files_is_checked() {
    let file = |name: &str| (StateDict::new(), name.to_string());
    let load = |kind, files| Segmenter::<Flex>::load(kind, files, &Default::default());
    let kind = SegmenterKind::UperNetAde20k;
    let error = load(kind, vec![file("encoder.pth")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[encoder.pth] is not a usable weight file: upernet_resnet101_ade20k takes 2, in this \
         order: encoder_epoch_50.pth, decoder_epoch_50.pth"
    );
    for kind in SegmenterKind::all() {
        let error = load(kind, Vec::new()).unwrap_err();
        assert!(matches!(error, WeightsError::Format { .. }), "{error}");
    }
}

/// Weights of a thin network of the script.
fn dict(name: &str) -> StateDict {
    let reference = read_weights(&fixture(&format!("{name}.safetensors"))).unwrap();
    thin_dict(name, &record(), &reference)
}

fn message(kind: SegmenterKind, dict: StateDict) -> String {
    thin::<Flex>(kind, dict).unwrap_err().to_string()
}

/// A missing, an unknown and misshapen tensors of each network: a kernel of another size, other
/// output channels, a norm or bias of another length.
#[test]
fn errors_name_the_tensors() {
    let cases = [
        (
            SegmenterKind::DeepLabV2CocoStuff,
            "deeplab",
            "base.layer3.block2.increase.bn.running_var",
            "base.layer2.block1.shortcut.conv.weight",
            "base.aspp.c0.bias",
        ),
        (
            SegmenterKind::Drn105Cityscapes,
            "drn",
            "up.weight",
            "base.7.0.weight",
            "base.4.1.bn2.running_mean",
        ),
        (
            SegmenterKind::UperNetAde20k,
            "upernet",
            "encoder.layer2.0.downsample.1.weight",
            "encoder.conv3.weight",
            "encoder.bn1.bias",
        ),
        (
            SegmenterKind::UperNetAde20k,
            "upernet",
            "decoder.conv_last.1.bias",
            "decoder.fpn_out.1.0.0.weight",
            "decoder.ppm_conv.2.1.running_var",
        ),
    ];
    for (kind, name, missing, weight, vector) in cases {
        let whole = dict(name);
        let prefix = match kind {
            SegmenterKind::UperNetAde20k => &missing[.."encoder.".len()],
            _ => "",
        };
        let mut broken = whole.clone();
        broken.remove(missing).unwrap();
        broken.insert(
            format!("{prefix}extra.weight"),
            TensorData::zeros::<f32, _>([1]),
        );
        let text = message(kind, broken);
        let missing = missing.strip_prefix(prefix).unwrap();
        let lines = format!("\n  1 missing: {missing}\n  1 unknown: extra.weight");
        assert!(text.ends_with(&lines), "{text}");

        for (tensor, axis) in [(weight, 3), (weight, 0), (vector, 0)] {
            let expected = whole[tensor].shape.as_slice().to_vec();
            let mut found = expected.clone();
            found[axis] += 1;
            let mut broken = whole.clone();
            broken.insert(tensor.into(), TensorData::zeros::<f32, _>(found.clone()));
            let text = message(kind, broken);
            let tensor = tensor.strip_prefix(prefix).unwrap();
            let line =
                format!("\n  1 misshapen: {tensor} (expected {expected:?}, found {found:?})");
            assert!(text.ends_with(&line), "{text}");
        }
    }
}

/// The first checkpoints of the project had other names.
#[test]
fn old_names_of_deeplab_are_read() {
    let old = |name: &str| {
        name.replace("base.", "scale.")
            .replace(".shortcut.", ".proj.")
            .replace(".aspp.", ".aspp.stages.")
    };
    let kind = SegmenterKind::DeepLabV2CocoStuff;
    let current = dict("deeplab");
    let renamed = current.iter().map(|(name, data)| (old(name), data.clone()));
    let network = |dict| thin::<Flex>(kind, dict).unwrap();
    let tensors = |dict| state_dict::<Flex, _>(&network(dict));
    assert_eq!(tensors(renamed.collect()), tensors(current));
}
