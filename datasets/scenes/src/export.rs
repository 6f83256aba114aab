//! Writing the procedural dataset to disk in the layouts of ADE20K, COCO-Stuff and Cityscapes, or as
//! a described folder, so that everything that reads those can be tried without them.
//!
//! What goes where is taken from the [`Description`] that reads the layout.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use dp_sims_datasets::check::Progress;
use dp_sims_datasets::description::{Folders, Instances, PanopticFiles, SplitFiles};
use dp_sims_datasets::{DatasetError, Description, LabelledImages, Size, Split};
use rayon::prelude::*;
use strum::{Display, EnumString, VariantArray};

use crate::Scenes;
use annotations::Record;
use classes::ClassMap;
use write::SplitWriter;

mod annotations;
mod classes;
mod error;
mod folder;
mod segments;
mod write;

pub use error::ExportError;
pub use folder::folder_description;

/// Most images in a split: the names have room for six digits.
const MAX_IMAGES: usize = 1_000_000;

/// Longest side of an image, in pixels.
const MAX_SIDE: usize = 4096;

/// The splits that are written.
const SPLITS: [Split; 2] = [Split::Train, Split::Validation];

/// A layout that can be written. Its name is also that of the built-in description that reads it, but
/// for `folder`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantArray)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = ExportError, parse_err_fn = unknown_layout)]
pub enum Layout {
    /// ADEChallengeData2016: JPEG photos and 8-bit label maps in the classes of ADE20K.
    Ade20k,
    /// COCO-Stuff as stuffthingmaps, with `instances_*2017.json` and `panoptic_*2017.json`.
    CocoStuff,
    /// Cityscapes: PNG photos, `labelIds` and 16-bit `instanceIds`.
    Cityscapes,
    /// PNG photos, label maps and instance maps in the scenes' own classes, with a `dataset.toml`.
    Folder,
}

impl Layout {
    /// Height and width of the images where none are asked for; Cityscapes is twice as wide as high.
    pub fn default_size(&self) -> Size {
        match self {
            Self::Cityscapes => Size::new(256, 512),
            _ => Size::square(256),
        }
    }

    /// Number of an image in annotation files, unique over both splits.
    fn image_id(split: Split, index: usize) -> usize {
        match split {
            Split::Train => index + 1,
            Split::Validation | Split::Test => MAX_IMAGES + index + 1,
        }
    }

    /// Name of an image inside its split, in the manner of the dataset. In the order of the names
    /// images are in the order of their indices.
    fn image_name(&self, split: Split, index: usize) -> String {
        match (self, split) {
            (Self::Ade20k, Split::Train) => format!("ADE_train_{:08}", index + 1),
            (Self::Ade20k, _) => format!("ADE_val_{:08}", index + 1),
            (Self::CocoStuff, _) => format!("{:012}", Self::image_id(split, index)),
            (Self::Cityscapes, _) => format!("scenes/scenes_{index:06}_000019"),
            (Self::Folder, _) => format!("scene-{index:06}"),
        }
    }

    /// Instances that the layout has beside those its description names.
    fn more_instances(&self, split: Split) -> Option<Instances> {
        let part = match split {
            Split::Train => "train",
            Split::Validation | Split::Test => "val",
        };
        (*self == Self::CocoStuff).then(|| {
            Instances::Panoptic(PanopticFiles {
                folder: format!("annotations/panoptic_{part}2017").into(),
                suffix: ".png".to_string(),
                file: format!("annotations/panoptic_{part}2017.json").into(),
                id_offset: -1,
            })
        })
    }
}

