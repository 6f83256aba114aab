//! Names of tensors in files, and what is said about files that do not fit.

use super::*;
use crate::weights::{from_safetensors_bytes, state_dict, to_safetensors_bytes};

fn thin_lite(dict: StateDict, origin: &str) -> Result<Network<Flex>, WeightsError> {
    let architecture = Architecture::EfficientNetLite(thin::lite());
    let source = WeightSource::State(dict, origin.to_string());
    network(architecture, source, "thin", &Default::default())
}

#[test]
fn convnext_carries_the_names_of_timm() {
    let config = thin::convnext();
    let network = config.init::<Flex>(&mut InitRng::new(0, "thin"), &Default::default());
    let ours: Vec<String> = state_dict::<Flex, _>(&network).into_keys().collect();
    for file in ["convnext.pth", "convnext_original.pth"] {
        let theirs: Vec<String> = config.trunk(dict(file)).into_keys().collect();
        assert_eq!(ours, theirs, "{file}");
    }
}

#[test]
fn swin_carries_the_names_of_timm() {
    let config = thin::swin();
    let network = config.init::<Flex>(&mut InitRng::new(0, "thin"), &Default::default());
    let ours: Vec<String> = state_dict::<Flex, _>(&network).into_keys().collect();
    for file in ["swin.safetensors", "swin_original.pth"] {
        let theirs: Vec<String> = config.trunk(dict(file)).into_keys().collect();
        assert_eq!(ours, theirs, "{file}");
    }
}

#[test]
fn a_wrapper_of_all_names_is_dropped() {
    let architectures = [
        (
            Architecture::ConvNext(thin::convnext()),
            "convnext_original.pth",
        ),
        (
            Architecture::EfficientNetLite(thin::lite()),
            "efficientnet_lite_legacy.pth",
        ),
        (Architecture::ResNet(thin::resnet()), "resnet.pth"),
        (Architecture::Swin(thin::swin()), "swin_original.pth"),
        (Architecture::Vgg(thin::vgg()), "vgg.pth"),
    ];
    for (architecture, file) in architectures {
        let wrapped = dict(file)
            .into_iter()
            .map(|(name, data)| (format!("module.{name}"), data))
            .collect();
        let source = WeightSource::State(wrapped, file.into());
        let built = network::<Flex>(architecture, source, "thin", &Default::default());
        assert!(built.is_ok(), "{file}: {}", built.unwrap_err());
    }
    // One name without it, and nothing is dropped.
    let mut mixed = dict("efficientnet_lite.pth");
    let stray = mixed.remove("conv_stem.weight").unwrap();
    mixed.insert("module.conv_stem.weight".into(), stray);
    let text = thin_lite(mixed, "lite.pth").unwrap_err().to_string();
    assert!(
        text.contains("1 unknown: module.conv_stem.weight"),
        "{text}"
    );
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
    let text = thin_lite(broken, "lite.pth").unwrap_err().to_string();
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

/// Weights of another window would need another network: they are not resized in silence.
#[test]
fn a_table_of_another_window_is_misshapen() {
    let architecture = Architecture::Swin(thin::swin().with_window(5));
    let source = source("swin.safetensors");
    let error = network::<Flex>(architecture, source, "thin", &Default::default()).unwrap_err();
    let text = error.to_string();
    let expected = "layers.0.blocks.0.attn.relative_position_bias_table \
                    (expected [81, 1], found [169, 1])";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("7 misshapen") && !text.contains("missing"),
        "{text}"
    );
}

#[test]
fn f16_weights_are_accepted() {
    let mut half = dict("efficientnet_lite.pth");
    for data in half.values_mut() {
        *data = data.clone().convert_dtype(burn::tensor::DType::F16);
    }
    let bytes = to_safetensors_bytes(&half).unwrap();
    let read = from_safetensors_bytes(&bytes, "half").unwrap();
    assert!(thin_lite(read, "half").is_ok());
}
