use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::protocol::Protocol;

/// Version of the layout of `results.json`.
const FORMAT: u32 = 1;

/// What an evaluation found and how: `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of this layout.
    pub format: u32,
    /// Program and version.
    pub software: String,
    /// Everything that decides what the values mean.
    pub protocol: Protocol,
    /// Whether every image the protocol asks for was used.
    pub complete: bool,
    /// What was judged.
    pub subject: Subject,
    /// What it was judged against.
    pub data: DataRecord,
    /// Networks by their part in the evaluation.
    pub networks: BTreeMap<String, NetworkRecord>,
    /// Backend and device.
    pub backend: String,
    /// Values by name.
    pub values: BTreeMap<String, Value>,
    /// Classes in the order of the segmentation network, by metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, Vec<ClassValue>>,
    /// Latency and throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// Wall-clock seconds by part of the evaluation.
    pub seconds: BTreeMap<String, f64>,
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// `checkpoint`, `model` (a model file) or `images`.
    pub kind: String,
    /// Its folder or file, as it was named.
    pub path: String,
    /// Number of the image of every label map that was judged, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
    /// Experiment of a generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Training steps of a generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// SHA-256 of the file of the averaged generator, or of names and pixels of the images.
    pub sha256: String,
}

/// What images were judged against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Name of the dataset.
    pub dataset: String,
    /// Split that was used.
    pub split: String,
    /// Images that were used.
    pub images: usize,
    /// Images of the split.
    pub of: usize,
    /// Height and width in pixels.
    pub size: [usize; 2],
    /// SHA-256 of the names, the label maps and the photos at that size, in order.
    pub sha256: String,
}

/// A network that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// Its name.
    pub name: String,
    /// Names and SHA-256 of its weight files.
    pub files: BTreeMap<String, String>,
}

/// A number, and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// The number. Shares (mIoU, accuracy) are in percent. A distance may be infinite.
    #[serde(with = "any_number")]
    pub value: f64,
    /// Its standard error, where one is known.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "any_number::optional"
    )]
    pub standard_error: Option<f64>,
    /// Images, pairs of images or pixels it was taken over.
    pub count: u64,
}

/// Numbers that JSON has none for, as text: `"inf"`, `"-inf"` and `"NaN"`. `null`, which earlier versions
/// wrote for them, is read as NaN.
mod any_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
        Nothing(()),
    }

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            value.serialize(serializer)
        } else {
            value.to_string().serialize(serializer)
        }
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<f64, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number(value) => Ok(value),
            Written::Text(text) => text
                .parse()
                .map_err(|_| D::Error::custom(format!("`{text}` is no number"))),
            Written::Nothing(()) => Ok(f64::NAN),
        }
    }

    pub mod optional {
        use serde::{Deserializer, Serializer};

        pub fn serialize<S: Serializer>(
            value: &Option<f64>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'a, D: Deserializer<'a>>(
            deserializer: D,
        ) -> Result<Option<f64>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}

/// A class of a segmentation metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassValue {
    /// Name.
    pub name: String,
    /// Pixels of the label maps.
    pub pixels: u64,
    /// Intersection over union in percent; none for a class that is on neither side.
    pub iou: Option<f64>,
    /// Share of its pixels that were recognised, in percent; none without pixels.
    pub accuracy: Option<f64>,
}

/// Latency and throughput of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Timed runs of one image.
    pub runs: usize,
    /// Mean seconds of one image.
    pub mean_seconds: f64,
    /// Median seconds of one image.
    pub median_seconds: f64,
    /// Seconds that 95 in 100 runs stay below.
    pub p95_seconds: f64,
    /// Images per second by batch size.
    pub images_per_second: BTreeMap<usize, f64>,
    /// Parameters of the generator.
    pub parameters: u64,
    /// Multiply-adds of one image as the network is drawn.
    pub nominal_macs: u64,
    /// Multiply-adds of one image as they are executed.
    pub executed_macs: u64,
    /// Largest resident memory of the process in bytes so far; none where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Seconds from the checkpoint on disk to the first image.
    pub start_seconds: f64,
}

impl Results {
    /// The layout's version.
    pub fn format() -> u32 {
        FORMAT
    }

    /// Name and version of this program.
    pub fn software() -> String {
        format!("dp-sims {}", env!("CARGO_PKG_VERSION"))
    }

    /// Reads `results.json`, or the one in a folder.
    ///
    /// # Errors
    /// When it cannot be read or is of another layout.
    pub fn read(path: &Path) -> Result<Self> {
        let path = if path.is_dir() {
            path.join("results.json")
        } else {
            path.to_path_buf()
        };
        let shown = path.display();
        let text = crate::runtime::files::read_text(&path)
            .with_context(|| format!("cannot read {shown}"))?;
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_str(&text)
            .with_context(|| format!("{shown} holds no results of `dp-sims evaluate`"))?;
        ensure!(
            head.format == FORMAT,
            "{shown} has layout {}, this program reads layout {FORMAT}: evaluate again",
            head.format
        );
        serde_json::from_str(&text)
            .with_context(|| format!("{shown} holds no results of `dp-sims evaluate`"))
    }
}

impl Value {
    /// A number of which no error is known.
    pub fn plain(value: f64, count: usize) -> Self {
        Self {
            value,
            standard_error: None,
            count: count as u64,
        }
    }
}
