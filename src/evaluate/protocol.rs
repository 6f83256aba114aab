use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::{Size, Split};
use dp_sims_evaluators::LpipsTrunk;
use dp_sims_metrics::{ClassesInMean, KernelConfig};
use serde::{Deserialize, Serialize};

use super::paper::{self, Published};
use crate::runtime::files::read_text;

/// Name of the network of `train-segmenter` in protocols.
pub const OWN: &str = "own";

macro_rules! built_in {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../experiments/protocols/", $name, ".toml")))),*]
    };
}

/// Protocols that are part of the program: names and texts.
const BUILT_IN: &[(&str, &str)] = built_in![
    "ade20k-256-v1",
    "coco-stuff-256-v1",
    "cityscapes-256x512-v1",
    "camvid-64x96-v2",
    "camvid-64x96-v1",
    "scenes-64-v1",
    "scenes-128-v1",
    "scenes-256-v1",
    "folder-v1",
];

/// The protocol of a dataset that no other one is for.
pub const FOLDER: &str = "folder-v1";

/// Everything that decides what a number means, apart from the images and the weights. Two results
/// can be compared when their protocols [mean the same](Self::means_the_same).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Protocol {
    /// Name with version, such as `ade20k-256-v1`.
    pub name: String,
    /// Names of the datasets it is for; empty for any.
    #[serde(default)]
    pub dataset: Vec<String>,
    /// Split whose label maps and photos are used.
    pub split: Split,
    /// Images that split must have; any number without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// Height of the images in pixels; that of the model or of the images without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<usize>,
    /// Width of the images in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Seed of the noise: one fresh latent per label map (notes M3, O35).
    pub seed: u64,
    /// Fréchet distances.
    pub fid: FrechetSettings,
    /// Size at which backbones see images for `fd-` and `kd-`; that of the images without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureSettings>,
    /// Kernel distances.
    pub kid: KernelConfig,
    /// LPIPS.
    pub lpips: LpipsSettings,
    /// The segmentation network of `miou` and `accuracy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miou: Option<SegmentationSettings>,
    /// The segmentation network of `miou-mf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miou_mf: Option<SegmentationSettings>,
    /// Latency and throughput.
    pub timing: TimingSettings,
    /// Figures published under this protocol: those of `experiments/paper.toml` for a built-in one,
    /// those of its file otherwise. They decide nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
}

/// How images reach the feature network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrechetSettings {
    /// Whether generated images are rounded to 8 bits first. The OASIS protocol does not
    /// (notes M2); images from a folder always are.
    pub quantise: bool,
}

/// The size that images and photos are enlarged to, bilinearly with pixel centres aligned, before
/// they reach the backbone of `fd-` and `kd-`: a backbone that was trained on larger images knows
/// little of tiny ones. Inception has a size of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSettings {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// What is averaged over positions.
    #[serde(default)]
    pub layer: FeatureLayer,
}

/// Which features of a backbone `fd-` and `kd-` compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureLayer {
    /// The last map that a discriminator sees.
    #[default]
    LastMap,
    /// What an EfficientNet-Lite classifies by: 1280 features behind that map.
    Head,
}

impl FeatureSettings {
    /// Height and width.
    pub fn size(self) -> Size {
        Size::new(self.height, self.width)
    }
}

/// Which LPIPS, over how many samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LpipsSettings {
    /// Network below the linear heads.
    pub trunk: Trunk,
    /// Samples per label map whose pairs are compared for the diversity.
    pub samples: usize,
}

/// Trunk of LPIPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trunk {
    /// VGG-16.
    Vgg16,
    /// AlexNet.
    Alexnet,
}

impl From<Trunk> for LpipsTrunk {
    fn from(trunk: Trunk) -> Self {
        match trunk {
            Trunk::Vgg16 => Self::Vgg,
            Trunk::Alexnet => Self::AlexNet,
        }
    }
}

/// Which segmentation network, and how its mIoU is averaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationSettings {
    /// Name of an evaluator, or `own` for a network of `dp-sims train-segmenter`.
    pub network: String,
    /// Classes the mean is taken over.
    pub mean_over: ClassesInMean,
}

/// How latency and throughput are measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimingSettings {
    /// Untimed runs at first.
    pub warm_up: usize,
    /// Timed runs of one image (notes M24).
    pub runs: usize,
    /// Batch sizes of the throughput.
    pub batches: Vec<usize>,
}

