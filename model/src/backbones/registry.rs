use serde::{Deserialize, Serialize};

use super::{ConvNextConfig, EfficientNetLiteConfig, VggConfig};

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
const HALF: [f32; 3] = [0.5; 3];

/// Name of a backbone in configurations, for example `efficientnet_lite1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackboneKind {
    /// EfficientNet-Lite0, ImageNet-1k.
    EfficientnetLite0,
    /// EfficientNet-Lite1, ImageNet-1k: the small backbone of the paper (facts D19, D24).
    EfficientnetLite1,
    /// EfficientNet-Lite2, ImageNet-1k.
    EfficientnetLite2,
    /// EfficientNet-Lite3, ImageNet-1k.
    EfficientnetLite3,
    /// EfficientNet-Lite4, ImageNet-1k.
    EfficientnetLite4,
    /// VGG-16 without batch norm: features of the contrastive loss.
    Vgg16,
    /// VGG-19 without batch norm: features of the contrastive loss in the paper.
    Vgg19,
    /// A small ConvNeXt pre-trained on procedural scenes by this project.
    ConvnextPicoScenes,
}

impl BackboneKind {
    /// Every backbone, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::EfficientnetLite0,
        Self::EfficientnetLite1,
        Self::EfficientnetLite2,
        Self::EfficientnetLite3,
        Self::EfficientnetLite4,
        Self::Vgg16,
        Self::Vgg19,
        Self::ConvnextPicoScenes,
    ];
}

/// What a user of a backbone has to know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct BackboneInfo {
    /// Name in configurations.
    pub name: &'static str,
    /// Channels of each tap.
    pub channels: Vec<usize>,
    /// Stride of each tap in pixels of the image, finest first.
    pub strides: Vec<usize>,
    /// Mean of the input the network was trained with, for an image in [0, 1].
    pub mean: [f32; 3],
    /// Standard deviation of that input.
    pub std: [f32; 3],
    /// File names its weights are published under, the preferred one first.
    pub files: &'static [&'static str],
    /// Origin of the weights and their licence.
    pub source: &'static str,
}

/// Architecture and its size.
pub(crate) enum Architecture {
    ConvNext(ConvNextConfig),
    EfficientNetLite(EfficientNetLiteConfig),
    Vgg(VggConfig),
}

/// Registry entry of a backbone.
pub fn info(kind: BackboneKind) -> BackboneInfo {
    use BackboneKind as Kind;
    let lite = "TensorFlow EfficientNet-Lite, ImageNet-1k, Apache-2.0 (timm tf_efficientnet_lite)";
    let vgg = "VGG, ImageNet-1k, torchvision, BSD-3-Clause";
    let (name, files, source): (_, &'static [&'static str], _) = match kind {
        Kind::EfficientnetLite0 => (
            "efficientnet_lite0",
            &[
                "tf_efficientnet_lite0.safetensors",
                "tf_efficientnet_lite0-0aa007d2.pth",
            ],
            lite,
        ),
        Kind::EfficientnetLite1 => (
            "efficientnet_lite1",
            &[
                "tf_efficientnet_lite1.safetensors",
                "tf_efficientnet_lite1-bde8b488.pth",
            ],
            lite,
        ),
        Kind::EfficientnetLite2 => (
            "efficientnet_lite2",
            &[
                "tf_efficientnet_lite2.safetensors",
                "tf_efficientnet_lite2-dcccb7df.pth",
            ],
            lite,
        ),
        Kind::EfficientnetLite3 => (
            "efficientnet_lite3",
            &[
                "tf_efficientnet_lite3.safetensors",
                "tf_efficientnet_lite3-b733e338.pth",
            ],
            lite,
        ),
        Kind::EfficientnetLite4 => (
            "efficientnet_lite4",
            &[
                "tf_efficientnet_lite4.safetensors",
                "tf_efficientnet_lite4-741542c3.pth",
            ],
            lite,
        ),
        Kind::Vgg16 => (
            "vgg16",
            &[
                "vgg16-397923af.pth",
                "vgg16.safetensors",
                "vgg16_features_hed_rgb_tvnorm.safetensors",
            ],
            vgg,
        ),
        Kind::Vgg19 => ("vgg19", &["vgg19-dcbb9e9d.pth", "vgg19.safetensors"], vgg),
        Kind::ConvnextPicoScenes => (
            "convnext_pico_scenes",
            &["convnext_pico_scenes.safetensors"],
            "trained by this project on procedural scenes, MIT OR Apache-2.0",
        ),
    };
    let (channels, strides, mean, std) = match architecture(kind) {
        Architecture::ConvNext(config) => (config.dims.to_vec(), vec![4, 8, 16, 32], HALF, HALF),
        Architecture::EfficientNetLite(config) => (
            config.tap_channels().to_vec(),
            vec![4, 8, 16, 32],
            HALF,
            HALF,
        ),
        Architecture::Vgg(config) => (
            config.tap_channels().to_vec(),
            vec![4, 8, 16],
            IMAGENET_MEAN,
            IMAGENET_STD,
        ),
    };
    BackboneInfo {
        name,
        channels,
        strides,
        mean,
        std,
        files,
        source,
    }
}

/// Size of each backbone (facts D21, D24).
pub(crate) fn architecture(kind: BackboneKind) -> Architecture {
    use BackboneKind as Kind;
    let lite = |width, depth| {
        Architecture::EfficientNetLite(
            EfficientNetLiteConfig::new()
                .with_width(width)
                .with_depth(depth),
        )
    };
    match kind {
        Kind::EfficientnetLite0 => lite(1.0, 1.0),
        Kind::EfficientnetLite1 => lite(1.0, 1.1),
        Kind::EfficientnetLite2 => lite(1.1, 1.2),
        Kind::EfficientnetLite3 => lite(1.2, 1.4),
        Kind::EfficientnetLite4 => lite(1.4, 1.8),
        Kind::Vgg16 => Architecture::Vgg(VggConfig::new([2, 2, 3, 3, 3])),
        Kind::Vgg19 => Architecture::Vgg(VggConfig::new([2, 2, 4, 4, 4])),
        Kind::ConvnextPicoScenes => Architecture::ConvNext(ConvNextConfig::pico_scenes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_configurations() {
        for kind in BackboneKind::ALL {
            let name = serde_json::to_value(kind).unwrap();
            assert_eq!(name, info(kind).name);
        }
    }

    #[test]
    fn taps_are_those_of_the_paper() {
        assert_eq!(
            info(BackboneKind::EfficientnetLite1).channels,
            [24, 40, 112, 320]
        );
        assert_eq!(info(BackboneKind::Vgg19).channels, [256, 512, 512]);
        // timm's feature_info of tf_efficientnet_lite4.
        assert_eq!(
            info(BackboneKind::EfficientnetLite4).channels,
            [32, 56, 160, 448]
        );
    }
}
