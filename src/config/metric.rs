use std::fmt;
use std::str::FromStr;

use dp_sims_model::backbones::{BackboneKind, info};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    Frechet(BackboneKind),
    /// Kernel distance of the features of a backbone. Never called KID.
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
    info(kind).name.replace('_', "-")
}

/// The backbone of a name with dashes or underscores.
///
/// # Errors
/// Lists the backbones.
pub fn parse_backbone(text: &str) -> Result<BackboneKind, String> {
    let name = text.replace('_', "-");
    let found = BackboneKind::ALL
        .into_iter()
        .find(|&kind| dashed(kind) == name);
    found.ok_or_else(|| {
        let backbones: Vec<_> = BackboneKind::ALL.into_iter().map(dashed).collect();
        format!("unknown backbone `{text}`: give {}", backbones.join(", "))
    })
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
        let plain = [
            Self::Fid,
            Self::Kid,
            Self::SwavFid,
            Self::Lpips,
            Self::Diversity,
            Self::Miou,
            Self::MiouMf,
            Self::Accuracy,
            Self::Timing,
        ];
        if let Some(metric) = plain.into_iter().find(|metric| metric.to_string() == text) {
            return Ok(metric);
        }
        let named = text.split_once('-').and_then(|(kind, name)| {
            let backbone = parse_backbone(name).ok()?;
            match kind {
                "fd" => Some(Self::Frechet(backbone)),
                "kd" => Some(Self::Kernel(backbone)),
                _ => None,
            }
        });
        named.ok_or_else(|| {
            let backbones: Vec<_> = BackboneKind::ALL.into_iter().map(dashed).collect();
            format!(
                "unknown metric `{text}`: give {}, or fd- or kd- and a backbone ({})",
                plain.map(|metric| metric.to_string()).join(", "),
                backbones.join(", ")
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
    fn names_are_read_back() {
        let mut metrics: Vec<Metric> = BackboneKind::ALL
            .into_iter()
            .flat_map(|kind| [Metric::Frechet(kind), Metric::Kernel(kind)])
            .collect();
        metrics.extend([
            Metric::Fid,
            Metric::SwavFid,
            Metric::Diversity,
            Metric::MiouMf,
            Metric::Accuracy,
            Metric::Timing,
        ]);
        for metric in metrics {
            assert_eq!(metric.to_string().parse(), Ok(metric));
        }
        let lite = "fd-efficientnet-lite2".parse::<Metric>().unwrap();
        assert_eq!(lite, Metric::Frechet(BackboneKind::EfficientnetLite2));
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
