use std::fmt;

use dp_sims_model::backbones::{BackboneKind, info};
use dp_sims_model::cost::{self, Convention, Cost};
use dp_sims_model::discriminator::{DiscriminatorArchitecture, DiscriminatorConfig};
use dp_sims_model::generator::GeneratorConfig;
use serde::Serialize;

/// Size of one network beside what is published about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkSize {
    /// Name of the network.
    pub network: String,
    /// Dataset or size of the image.
    pub input: String,
    /// Trained parameters.
    pub parameters: u64,
    /// Multiply-adds that this program executes for one image.
    pub macs: u64,
    /// Multiply-adds as published figures count them ([`Convention::Published`]).
    pub published_convention_macs: u64,
    /// Published parameters in millions.
    pub published_parameters_m: Option<f64>,
    /// Published multiply-adds in 10⁹.
    pub published_macs_g: Option<f64>,
}

/// Classes with void, and size of the images.
const DATASETS: [(&str, usize, [usize; 2]); 3] = [
    ("ADE20K 256x256", 151, [256, 256]),
    ("COCO-Stuff 256x256", 183, [256, 256]),
    ("Cityscapes 256x512", 35, [256, 512]),
];

/// Published parameters in millions and multiply-adds in 10⁹.
type Published = (Option<f64>, Option<f64>);

/// Every network of the paper, at the sizes figures are published for. Counts configurations:
/// takes no time and no memory.
pub fn network_sizes() -> Vec<NetworkSize> {
    let mut rows = Vec::new();
    // Notes G20 and G14.
    let dp_gan = [
        (Some(70.62), Some(135.6)),
        (Some(70.92), None),
        (Some(69.51), Some(266.7)),
    ];
    let oasis = [
        (Some(74.31), Some(194.4)),
        (Some(75.20), None),
        (Some(71.11), Some(318.6)),
    ];
    for (name, config, published) in [
        (
            "DP-SIMS generator",
            GeneratorConfig::default(),
            [(None, None); 3],
        ),
        ("DP-GAN generator", GeneratorConfig::dp_gan(), dp_gan),
        ("OASIS generator", GeneratorConfig::oasis(), oasis),
    ] {
        for ((dataset, classes, size), published) in DATASETS.into_iter().zip(published) {
            // The paper reads offsets on COCO-Stuff and Cityscapes, the others on none (notes G31, S13).
            let offsets = name == "DP-SIMS generator" && !dataset.starts_with("ADE20K");
            let config = GeneratorConfig {
                offsets,
                ..config.clone()
            };
            let count = |convention| cost::generator(&config, classes, size, convention).total();
            rows.push(row(name, dataset, count, published));
        }
    }
    rows.extend(discriminators());
    rows.extend(BackboneKind::all().map(backbone));
    rows
}

/// Notes D5 and D38.
fn discriminators() -> Vec<NetworkSize> {
    let oasis = DiscriminatorConfig {
        architecture: DiscriminatorArchitecture::Oasis,
        ..DiscriminatorConfig::default()
    };
    let mut rows = Vec::new();
    for ((dataset, classes, size), published) in
        DATASETS
            .into_iter()
            .zip([(Some(22.26), Some(48.7)), (None, None), (None, Some(96.4))])
    {
        let count =
            |convention| cost::discriminator(&oasis, &[], &[], classes, size, convention).total();
        rows.push(row("OASIS discriminator", dataset, count, published));
    }
    let ours = DiscriminatorConfig::default();
    for (kind, published) in [
        (BackboneKind::ConvnextLarge, (Some(17.29), Some(43.9))),
        (BackboneKind::ConvnextBase, (Some(13.61), None)),
        (BackboneKind::ConvnextXlarge, (Some(20.98), None)),
        (BackboneKind::SwinBaseWindow12, (Some(13.61), None)),
        (BackboneKind::Resnet50, (Some(20.98), None)),
        (BackboneKind::EfficientnetLite1, (Some(8.29), None)),
    ] {
        let (dataset, classes, size) = DATASETS[0];
        let entry = info(kind);
        let count = |convention| {
            let (channels, strides) = (&entry.channels, &entry.strides);
            cost::discriminator(&ours, channels, strides, classes, size, convention).total()
        };
        let name = format!("DP-SIMS discriminator over {}", kind.name());
        rows.push(row(&name, dataset, count, published));
    }
    rows
}

