//! A first description of a folder of one's own, from what lies in it.

use std::fs;
use std::path::{Path, PathBuf};

use dp_sims_datasets::check::Progress;
use dp_sims_datasets::description::LabelValues;
use dp_sims_datasets::{DatasetError, Description, Split};

use crate::check::Finding;
use crate::check::diagnosis::diagnose;
use classes::{Found, find_classes};
use layout::find_layout;
use names::Names;
use values::{Values, read_values};

mod classes;
mod error;
mod layout;
mod looks;
mod names;
mod pairing;
mod text;
mod tree;
mod values;
mod words;

pub use error::InitError;

/// Most label maps that are read, spread evenly over all.
pub const MAX_MAPS: usize = 2000;

/// Name of the description file.
const FILE: &str = "dataset.toml";

/// What was found in a folder.
#[derive(Clone, Debug)]
pub struct FolderSurvey {
    /// The folder.
    pub root: PathBuf,
    /// Name of the dataset: that of the folder.
    pub name: String,
    /// The splits, in their usual order.
    pub splits: Vec<SurveyedSplit>,
    /// Ends of the photo names, in any letter case.
    pub image_suffixes: Vec<String>,
    /// End of the names of label maps, in any letter case.
    pub label_suffix: String,
    /// What the values of the label maps are.
    pub label_values: LabelValues,
    /// The classes beside void.
    pub classes: Vec<SurveyedClass>,
    /// Ids that mean void.
    pub void: Vec<u8>,
    /// Pixels of void in the label maps that were read.
    pub void_pixels: u64,
    /// Number of label maps that were read, at most [`MAX_MAPS`].
    pub maps_read: usize,
    /// The file with names of classes, if there is one.
    pub names_file: Option<PathBuf>,
    /// False when that file has names for ids but the label maps are coloured, or the reverse.
    pub names_fit: bool,
    /// True when the colours are those of the files and not made up.
    pub own_colours: bool,
    /// Ids or colours in the label maps that the file of names lacks, with their pixels. They are in
    /// no class, so that `dataset check` finds them all.
    pub unlisted: Vec<(String, u64)>,
    /// What the file of names calls black, which is void in coloured label maps.
    pub black: Option<String>,
    /// What the label maps look like where they may not be what the description says: what
    /// `dataset check` would say of them.
    pub findings: Vec<Finding>,
}

/// A split of a surveyed folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedSplit {
    /// Which split it is.
    pub split: Split,
    /// Folder of the photos, relative to the root folder.
    pub images: String,
    /// Folder of the label maps, relative to the root folder.
    pub labels: String,
    /// Number of pairs.
    pub pairs: usize,
    /// Number of photos in their folder, with or without label map.
    pub photos: usize,
    /// Number of label maps in their folder, with or without photo.
    pub maps: usize,
    /// Photos without label map, relative to their folder; reading the dataset needs none.
    pub lonely_photos: Vec<String>,
    /// Label maps without photo, relative to their folder; reading the dataset needs none.
    pub lonely_labels: Vec<String>,
    /// Folder and suffix of other PNGs that pair up with the photos, such as instance maps.
    pub others: Vec<(String, String)>,
}

/// A class of a surveyed folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedClass {
    /// Name from a file of names, or `class 7`.
    pub name: String,
    /// Colour from the files, or made up.
    pub colour: [u8; 3],
    /// Ids in the label maps; none where these are coloured.
    pub ids: Vec<u8>,
    /// Pixels in the label maps that were read.
    pub pixels: u64,
}

/// Looks for photos and label maps in a folder, and reads label maps, at most [`MAX_MAPS`] of them.
///
/// # Errors
/// When nothing pairs up, the label maps are of a kind that cannot be used, or a file cannot be read.
pub fn survey(root: &Path, progress: &Progress) -> Result<FolderSurvey, InitError> {
    let layout = find_layout(root)?;
    let maps = &layout.maps;
    let read = maps.len().min(MAX_MAPS);
    let spread = (0..read).map(|index| maps[index * maps.len() / read].clone());
    let sample: Vec<PathBuf> = spread.collect();
    let (values, evidence) = read_values(&sample, progress)?;
    let names = Names::find(root)?;
    let Found {
        classes,
        void,
        void_pixels,
        names_fit,
        own_colours,
        unlisted,
        black,
    } = find_classes(&values, names.as_ref(), read == maps.len());
    if classes.is_empty() {
        let path = sample[0].clone();
        return Err(InitError::OnlyVoid { path });
    }
    let mut survey = FolderSurvey {
        root: root.to_path_buf(),
        name: name_of(root),
        image_suffixes: layout.suffixes.photos,
        label_suffix: layout.suffixes.labels,
        splits: layout.splits,
        label_values: match values {
            Values::Ids { .. } => LabelValues::Ids,
            Values::Colours(_) => LabelValues::Colours,
        },
        classes,
        void,
        void_pixels,
        maps_read: read,
        names_file: names.map(|names| names.file),
        names_fit,
        own_colours,
        unlisted,
        black,
        findings: Vec::new(),
    };
    let description = Description::parse(&survey.toml(), &survey.file())?;
    let mut findings = diagnose(&evidence, &description, survey.label_values, &[]);
    if let Some(place) = findings.iter().position(|finding| finding.kind.spoils()) {
        let finding = findings.swap_remove(place);
        return Err(InitError::Unusable { finding });
    }
    survey.findings = findings;
    Ok(survey)
}

impl FolderSurvey {
    /// Number of label maps in all splits.
    pub fn maps(&self) -> usize {
        self.splits.iter().map(|split| split.pairs).sum()
    }

    /// Path of the description file.
    pub fn file(&self) -> PathBuf {
        self.root.join(FILE)
    }

    /// The text of the description, with comments that say what to edit.
    pub fn toml(&self) -> String {
        text::toml(self)
    }

    /// Writes the description file; one that exists is replaced only with `force`.
    ///
    /// # Errors
    /// [`InitError::Exists`], or when the file cannot be written.
    pub fn write(&self, force: bool) -> Result<(), InitError> {
        refuse_existing(&self.root, force)?;
        let path = self.file();
        // Written beside and renamed: nobody reads half a description.
        let partial = self.root.join(format!("{FILE}.partial"));
        fs::write(&partial, self.toml())
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(|source| DatasetError::Write { path, source })?;
        Ok(())
    }
}

/// Refuses a folder that has a description, unless `force` is set; worth asking before a survey.
///
/// # Errors
/// [`InitError::Exists`].
pub fn refuse_existing(root: &Path, force: bool) -> Result<(), InitError> {
    let path = root.join(FILE);
    match path.exists() && !force {
        true => Err(InitError::Exists { path }),
        false => Ok(()),
    }
}

fn name_of(root: &Path) -> String {
    let real = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    match name.is_empty() {
        true => "dataset".to_string(),
        false => name.into_owned(),
    }
}

#[cfg(test)]
mod tests;
