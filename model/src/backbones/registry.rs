use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::files::files;
use super::{ConvNextConfig, EfficientNetLiteConfig, ResNetConfig, SwinConfig, VggConfig};
use crate::naming::same_name;

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
const HALF: [f32; 3] = [0.5; 3];

/// Name of a backbone in configurations, for example `efficientnet_lite1`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BackboneKind {
    /// ConvNeXt-T: the cheapest of its family, not in the paper.
    ConvnextTiny,
    /// ConvNeXt-B (notes D17).
    ConvnextBase,
    /// ConvNeXt-L: the backbone of the paper's best model (notes D15, D16).
    ConvnextLarge,
    /// ConvNeXt-XL: in the paper's supplement.
    ConvnextXlarge,
    /// ResNet-50, ImageNet-1k (notes D18).
    Resnet50,
    /// Swin-T with windows of 7 × 7: the cheapest of its family, not in the paper.
    SwinTinyWindow7,
    /// Swin-B with windows of 7 × 7, trained at 224 × 224 (notes D20).
    SwinBaseWindow7,
    /// Swin-B with windows of 12 × 12, trained at 384 × 384 (notes D20).
    SwinBaseWindow12,
    /// EfficientNet-Lite0, ImageNet-1k.
    EfficientnetLite0,
    /// EfficientNet-Lite1, ImageNet-1k: the small backbone of the paper (notes D19, D24).
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
    pub fn all() -> impl Iterator<Item = Self> {
        <Self as VariantArray>::VARIANTS.iter().copied()
    }

    /// The backbone of a name, with dashes or underscores.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| same_name(kind.name(), name))
    }

    /// Name in configurations.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl<'de> Deserialize<'de> for BackboneKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name)
            .ok_or_else(|| D::Error::unknown_variant(&name, <Self as VariantNames>::VARIANTS))
    }
}

/// What a user of a backbone has to know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct BackboneInfo {
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
    ResNet(ResNetConfig),
    Swin(SwinConfig),
    Vgg(VggConfig),
}

/// Registry entry of a backbone.
pub fn info(kind: BackboneKind) -> BackboneInfo {
    use BackboneKind as Kind;
    let source = match kind {
        Kind::ConvnextTiny | Kind::ConvnextBase | Kind::ConvnextLarge | Kind::ConvnextXlarge => {
            "ConvNeXt, ImageNet-1k or ImageNet-22k then 1k, MIT (timm: Apache-2.0)"
        }
        Kind::Resnet50 => "ResNet-50 V1, ImageNet-1k, torchvision, BSD-3-Clause",
        Kind::SwinTinyWindow7 | Kind::SwinBaseWindow7 | Kind::SwinBaseWindow12 => {
            "Swin Transformer, ImageNet-1k or ImageNet-22k then 1k, MIT"
        }
        Kind::EfficientnetLite0
        | Kind::EfficientnetLite1
        | Kind::EfficientnetLite2
        | Kind::EfficientnetLite3
        | Kind::EfficientnetLite4 => {
            "TensorFlow EfficientNet-Lite, ImageNet-1k, Apache-2.0 (timm tf_efficientnet_lite)"
        }
        Kind::Vgg16 | Kind::Vgg19 => "VGG, ImageNet-1k, torchvision, BSD-3-Clause",
        Kind::ConvnextPicoScenes => {
            "trained by this project on procedural scenes, MIT OR Apache-2.0"
        }
    };
    let (channels, strides) = match architecture(kind) {
        Architecture::ConvNext(config) => (config.dims.to_vec(), vec![4, 8, 16, 32]),
        Architecture::EfficientNetLite(config) => {
            (config.tap_channels().to_vec(), vec![4, 8, 16, 32])
        }
        Architecture::ResNet(config) => (config.tap_channels().to_vec(), vec![4, 8, 16, 32]),
        Architecture::Swin(config) => (config.tap_channels().to_vec(), vec![4, 8, 16, 32]),
        Architecture::Vgg(config) => (config.tap_channels().to_vec(), vec![4, 8, 16]),
    };
    let (mean, std) = match kind {
        Kind::EfficientnetLite0
        | Kind::EfficientnetLite1
        | Kind::EfficientnetLite2
        | Kind::EfficientnetLite3
        | Kind::EfficientnetLite4
        | Kind::ConvnextPicoScenes => (HALF, HALF),
        _ => (IMAGENET_MEAN, IMAGENET_STD),
    };
    BackboneInfo {
        channels,
        strides,
        mean,
        std,
        files: files(kind),
        source,
    }
}