fn unknown_layout(name: &str) -> ExportError {
    ExportError::UnknownLayout {
        name: name.to_string(),
    }
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportConfig {
    /// Where the files go and which classes they have.
    pub layout: Layout,
    /// Images in the training split, 1 to 1,000,000.
    pub train: usize,
    /// Images in the validation split, 1 to 1,000,000.
    pub validation: usize,
    /// Height and width of every image, each 1 to 4096 pixels.
    pub size: Size,
    /// Which scenes. No two splits of any two seeds share one; the splits of seed 0 are those that
    /// the dataset `scenes` has in training.
    pub seed: u64,
}

impl ExportConfig {
    /// The scenes of a split.
    fn scenes(&self, split: Split) -> Scenes {
        let first = self.seed.wrapping_mul(2);
        match split {
            Split::Train => Scenes::new(self.train, first),
            Split::Validation | Split::Test => Scenes::new(self.validation, first + 1),
        }
    }

    fn check(&self) -> Result<(), ExportError> {
        for (split, count) in SPLITS.into_iter().zip([self.train, self.validation]) {
            if !(1..=MAX_IMAGES).contains(&count) {
                return Err(ExportError::Count { split, count });
            }
        }
        let valid = 1..=MAX_SIDE;
        if !valid.contains(&self.size.height) || !valid.contains(&self.size.width) {
            return Err(ExportError::Size { size: self.size });
        }
        Ok(())
    }
}

/// Writes scenes into the folder `out`, as `description`, the one that reads the layout, says.
///
/// The bytes are a function of `config` and `description`. `out` appears when everything is
/// written; until then the files are in a hidden folder beside it.
///
/// # Errors
/// When a setting is out of range, `out` is not empty, the description lacks a class or folders, or a
/// file cannot be written.
pub fn export(
    config: &ExportConfig,
    description: &Description,
    out: &Path,
    progress: &Progress,
) -> Result<(), ExportError> {
    config.check()?;
    let out = std::path::absolute(out).map_err(|source| write_error(out, source))?;
    refuse_files(&out)?;
    let classes = ClassMap::new(
        config.layout,
        config.scenes(Split::Train).classes(),
        description,
    )?;

    let parent = out.parent().unwrap_or(&out);
    std::fs::create_dir_all(parent).map_err(|source| write_error(parent, source))?;
    let staging = tempfile::Builder::new()
        .prefix(".dp-sims-export-")
        .tempdir_in(parent)
        .map_err(|source| write_error(parent, source))?;
    // Temporary folders are for their owner alone; one inside has the usual permissions.
    let root = staging.path().join("dataset");
    std::fs::create_dir(&root).map_err(|source| write_error(&root, source))?;

    let done = AtomicUsize::new(0);
    let total = config.train + config.validation;
    for split in SPLITS {
        let folders = folders(description, split)?;
        let described = folders.instances.clone();
        let sources: Vec<_> = described
            .into_iter()
            .chain(config.layout.more_instances(split))
            .collect();
        let writer = SplitWriter {
            root: &root,
            folders,
            sources: &sources,
            classes: &classes,
            description,
        };
        let scenes = config.scenes(split);
        let write = |index| {
            let sample = scenes.sample(index, config.size)?;
            let name = config.layout.image_name(split, index);
            let record = writer.write(&name, Layout::image_id(split, index), &sample)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Ok(record)
        };
        let records: Result<Vec<Record>, ExportError> =
            (0..scenes.len()).into_par_iter().map(write).collect();
        writer.finish(&records?)?;
    }
    if config.layout == Layout::Folder {
        folder::write_description(description, &root.join("dataset.toml"))?;
    }
    if out.exists() {
        // Refuses once more what has been filled in the meantime.
        std::fs::remove_dir(&out).map_err(|source| write_error(&out, source))?;
    }
    std::fs::rename(&root, &out).map_err(|source| write_error(&out, source))?;
    Ok(())
}

/// The folders of a split.
fn folders(description: &Description, split: Split) -> Result<&Folders, ExportError> {
    match description.files(split) {
        Some(SplitFiles::Folders(folders)) => Ok(folders),
        _ => Err(ExportError::NoFolders {
            dataset: description.name.clone(),
            split,
        }),
    }
}

/// Refuses a folder that holds something, and a file.
fn refuse_files(out: &Path) -> Result<(), ExportError> {
    if !out.exists() {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(out).map_err(|source| DatasetError::Read {
        path: out.to_path_buf(),
        source,
    })?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(ExportError::NotEmpty {
            path: out.to_path_buf(),
        }),
    }
}

fn write_error(path: &Path, source: std::io::Error) -> DatasetError {
    DatasetError::Write {
        path: PathBuf::from(path),
        source,
    }
}

#[cfg(test)]
mod tests;
