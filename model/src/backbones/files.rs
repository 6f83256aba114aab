use super::BackboneKind as Kind;

/// Names of the files in which the weights of a backbone are published, the preferred one first:
/// timm's names with `.safetensors`, and those of the original projects.
pub(super) fn files(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ConvnextTiny => &[
            "convnext_tiny.fb_in22k_ft_in1k_384.safetensors",
            "convnext_tiny_22k_1k_384.pth",
            "convnext_tiny.fb_in22k_ft_in1k.safetensors",
            "convnext_tiny_22k_1k_224.pth",
            "convnext_tiny.fb_in1k.safetensors",
            "convnext_tiny_1k_224_ema.pth",
        ],
        Kind::ConvnextBase => &[
            "convnext_base.fb_in22k_ft_in1k_384.safetensors",
            "convnext_base_22k_1k_384.pth",
            "convnext_base.fb_in22k_ft_in1k.safetensors",
            "convnext_base_22k_1k_224.pth",
            "convnext_base_1k_384.pth",
            "convnext_base.fb_in1k.safetensors",
            "convnext_base_1k_224_ema.pth",
        ],
        Kind::ConvnextLarge => &[
            "convnext_large.fb_in22k_ft_in1k_384.safetensors",
            "convnext_large_22k_1k_384.pth",
            "convnext_large.fb_in22k_ft_in1k.safetensors",
            "convnext_large_22k_1k_224.pth",
            "convnext_large_1k_384.pth",
            "convnext_large.fb_in1k.safetensors",
            "convnext_large_1k_224_ema.pth",
        ],
        Kind::ConvnextXlarge => &[
            "convnext_xlarge.fb_in22k_ft_in1k_384.safetensors",
            "convnext_xlarge_22k_1k_384_ema.pth",
            "convnext_xlarge.fb_in22k_ft_in1k.safetensors",
            "convnext_xlarge_22k_1k_224_ema.pth",
        ],
        Kind::Resnet50 => &["resnet50.tv_in1k.safetensors", "resnet50-0676ba61.pth"],
        Kind::SwinTinyWindow7 => &[
            "swin_tiny_patch4_window7_224.ms_in1k.safetensors",
            "swin_tiny_patch4_window7_224.pth",
            "swin_tiny_patch4_window7_224.ms_in22k_ft_in1k.safetensors",
            "swin_tiny_patch4_window7_224_22kto1k_finetune.pth",
        ],
        Kind::SwinBaseWindow7 => &[
            "swin_base_patch4_window7_224.ms_in22k_ft_in1k.safetensors",
            "swin_base_patch4_window7_224_22kto1k.pth",
            "swin_base_patch4_window7_224.ms_in1k.safetensors",
            "swin_base_patch4_window7_224.pth",
        ],
        Kind::SwinBaseWindow12 => &[
            "swin_base_patch4_window12_384.ms_in22k_ft_in1k.safetensors",
            "swin_base_patch4_window12_384_22kto1k.pth",
            "swin_base_patch4_window12_384.ms_in1k.safetensors",
            "swin_base_patch4_window12_384.pth",
        ],
        Kind::EfficientnetLite0 => &[
            "tf_efficientnet_lite0.safetensors",
            "tf_efficientnet_lite0.in1k.safetensors",
            "tf_efficientnet_lite0-0aa007d2.pth",
        ],
        Kind::EfficientnetLite1 => &[
            "tf_efficientnet_lite1.safetensors",
            "tf_efficientnet_lite1.in1k.safetensors",
            "tf_efficientnet_lite1-bde8b488.pth",
        ],
        Kind::EfficientnetLite2 => &[
            "tf_efficientnet_lite2.safetensors",
            "tf_efficientnet_lite2.in1k.safetensors",
            "tf_efficientnet_lite2-dcccb7df.pth",
        ],
        Kind::EfficientnetLite3 => &[
            "tf_efficientnet_lite3.safetensors",
            "tf_efficientnet_lite3.in1k.safetensors",
            "tf_efficientnet_lite3-b733e338.pth",
        ],
        Kind::EfficientnetLite4 => &[
            "tf_efficientnet_lite4.safetensors",
            "tf_efficientnet_lite4.in1k.safetensors",
            "tf_efficientnet_lite4-741542c3.pth",
        ],
        Kind::Vgg16 => &[
            "vgg16-397923af.pth",
            "vgg16.safetensors",
            "vgg16.tv_in1k.safetensors",
            "vgg16_features_hed_rgb_tvnorm.safetensors",
        ],
        Kind::Vgg19 => &[
            "vgg19-dcbb9e9d.pth",
            "vgg19.safetensors",
            "vgg19.tv_in1k.safetensors",
        ],
        Kind::ConvnextPicoScenes => &["convnext_pico_scenes.safetensors"],
    }
}