impl Protocol {
    /// Reads a protocol: a built-in name or the path of a TOML file.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid; names the key.
    pub fn load(name_or_path: &str) -> Result<Self> {
        let text = match BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            Some((_, text)) => text.to_string(),
            None => read_text(Path::new(name_or_path)).with_context(|| {
                let names: Vec<_> = Self::names().collect();
                format!(
                    "cannot read protocol `{name_or_path}`: give one of {} or the path of a TOML file",
                    names.join(", ")
                )
            })?,
        };
        let invalid = || format!("protocol `{name_or_path}` is not valid");
        let mut protocol: Self = toml::from_str(&text).with_context(invalid)?;
        protocol.validate().with_context(invalid)?;
        if Self::names().any(|name| name == name_or_path) {
            let square = protocol.size() == Some(Size::square(256));
            protocol.published = paper::published(&protocol.dataset, square)?;
        }
        Ok(protocol)
    }

    /// The protocol that is for images of this size of a dataset of this name: that of its own, or
    /// [`FOLDER`].
    ///
    /// # Errors
    /// When a built-in protocol is not valid.
    pub fn of_dataset(dataset: &str, size: Size) -> Result<Self> {
        for name in Self::names() {
            let protocol = Self::load(name)?;
            let fits = protocol.size().is_none_or(|own| own == size);
            if fits && protocol.dataset.iter().any(|own| own == dataset) {
                return Ok(protocol);
            }
        }
        Self::load(FOLDER)
    }

    /// Names of the protocols that are part of the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Whether numbers of both mean the same: everything but the published figures is equal.
    pub fn means_the_same(&self, other: &Self) -> bool {
        let rules = |protocol: &Self| Self {
            published: Vec::new(),
            ..protocol.clone()
        };
        rules(self) == rules(other)
    }

    /// The size of its images, where it has one.
    pub fn size(&self) -> Option<Size> {
        Some(Size::new(self.height?, self.width?))
    }

    /// Refuses a dataset that the protocol is not for.
    ///
    /// # Errors
    /// Names both.
    pub fn accept(&self, dataset: &str) -> Result<()> {
        if self.dataset.is_empty() || self.dataset.iter().any(|own| own == dataset) {
            return Ok(());
        }
        bail!(
            "protocol `{}` is for {}, not for `{dataset}`: use --protocol {FOLDER}",
            self.name,
            self.dataset.join(" and ")
        )
    }

    fn validate(&self) -> Result<()> {
        ensure!(
            self.height.is_some() == self.width.is_some(),
            "key `height`: give both `height` and `width`, or neither"
        );
        for (key, value) in [
            ("height", self.height.unwrap_or(1)),
            ("width", self.width.unwrap_or(1)),
            ("images", self.images.unwrap_or(1)),
            ("features.height", self.features.map_or(1, |f| f.height)),
            ("features.width", self.features.map_or(1, |f| f.width)),
            ("kid.subsets", self.kid.subsets),
            ("timing.runs", self.timing.runs),
        ] {
            ensure!(value > 0, "key `{key}`: must be at least 1");
        }
        for (key, value) in [
            ("kid.size", self.kid.size),
            ("lpips.samples", self.lpips.samples),
        ] {
            ensure!(value > 1, "key `{key}`: must be at least 2");
        }
        let batches = &self.timing.batches;
        ensure!(
            batches.iter().all(|&batch| batch > 0),
            "key `timing.batches`: every batch must be at least 1"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_protocols_are_valid_and_named_after_their_files() {
        for name in Protocol::names() {
            assert_eq!(Protocol::load(name).unwrap().name, name);
        }
        let protocol = Protocol::load("cityscapes-256x512-v1").unwrap();
        assert_eq!(protocol.size(), Some(Size::new(256, 512)));
        assert_eq!(protocol.images, Some(500));
    }

    #[test]
    fn a_dataset_has_a_protocol_for_its_size() {
        let name = |dataset: &str, height, width| {
            let size = Size::new(height, width);
            Protocol::of_dataset(dataset, size).unwrap().name
        };
        assert_eq!(name("ade20k", 256, 256), "ade20k-256-v1");
        assert_eq!(name("coco-stuff-spade", 256, 256), "coco-stuff-256-v1");
        assert_eq!(name("camvid", 64, 96), "camvid-64x96-v2");
        assert_eq!(name("scenes", 128, 128), "scenes-128-v1");
        assert_eq!(name("scenes", 64, 64), "scenes-64-v1");
        for (dataset, height, width) in [("scenes", 64, 96), ("camvid", 96, 128), ("mine", 64, 64)]
        {
            assert_eq!(name(dataset, height, width), FOLDER);
        }
        let message = Protocol::load("ade20k-256-v1")
            .unwrap()
            .accept("camvid")
            .unwrap_err();
        assert!(
            message.to_string().contains("--protocol folder-v1"),
            "{message}"
        );
    }

    /// Results of protocols that do not use the table stay comparable with older ones.
    #[test]
    fn the_size_of_features_is_written_where_it_is_one() {
        let camvid = Protocol::load("camvid-64x96-v1").unwrap();
        let size = camvid.features.map(FeatureSettings::size);
        assert_eq!(size, Some(Size::new(240, 320)));
        let text = serde_json::to_string(&camvid).unwrap();
        assert_eq!(serde_json::from_str::<Protocol>(&text).unwrap(), camvid);
        let text = serde_json::to_string(&Protocol::load(FOLDER).unwrap()).unwrap();
        assert!(!text.contains("features"), "{text}");
    }

    #[test]
    fn the_papers_figures_are_there() {
        let protocol = Protocol::load("ade20k-256-v1").unwrap();
        let of = |table| {
            let found = protocol
                .published
                .iter()
                .find(|row| row.method == "DP-SIMS" && row.table == table);
            found.unwrap().values.clone()
        };
        assert_eq!(of(1)["fid"], 22.7);
        assert_eq!(of(1)["miou-mf"], 67.8);
        assert_eq!(of(9)["lpips-diversity"], 0.47);
        assert_eq!(of(4)["seconds"], 0.04);
    }

    #[test]
    fn mistakes_name_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        let problem = |from: &str, to: &str| {
            let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == FOLDER).unwrap();
            assert!(text.contains(from), "{from}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
            format!("{:#}", Protocol::load(path.to_str().unwrap()).unwrap_err())
        };
        assert!(problem("runs = 50", "runs = 0").contains("timing.runs"));
        assert!(problem("samples = 20", "samples = 1").contains("lpips.samples"));
        assert!(problem("seed = 0\n\n[fid]", "height = 4\nseed = 0\n[fid]").contains("`height`"));
        assert!(problem("warm_up", "warmup").contains("warmup"));
        let features = "[features]\nheight = 0\nwidth = 9\n\n[fid]";
        assert!(problem("[fid]", features).contains("`features.height`"));
        let missing = Protocol::load("no-such").unwrap_err().to_string();
        assert!(missing.contains("folder-v1"), "{missing}");
    }
}
