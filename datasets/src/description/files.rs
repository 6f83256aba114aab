//! Where the files of a split are: list files, folders and sources of instances.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::non_empty;
use crate::error::DescriptionError;
use crate::open::read_text;
use crate::split::Split;

/// Most bytes a list file may have: 256 MiB, some million lines.
pub(crate) const MAX_LIST_BYTES: u64 = 1 << 28;

/// Ends of photo names, in lower case.
pub const PHOTO_ENDINGS: [&str; 4] = [".jpg", ".jpeg", ".png", ".webp"];

/// How the files of a split are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SplitFiles {
    /// A text file names every pair.
    List(ListFile),
    /// A folder of photos and a folder of label maps, matched by name.
    Folders(Folders),
}

/// A text file with one `PHOTO LABELS` pair of paths per line, separated by white space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListFile {
    /// Text file with one `PHOTO LABELS` pair of paths per line, separated by white space; empty
    /// lines are ignored.
    #[schemars(length(min = 1))]
    pub file: PathBuf,
    /// Cut off the front of every path; the rest is relative to the root folder.
    #[serde(default)]
    pub strip_prefix: String,
    /// What the values of the label maps are.
    #[serde(default)]
    pub label_values: LabelValues,
}

/// Folders of photos and label maps, searched with their sub-folders. Links are followed, hidden
/// files are passed over.
///
/// A pair is a photo and a label map whose paths below their folders are equal once the suffixes
/// are cut off. Where both are in one folder, the longer suffix tells what a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Folders {
    /// Folder of the photos, with its sub-folders.
    pub images: PathBuf,
    /// Ends of the photo names, in any letter case.
    #[serde(default = "default_image_suffixes")]
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub image_suffixes: Vec<String>,
    /// Folder of the label maps, with its sub-folders.
    pub labels: PathBuf,
    /// End of the label-map names, in any letter case.
    #[serde(default = "default_png_suffix")]
    #[schemars(length(min = 1))]
    pub label_suffix: String,
    /// What the values of the label maps are.
    #[serde(default)]
    pub label_values: LabelValues,
    /// Where the instances of things come from. Read only for the centre offsets of objects
    /// (`generator.offsets`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
}

/// What the values of label maps are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LabelValues {
    /// Gray values or palette indices are ids.
    #[default]
    Ids,
    /// Label maps are RGB and hold the colours of the classes; black is void.
    Colours,
}

/// Where the instances of things come from. Only pixels of things belong to instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Instances {
    /// A gray or palette PNG of instance numbers beside every label map.
    Png(InstancePng),
    /// A JSON file in the format of COCO's `instances_train2017.json`.
    Coco(CocoFile),
    /// RGB PNGs and a JSON file in the format of COCO's `panoptic_train2017`.
    Panoptic(PanopticFiles),
}

/// PNGs of instance numbers, of 8 or 16 bits, named as the label maps but for the suffix (notes S16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstancePng {
    /// Folder of the PNGs of instance numbers, 8 or 16 bits, named as the label maps but for the
    /// suffix.
    pub folder: PathBuf,
    /// End of the PNG names, in any letter case.
    #[serde(default = "default_png_suffix")]
    #[schemars(length(min = 1))]
    pub suffix: String,
    /// Smallest value that is an instance, at least 1. Cityscapes needs 1000: smaller values are
    /// plain label ids.
    #[serde(default = "default_first")]
    #[schemars(range(min = 1))]
    pub first: u16,
}

/// Instances as polygons or run lengths; crowds are no instances.
///
/// An instance covers only pixels of the class of its category. Where two overlap, the later one
/// in the file is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CocoFile {
    /// JSON in the format of COCO's `instances_train2017.json`. Its `file_name`s without suffix are
    /// the paths below the photo folder.
    #[schemars(length(min = 1))]
    pub file: PathBuf,
    /// Added to a category to get its id in the label maps.
    #[serde(default)]
    pub id_offset: i32,
}

