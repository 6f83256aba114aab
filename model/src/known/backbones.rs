use super::{FileSize, Hash, KnownWeights, PublishedFile, Publisher};
use crate::backbones::BackboneKind as Kind;

/// Weights of the timm collection on Hugging Face.
const fn timm(
    id: &'static str,
    backbone: Kind,
    licence: &'static str,
    bytes: u64,
    note: &'static str,
) -> (Kind, KnownWeights) {
    let known = KnownWeights {
        id,
        licence,
        size: FileSize::About(bytes),
        hash: Hash::Announced,
        note,
        publisher: Publisher::Timm,
    };
    (backbone, known)
}

/// A file of an original project.
const fn original(
    id: &'static str,
    backbone: Kind,
    bytes: u64,
    address: &'static str,
    note: &'static str,
) -> (Kind, KnownWeights) {
    let known = KnownWeights {
        id,
        licence: "MIT",
        size: FileSize::About(bytes),
        hash: Hash::Unpublished,
        note,
        publisher: Publisher::At(address),
    };
    (backbone, known)
}

/// A file of torchvision. The digits of the hash in the file name are torchvision's; whole hash
/// and length are those that several public repositories record for the file, and agree with it.
const fn torchvision(
    id: &'static str,
    backbone: Kind,
    bytes: u64,
    sha256: &'static str,
    address: &'static str,
    note: &'static str,
) -> (Kind, KnownWeights) {
    let known = KnownWeights {
        id,
        licence: "BSD-3-Clause",
        size: FileSize::Bytes(bytes),
        hash: Hash::Sha256(sha256),
        note,
        publisher: Publisher::At(address),
    };
    (backbone, known)
}

/// EfficientNet-Lite of a release of timm, whose file names hold the first digits of the hash.
const fn lite(
    id: &'static str,
    backbone: Kind,
    bytes: u64,
    digits: &'static str,
    address: &'static str,
    note: &'static str,
) -> (Kind, KnownWeights) {
    let known = KnownWeights {
        id,
        licence: "Apache-2.0",
        size: FileSize::About(bytes),
        hash: Hash::Prefix(digits),
        note,
        publisher: Publisher::At(address),
    };
    (backbone, known)
}

/// Bytes of parameters and buffers, counted on the networks of timm 1.0.31.
const CONVNEXT_BASE: u64 = 354_365_856;
const CONVNEXT_LARGE: u64 = 791_069_344;
const CONVNEXT_XLARGE: u64 = 1_400_787_872;
const SWIN_BASE_12: u64 = 351_614_336;

/// torchvision's VGG-16, whose hash is part of the definition of LPIPS. Length and hash are those that
/// several public repositories record for the file.
pub const VGG16_FILE: PublishedFile = PublishedFile {
    name: "vgg16-397923af.pth",
    address: "https://download.pytorch.org/models/vgg16-397923af.pth",
    bytes: 553_433_881,
    sha256: "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    source: "VGG-16, ImageNet-1k, torchvision",
    licence: "BSD-3-Clause",
};

