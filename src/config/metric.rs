use std::fmt;
use std::str::FromStr;

use dp_sims_model::backbones::BackboneKind;
use dp_sims_model::naming::same_name;
use strum::{EnumIter, IntoEnumIterator};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
pub enum Metric {
    /// Fréchet distance of Inception features.
    Fid,
    /// Kernel distance of Inception features.
    Kid,
    /// Fréchet distance of the features of SwAV's ResNet-50.
    SwavFid,
    /// LPIPS diversity of samples, and distance to the photo.
    Lpips,
    /// Diversity of samples in VGG-16 features, without the weights of LPIPS.
    Diversity,
    /// mIoU of the protocol's segmentation network on generated images.
    Miou,
    /// mIoU of Mask2Former on generated images.
    MiouMf,
    /// Pixel accuracy of the protocol's segmentation network on generated images.
    Accuracy,
    /// Latency and throughput of the generator.
    Timing,
    /// Fréchet distance of the features of a backbone. Never called FID.
    #[strum(disabled)]
    Frechet(BackboneKind),
    /// Kernel distance of the features of a backbone. Never called KID.
    #[strum(disabled)]
    Kernel(BackboneKind),
}

impl Metric {
    /// Whether it needs a generator, rather than its images.
    pub fn needs_generator(self) -> bool {
        matches!(self, Self::Timing | Self::Diversity)
    }
}

/// Name of a backbone on the command line, with dashes.
pub fn dashed(kind: BackboneKind) -> String {
    kind.name().replace('_', "-")
}

/// The backbone of a name with dashes or underscores.
///
/// # Errors
/// Lists the backbones.
pub fn parse_backbone(text: &str) -> Result<BackboneKind, String> {
    BackboneKind::named(text).ok_or_else(|| {
        format!(
            "unknown backbone `{text}`: give {}",
            listed(BackboneKind::all().map(dashed))
        )
    })
}

fn listed(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Fid => "fid",
            Self::Kid => "kid",
            Self::SwavFid => "swav-fid",
            Self::Lpips => "lpips",
            Self::Diversity => "diversity-vgg16",
            Self::Miou => "miou",
            Self::MiouMf => "miou-mf",
            Self::Accuracy => "accuracy",
            Self::Timing => "timing",
            Self::Frechet(kind) => return write!(f, "fd-{}", dashed(*kind)),
            Self::Kernel(kind) => return write!(f, "kd-{}", dashed(*kind)),
        };
        f.write_str(name)
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let distances = [Self::Frechet, Self::Kernel];
        Self::iter()
            .chain(BackboneKind::all().flat_map(|kind| distances.map(|distance| distance(kind))))
            .find(|metric| same_name(&metric.to_string(), text))
            .ok_or_else(|| {
                format!(
                    "unknown metric `{text}`: give {}, or fd- or kd- and a backbone ({})",
                    listed(Self::iter().map(|metric| metric.to_string())),
                    listed(BackboneKind::all().map(dashed))
                )
            })
    }
}

/// What a value is called in tables, its unit, and whether more of it is better.
pub fn described(name: &str) -> (String, &'static str, Option<bool>) {
    match name {
        "fid" => ("FID".to_string(), "", Some(false)),
        "kid" => ("KID".to_string(), "", Some(false)),
        "swav-fid" => ("SwAV-FID".to_string(), "", Some(false)),
        "lpips-diversity" => ("LPIPS diversity".to_string(), "", Some(true)),
        "lpips-distance" => ("LPIPS to the photo".to_string(), "", Some(false)),
        "perceptual-diversity" => ("diversity in VGG-16 features".to_string(), "", Some(true)),
        "perceptual-distance" => (
            "distance to the photo in VGG-16 features".to_string(),
            "",
            Some(false),
        ),
        "diversity-vgg16" => (
            "diversity in VGG-16 features, no LPIPS weights".to_string(),
            "",
            Some(true),
        ),
        "miou" => ("mIoU".to_string(), "%", Some(true)),
        "miou-mf" => ("mIoU (Mask2Former)".to_string(), "%", Some(true)),
        "accuracy" => ("pixel accuracy".to_string(), "%", Some(true)),
        "seconds" => ("seconds per image".to_string(), "s", Some(false)),
        other => match other.split_once('-') {
            Some(("fd", network)) => (format!("Fréchet distance, {network}"), "", Some(false)),
            Some(("kd", network)) => (format!("kernel distance, {network}"), "", Some(false)),
            _ => (other.to_string(), "", None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_with_dashes_or_underscores() {
        let distances =
            BackboneKind::all().flat_map(|kind| [Metric::Frechet(kind), Metric::Kernel(kind)]);
        for metric in Metric::iter().chain(distances) {
            let name = metric.to_string();
            for written in [name.replace('-', "_"), name] {
                assert_eq!(written.parse(), Ok(metric), "{written}");
            }
        }
        assert_eq!(Metric::iter().count(), 9);
        for kind in BackboneKind::all() {
            for written in [dashed(kind), kind.name().to_string()] {
                assert_eq!(parse_backbone(&written), Ok(kind));
            }
        }
        for name in ["fd-efficientnet-lite2", "fd-efficientnet_lite2"] {
            let lite = name.parse::<Metric>().unwrap();
            assert_eq!(lite, Metric::Frechet(BackboneKind::EfficientnetLite2));
            assert_eq!(lite.to_string(), "fd-efficientnet-lite2");
        }
        let error = parse_backbone("vgg").unwrap_err();
        assert!(
            error.starts_with("unknown backbone `vgg`: give convnext-tiny, "),
            "{error}"
        );
    }

    #[test]
    fn a_strange_name_is_told_what_there_is() {
        for text in ["FID", "fd-inception", "fd-", "psnr", ""] {
            let message = text.parse::<Metric>().unwrap_err();
            assert!(
                message.contains("miou-mf") && message.contains("convnext-large"),
                "{message}"
            );
        }
    }
}