/// Segments numbered R + 256 G + 65536 B, with a JSON file that gives their categories; crowds are
/// no instances.
///
/// An instance covers only pixels of the class of its category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanopticFiles {
    /// Folder of the PNGs of segments R + 256 G + 65536 B, named as the photos but for the suffix.
    pub folder: PathBuf,
    /// End of the PNG names, in any letter case.
    #[serde(default = "default_png_suffix")]
    #[schemars(length(min = 1))]
    pub suffix: String,
    /// JSON of the categories of the segments, in the format of COCO's `panoptic_train2017`.
    #[schemars(length(min = 1))]
    pub file: PathBuf,
    /// Added to a category to get its id in the label maps.
    #[serde(default)]
    pub id_offset: i32,
}

fn default_image_suffixes() -> Vec<String> {
    PHOTO_ENDINGS.map(String::from).to_vec()
}

fn default_png_suffix() -> String {
    ".png".to_string()
}

fn default_first() -> u16 {
    1
}

impl SplitFiles {
    /// What the values of the label maps are.
    pub fn label_values(&self) -> LabelValues {
        match self {
            Self::List(list) => list.label_values,
            Self::Folders(folders) => folders.label_values,
        }
    }

    /// Whether `root` looks like the place of these files: the folders of photos and label maps are
    /// there, or a list file whose paths have the prefix to strip.
    pub fn are_in(&self, root: &Path) -> bool {
        match self {
            Self::List(list) => read_text(&root.join(&list.file), MAX_LIST_BYTES)
                .is_ok_and(|text| text.starts_with(&list.strip_prefix)),
            Self::Folders(folders) => [&folders.images, &folders.labels]
                .into_iter()
                .all(|folder| root.join(folder).is_dir()),
        }
    }

    /// Smallest value of an instance PNG that is an instance, where instances come from such.
    pub fn first_instance(&self) -> Option<u16> {
        match self.instances()? {
            Instances::Png(png) => Some(png.first),
            Instances::Coco(_) | Instances::Panoptic(_) => None,
        }
    }

    /// Where the instances come from, `None` when that is not described.
    pub fn instances(&self) -> Option<&Instances> {
        match self {
            Self::List(_) => None,
            Self::Folders(folders) => folders.instances.as_ref(),
        }
    }

    pub(super) fn validate(&self, split: Split) -> Result<(), DescriptionError> {
        match self {
            Self::List(list) => {
                let file = list.file.to_string_lossy();
                non_empty(&format!("{split}.list.file"), &file, "name the list file")
            }
            Self::Folders(folders) => folders.validate(&format!("{split}.folders")),
        }
    }
}

impl Folders {
    fn validate(&self, table: &str) -> Result<(), DescriptionError> {
        let key = format!("{table}.image_suffixes");
        let remedy = "list the ends of the photo names, such as \".jpg\"";
        if self.image_suffixes.is_empty() {
            return Err(DescriptionError::Empty { key, remedy });
        }
        for suffix in &self.image_suffixes {
            non_empty(&key, suffix, remedy)?;
        }
        let key = format!("{table}.label_suffix");
        let remedy = "write the end of the label-map names";
        non_empty(&key, &self.label_suffix, remedy)?;
        match &self.instances {
            Some(instances) => instances.validate(&format!("{table}.instances")),
            None => Ok(()),
        }
    }
}

impl Instances {
    fn validate(&self, table: &str) -> Result<(), DescriptionError> {
        let suffix = |kind: &str, suffix: &str| {
            let key = format!("{table}.{kind}.suffix");
            non_empty(&key, suffix, "write the end of the instance-map names")
        };
        let file = |kind: &str, file: &PathBuf| {
            let key = format!("{table}.{kind}.file");
            non_empty(&key, &file.to_string_lossy(), "name the JSON file")
        };
        match self {
            Self::Png(png) => {
                if png.first == 0 {
                    let key = format!("{table}.png.first");
                    return Err(DescriptionError::FirstInstance { key });
                }
                suffix("png", &png.suffix)
            }
            Self::Coco(coco) => file("coco", &coco.file),
            Self::Panoptic(panoptic) => {
                suffix("panoptic", &panoptic.suffix)?;
                file("panoptic", &panoptic.file)
            }
        }
    }
}