/// The known files of backbones, the preferred one of a network first. Addresses and licences are those of
/// timm 1.0.31 and torchvision 0.29.2 and of the README files of ConvNeXt and Swin.
pub static BACKBONE_WEIGHTS: &[(Kind, KnownWeights)] = &[
    timm(
        "convnext_tiny.fb_in1k",
        Kind::ConvnextTiny,
        "Apache-2.0",
        114_356_512,
        "ImageNet-1k at 224; small, not in the paper",
    ),
    timm(
        "convnext_base.fb_in22k_ft_in1k_384",
        Kind::ConvnextBase,
        "Apache-2.0",
        CONVNEXT_BASE,
        "ImageNet-22k, then 1k at 384, top-1 86.8; Table 2 by analogy with ConvNeXt-L (D17)",
    ),
    timm(
        "convnext_base.fb_in1k",
        Kind::ConvnextBase,
        "Apache-2.0",
        CONVNEXT_BASE,
        "ImageNet-1k at 224",
    ),
    original(
        "convnext_base_1k_384",
        Kind::ConvnextBase,
        CONVNEXT_BASE,
        "https://dl.fbaipublicfiles.com/convnext/convnext_base_1k_384.pth",
        "ImageNet-1k at 384, top-1 85.1 as Table 2 prints it (D17)",
    ),
    original(
        "convnext_base_22k_1k_384",
        Kind::ConvnextBase,
        CONVNEXT_BASE,
        "https://dl.fbaipublicfiles.com/convnext/convnext_base_22k_1k_384.pth",
        "the original file of convnext_base.fb_in22k_ft_in1k_384",
    ),
    timm(
        "convnext_large.fb_in22k_ft_in1k_384",
        Kind::ConvnextLarge,
        "Apache-2.0",
        CONVNEXT_LARGE,
        "ImageNet-22k, then 1k at 384, top-1 87.5; the best model, Tables 1 to 3 and 5 (D15)",
    ),
    timm(
        "convnext_large.fb_in22k_ft_in1k",
        Kind::ConvnextLarge,
        "Apache-2.0",
        CONVNEXT_LARGE,
        "ImageNet-22k, then 1k at 224, top-1 86.6; Table 3, IN-21k@224 (D16)",
    ),
    timm(
        "convnext_large.fb_in1k",
        Kind::ConvnextLarge,
        "Apache-2.0",
        CONVNEXT_LARGE,
        "ImageNet-1k at 224, top-1 84.3; Table 3, IN-1k@224 (D16)",
    ),
    original(
        "convnext_large_1k_384",
        Kind::ConvnextLarge,
        CONVNEXT_LARGE,
        "https://dl.fbaipublicfiles.com/convnext/convnext_large_1k_384.pth",
        "ImageNet-1k at 384, top-1 85.5 as Table 2 prints it (D17)",
    ),
    original(
        "convnext_large_22k_1k_384",
        Kind::ConvnextLarge,
        CONVNEXT_LARGE,
        "https://dl.fbaipublicfiles.com/convnext/convnext_large_22k_1k_384.pth",
        "the original file of convnext_large.fb_in22k_ft_in1k_384",
    ),
    timm(
        "convnext_xlarge.fb_in22k_ft_in1k_384",
        Kind::ConvnextXlarge,
        "Apache-2.0",
        CONVNEXT_XLARGE,
        "ImageNet-22k, then 1k at 384, top-1 87.8; supplement of the paper",
    ),
    timm(
        "convnext_xlarge.fb_in22k_ft_in1k",
        Kind::ConvnextXlarge,
        "Apache-2.0",
        CONVNEXT_XLARGE,
        "ImageNet-22k, then 1k at 224, top-1 87.0",
    ),
    original(
        "convnext_xlarge_22k_1k_384_ema",
        Kind::ConvnextXlarge,
        CONVNEXT_XLARGE,
        "https://dl.fbaipublicfiles.com/convnext/convnext_xlarge_22k_1k_384_ema.pth",
        "the original file of convnext_xlarge.fb_in22k_ft_in1k_384",
    ),
    torchvision(
        "resnet50.tv_in1k",
        Kind::Resnet50,
        102_530_333,
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        "ImageNet-1k, torchvision V1, top-1 76.2; Table 2 (D18)",
    ),
    timm(
        "swin_tiny_patch4_window7_224.ms_in1k",
        Kind::SwinTinyWindow7,
        "MIT",
        113_153_416,
        "ImageNet-1k at 224; small, not in the paper",
    ),
    timm(
        "swin_base_patch4_window7_224.ms_in22k_ft_in1k",
        Kind::SwinBaseWindow7,
        "MIT",
        351_072_896,
        "ImageNet-22k, then 1k at 224; the cost that Table 2 prints for Swin-B (D20)",
    ),
    timm(
        "swin_base_patch4_window12_384.ms_in22k_ft_in1k",
        Kind::SwinBaseWindow12,
        "MIT",
        SWIN_BASE_12,
        "ImageNet-22k, then 1k at 384, top-1 86.4; Table 2 (D20)",
    ),
    original(
        "swin_base_patch4_window12_384_22kto1k",
        Kind::SwinBaseWindow12,
        SWIN_BASE_12,
        "https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_base_patch4_window12_384_22kto1k.pth",
        "the original file of swin_base_patch4_window12_384.ms_in22k_ft_in1k",
    ),
    lite(
        "tf_efficientnet_lite0.in1k",
        Kind::EfficientnetLite0,
        18_776_488,
        "0aa007d2",
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite0-0aa007d2.pth",
        "ImageNet-1k",
    ),
    lite(
        "tf_efficientnet_lite1.in1k",
        Kind::EfficientnetLite1,
        21_881_888,
        "bde8b488",
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite1-bde8b488.pth",
        "ImageNet-1k, top-1 76.7; Tables 2 and 5 (D19)",
    ),
    lite(
        "tf_efficientnet_lite2.in1k",
        Kind::EfficientnetLite2,
        24_601_184,
        "dcccb7df",
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite2-dcccb7df.pth",
        "ImageNet-1k",
    ),
    lite(
        "tf_efficientnet_lite3.in1k",
        Kind::EfficientnetLite3,
        33_095_656,
        "b733e338",
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite3-b733e338.pth",
        "ImageNet-1k",
    ),
    lite(
        "tf_efficientnet_lite4.in1k",
        Kind::EfficientnetLite4,
        52_476_472,
        "741542c3",
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite4-741542c3.pth",
        "ImageNet-1k",
    ),
    (
        Kind::Vgg16,
        KnownWeights::published(
            "vgg16.tv_in1k",
            VGG16_FILE,
            "ImageNet-1k; contrastive loss where memory is short, and LPIPS (M21)",
        ),
    ),
    torchvision(
        "vgg19.tv_in1k",
        Kind::Vgg19,
        574_673_361,
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "ImageNet-1k; contrastive loss of the paper",
    ),
];