/// Size of each backbone (notes D21, D24).
pub(crate) fn architecture(kind: BackboneKind) -> Architecture {
    use BackboneKind as Kind;
    let lite = |width, depth| {
        Architecture::EfficientNetLite(
            EfficientNetLiteConfig::new()
                .with_width(width)
                .with_depth(depth),
        )
    };
    let convnext = |deep, width| {
        let dims = [width, 2 * width, 4 * width, 8 * width];
        Architecture::ConvNext(ConvNextConfig::new([3, 3, deep, 3], dims))
    };
    let swin = |deep, width, window| {
        let heads = [1, 2, 4, 8].map(|factor| factor * width / 32);
        let config = SwinConfig::new([2, 2, deep, 2], width, heads);
        Architecture::Swin(config.with_window(window))
    };
    match kind {
        Kind::ConvnextTiny => convnext(9, 96),
        Kind::ConvnextBase => convnext(27, 128),
        Kind::ConvnextLarge => convnext(27, 192),
        Kind::ConvnextXlarge => convnext(27, 256),
        Kind::Resnet50 => Architecture::ResNet(ResNetConfig::new([3, 4, 6, 3])),
        Kind::SwinTinyWindow7 => swin(6, 96, 7),
        Kind::SwinBaseWindow7 => swin(18, 128, 7),
        Kind::SwinBaseWindow12 => swin(18, 128, 12),
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
    fn names_are_those_of_configurations_with_dashes_or_underscores() {
        for kind in BackboneKind::all() {
            let name = kind.name();
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
            for written in [name.to_string(), name.replace('_', "-")] {
                let read = serde_json::from_value::<BackboneKind>(written.into());
                assert_eq!(read.unwrap(), kind);
            }
        }
        let error = serde_json::from_str::<BackboneKind>("\"vgg\"").unwrap_err();
        let text = error.to_string();
        let expected = "unknown variant `vgg`, expected one of `convnext_tiny`, `convnext_base`, ";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn taps_are_those_of_the_paper() {
        assert_eq!(
            info(BackboneKind::EfficientnetLite1).channels,
            [24, 40, 112, 320]
        );
        assert_eq!(info(BackboneKind::Vgg19).channels, [256, 512, 512]);
        for (kind, channels) in [
            (BackboneKind::ConvnextTiny, [96, 192, 384, 768]),
            (BackboneKind::ConvnextBase, [128, 256, 512, 1024]),
            (BackboneKind::ConvnextLarge, [192, 384, 768, 1536]),
            (BackboneKind::ConvnextXlarge, [256, 512, 1024, 2048]),
            (BackboneKind::Resnet50, [256, 512, 1024, 2048]),
            (BackboneKind::SwinTinyWindow7, [96, 192, 384, 768]),
            (BackboneKind::SwinBaseWindow7, [128, 256, 512, 1024]),
            (BackboneKind::SwinBaseWindow12, [128, 256, 512, 1024]),
        ] {
            let info = info(kind);
            assert_eq!(info.channels, channels, "{}", kind.name());
            assert_eq!(info.strides, [4, 8, 16, 32], "{}", kind.name());
            assert_eq!((info.mean, info.std), (IMAGENET_MEAN, IMAGENET_STD));
        }
        // timm's feature_info of tf_efficientnet_lite4.
        assert_eq!(
            info(BackboneKind::EfficientnetLite4).channels,
            [32, 56, 160, 448]
        );
    }
}
