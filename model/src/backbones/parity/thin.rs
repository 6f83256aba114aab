//! Thin networks of each family: every tap and the gradient of the image.

use super::*;

fn thin<B: Backend>(architecture: Architecture, weights: WeightSource) -> Backbone<B> {
    let statistics = match architecture {
        Architecture::ConvNext(_) | Architecture::EfficientNetLite(_) => (HALF, HALF),
        _ => (
            info(BackboneKind::Vgg16).mean,
            info(BackboneKind::Vgg16).std,
        ),
    };
    let network = network(architecture, weights, "thin", &Default::default()).unwrap();
    Backbone::new(network, statistics.0, statistics.1, &Default::default())
}

/// Sizes of the thin networks of the scripts.
pub(super) fn convnext() -> ConvNextConfig {
    ConvNextConfig::new([1, 2, 1, 1], [8, 12, 16, 24])
}

pub(super) fn lite() -> EfficientNetLiteConfig {
    EfficientNetLiteConfig {
        width: 0.1,
        depth: 0.4,
    }
}

pub(super) fn resnet() -> ResNetConfig {
    ResNetConfig::new([1, 2, 1, 1]).with_widths([4, 8, 16, 32])
}

pub(super) fn swin() -> SwinConfig {
    SwinConfig::new([2, 2, 2, 1], 6, [1, 2, 3, 4])
}

fn narrow_swin(window: usize) -> SwinConfig {
    SwinConfig::new([2, 2, 2, 1], 4, [1, 2, 2, 4]).with_window(window)
}

pub(super) fn vgg() -> VggConfig {
    VggConfig::new([2, 2, 3, 3, 3]).with_channels([4, 6, 8, 10, 12])
}

fn convnext_agrees_with_timm<B: AutodiffBackend>() {
    let backbone = thin::<B>(Architecture::ConvNext(convnext()), source("convnext.pth"));
    matches_reference(&backbone, "convnext");
    matches_finite_differences(&backbone, "convnext");
}

fn convnext_reads_the_names_of_its_authors<B: AutodiffBackend>() {
    let weights = source("convnext_original.pth");
    let backbone = thin::<B>(Architecture::ConvNext(convnext()), weights);
    matches_reference(&backbone, "convnext");
}

fn efficientnet_lite_agrees_with_timm<B: AutodiffBackend>() {
    let weights = source("efficientnet_lite.pth");
    let backbone = thin::<B>(Architecture::EfficientNetLite(lite()), weights);
    matches_reference(&backbone, "efficientnet_lite");
    matches_finite_differences(&backbone, "efficientnet_lite");
}

fn efficientnet_lite_reads_the_names_of_the_original_port<B: AutodiffBackend>() {
    let weights = source("efficientnet_lite_legacy.pth");
    let backbone = thin::<B>(Architecture::EfficientNetLite(lite()), weights);
    matches_reference(&backbone, "efficientnet_lite");
}

fn resnet_agrees_with_timm<B: AutodiffBackend>() {
    let backbone = thin::<B>(Architecture::ResNet(resnet()), source("resnet.pth"));
    matches_reference(&backbone, "resnet");
    matches_finite_differences(&backbone, "resnet");
}

/// Weights in bf16; windows that do not divide the map, that shrink along one axis, and that
/// shrink along both, with bias tables to match.
fn swin_agrees_with_timm<B: AutodiffBackend>() {
    let backbone = thin::<B>(Architecture::Swin(swin()), source("swin.safetensors"));
    matches_reference(&backbone, "swin");
    matches_finite_differences(&backbone, "swin");
}

fn swin_reads_the_names_of_its_authors<B: AutodiffBackend>() {
    let backbone = thin::<B>(Architecture::Swin(swin()), source("swin_original.pth"));
    matches_reference(&backbone, "swin");
}

/// Weights in f16; the window exceeds the finest map already.
fn swin_of_a_large_window_agrees_with_timm<B: AutodiffBackend>() {
    let weights = source("swin_window12.safetensors");
    let backbone = thin::<B>(Architecture::Swin(narrow_swin(12)), weights);
    matches_reference(&backbone, "swin_window12");
}

/// Sides that 4 does not divide, and maps down to one pixel.
fn swin_of_a_small_image_agrees_with_timm<B: AutodiffBackend>() {
    let weights = source("swin_window4_original.pth");
    let backbone = thin::<B>(Architecture::Swin(narrow_swin(4)), weights);
    matches_reference(&backbone, "swin_window4");
}

fn vgg_agrees_with_torchvision<B: AutodiffBackend>() {
    let backbone = thin::<B>(Architecture::Vgg(vgg()), source("vgg.pth"));
    matches_reference(&backbone, "vgg");
    matches_finite_differences(&backbone, "vgg");
}

backend_tests!(
    convnext_agrees_with_timm,
    convnext_reads_the_names_of_its_authors,
    efficientnet_lite_agrees_with_timm,
    efficientnet_lite_reads_the_names_of_the_original_port,
    resnet_agrees_with_timm,
    swin_agrees_with_timm,
    swin_of_a_large_window_agrees_with_timm,
    swin_of_a_small_image_agrees_with_timm,
    swin_reads_the_names_of_its_authors,
    vgg_agrees_with_torchvision,
);