/// A frozen backbone up to its last tap. Published figures include the classifier, which is not
/// built here, and the scales of batch norms, which are folded into convolutions here.
fn backbone(kind: BackboneKind) -> NetworkSize {
    use BackboneKind as Kind;
    // The original projects' own tables; Table 2 of the paper repeats some of them.
    let (side, published) = match kind {
        Kind::ConvnextTiny => (224, (Some(28.6), Some(4.5))),
        Kind::ConvnextBase => (224, (Some(88.6), Some(15.4))),
        Kind::ConvnextLarge => (224, (Some(197.8), Some(34.4))),
        Kind::ConvnextXlarge => (224, (Some(350.2), Some(60.9))),
        Kind::Resnet50 => (224, (Some(25.6), Some(4.1))),
        Kind::SwinTinyWindow7 => (224, (Some(28.3), Some(4.5))),
        Kind::SwinBaseWindow7 => (224, (Some(87.8), Some(15.4))),
        Kind::SwinBaseWindow12 => (384, (Some(87.9), Some(47.1))),
        Kind::EfficientnetLite0 => (224, (Some(4.7), Some(0.407))),
        Kind::EfficientnetLite1 => (240, (Some(5.4), Some(0.631))),
        Kind::EfficientnetLite2 => (260, (Some(6.1), Some(0.899))),
        Kind::EfficientnetLite3 => (280, (Some(8.2), Some(1.44))),
        Kind::EfficientnetLite4 => (300, (Some(13.0), Some(2.64))),
        Kind::Vgg16 => (224, (Some(138.4), Some(15.5))),
        Kind::Vgg19 => (224, (Some(143.7), Some(19.6))),
        Kind::ConvnextPicoScenes => (64, (None, None)),
    };
    let input = format!("{side}x{side}");
    row(
        kind.name(),
        &input,
        |_| cost::backbone(kind, side, side),
        published,
    )
}

fn row(
    network: &str,
    input: &str,
    count: impl Fn(Convention) -> Cost,
    (published_parameters_m, published_macs_g): Published,
) -> NetworkSize {
    let executed = count(Convention::Executed);
    NetworkSize {
        network: network.to_string(),
        input: input.to_string(),
        parameters: executed.parameters,
        macs: executed.macs,
        published_convention_macs: count(Convention::Published).macs,
        published_parameters_m,
        published_macs_g,
    }
}

/// The heading of the lines that [`NetworkSize`] prints.
pub const SIZES_HEADING: &str = concat!(
    "                                                    parameters, M          multiply-adds, G\n",
    "network                                            here  published  executed   dense  published",
);

impl fmt::Display for NetworkSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |value: Option<f64>, digits| {
            value.map_or_else(|| "-".to_string(), |value| format!("{value:.digits$}"))
        };
        // A number below 1 needs more digits.
        let digits = if self.macs < 3_000_000_000 { 3 } else { 1 };
        let giga = |value: u64| value as f64 / 1e9;
        let published_digits = if self.published_parameters_m.is_some_and(|m| m >= 100.0) {
            1
        } else {
            2
        };
        write!(
            f,
            "{:<46} {:>8.2} {:>10} {:>9.digits$} {:>7.digits$} {:>10}  {}",
            self.network,
            self.parameters as f64 / 1e6,
            known(self.published_parameters_m, published_digits),
            giga(self.macs),
            giga(self.published_convention_macs),
            known(self.published_macs_g, digits),
            self.input,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published figures are those of the same networks: within rounding for generators and
    /// discriminators.
    #[test]
    fn counts_are_the_published_ones() {
        let rows = network_sizes();
        let mut compared = 0;
        for row in rows.iter().filter(|row| row.network.contains("generator")) {
            if let Some(published) = row.published_parameters_m {
                let found = row.parameters as f64 / 1e6;
                assert!((found - published).abs() < 0.006, "{row}");
                compared += 1;
            }
        }
        assert_eq!(compared, 6);
        for kind in BackboneKind::all() {
            assert!(rows.iter().any(|row| row.network == kind.name()));
        }
    }

    #[test]
    fn a_line_carries_both_counts() {
        let rows = network_sizes();
        let oasis = rows.iter().find(|row| row.network == "OASIS generator");
        let line = oasis.unwrap().to_string();
        for part in ["74.31", "194.4", "ADE20K"] {
            assert!(line.contains(part), "{line}");
        }
    }
}
