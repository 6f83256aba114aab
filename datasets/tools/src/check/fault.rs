//! What is wrong with the files of a split, one entry per place.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};

use dp_sims_datasets::DatasetError;
use serde::{Serialize, Serializer};

use super::diagnosis::Finding;
use crate::scan::Tally;

/// Most faults of a split that are kept; beyond, they are only counted.
pub(super) const MAX_LISTED: usize = 10_000;

/// The nature of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A photo without label map or the other way round.
    MissingPartner,
    /// A line of a list file that is no pair.
    ListLine,
    /// Two files of the same name.
    AmbiguousName,
    /// A file name that is not UTF-8.
    NotUtf8,
    /// A split without images.
    EmptySplit,
    /// A file or folder that cannot be read, or a link in a circle.
    Unreadable,
    /// A file that is no image of its kind, or damaged.
    Damaged,
    /// A label map that is a PNG of a kind without ids or class colours.
    LabelFormat,
    /// An id that is not described.
    UnknownId,
    /// A value above 255.
    LargeId,
    /// A colour that no class has.
    UnknownColour,
    /// A photo and a label map of different sizes.
    SizeMismatch,
    /// A photo that its EXIF tag turns, but not its label map.
    Turned,
    /// Instances that cannot be read or do not fit their label map.
    Instances,
    /// Label maps that look like something that must not be trained on.
    Unusable,
    /// Anything else.
    Other,
}

impl FaultKind {
    /// What faults of the kind are, in the plural.
    pub fn title(self) -> &'static str {
        self.words().0
    }

    /// What to do about faults of the kind.
    pub fn remedy(self) -> &'static str {
        self.words().1
    }

    /// What faults of the kind are, and what to do about them.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::MissingPartner => (
                "photos or label maps without partner",
                "add the missing file or remove its partner",
            ),
            Self::ListLine => (
                "lines of list files that are no pairs",
                "correct the line, or `strip_prefix` of the split",
            ),
            Self::AmbiguousName => (
                "names that two files have",
                "rename one of the files or narrow the suffixes",
            ),
            Self::NotUtf8 => ("names that are not UTF-8", "rename the file or its folder"),
            Self::EmptySplit => (
                "splits without images",
                "check the data folder and the suffixes",
            ),
            Self::Unreadable => (
                "files or folders that cannot be read",
                "check that the file exists and may be read",
            ),
            Self::Damaged => ("damaged files", "replace the file by a whole one"),
            Self::LabelFormat => (
                "label maps of another kind",
                "write 8-bit gray or palette PNGs of ids, or set `label_values = \"colours\"`",
            ),
            Self::UnknownId => (
                "unknown ids",
                "add the id to the `ids` of a class or to `void`",
            ),
            Self::LargeId => (
                "label maps with values above 255",
                "write label maps in place of instance maps",
            ),
            Self::UnknownColour => (
                "label maps with unknown colours",
                "give the colour to a class, or write the label maps without smoothing",
            ),
            Self::SizeMismatch => (
                "photos and label maps of different sizes",
                "resize one of them: photos smoothly, label maps nearest neighbour",
            ),
            Self::Turned => (
                "photos that are turned, but not their label maps",
                "remove the EXIF tag, or turn the label map",
            ),
            Self::Instances => (
                "instances that cannot be read or do not fit",
                "take label maps and instances from the same release",
            ),
            Self::Unusable => (
                "diagnoses that would spoil training",
                "make the label maps anew, as the diagnosis says",
            ),
            Self::Other => ("other faults", "see the message"),
        }
    }
}

/// Something wrong with a file of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its nature.
    pub kind: FaultKind,
    /// The faulty file: the label map where a pair is at fault, the missing file of half a pair.
    #[serde(serialize_with = "as_text")]
    pub file: PathBuf,
    /// Column of the first faulty pixel, for faults of pixels.
    pub x: Option<usize>,
    /// Row of the first faulty pixel, for faults of pixels.
    pub y: Option<usize>,
    /// The value of that pixel, for faults of ids.
    pub id: Option<u32>,
    /// Number of pixels with the fault in the file, for faults of pixels.
    pub pixels: Option<u64>,
    /// What is wrong, as `train` would say it.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Fault {
    /// The fault behind an error; `pixels` counts its pixels, for faults of pixels.
    pub(super) fn new(error: &DatasetError, pixels: Option<u64>) -> Self {
        let (kind, file) = kind_and_file(error);
        let (place, id) = place(error);
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            message = format!("{message}: {source}");
            cause = source.source();
        }
        if let Some(pixels) = pixels.filter(|&pixels| pixels > 1) {
            message = format!("{message} ({pixels} pixels)");
        }
        Self {
            kind,
            file: file.to_path_buf(),
            x: place.map(|place| place.0),
            y: place.map(|place| place.1),
            id,
            pixels,
            message,
            remedy: kind.remedy(),
        }
    }

    /// The fault behind a diagnosis of the label maps in `place`.
    pub(super) fn of_finding(finding: &Finding, place: PathBuf) -> Self {
        let kind = FaultKind::Unusable;
        Self {
            kind,
            message: format!("{}: {}", place.display(), finding.message),
            file: place,
            x: None,
            y: None,
            id: None,
            pixels: None,
            remedy: kind.remedy(),
        }
    }
}

/// Writes a path that may be no UTF-8.
fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The kind of an error, and the file to look at; no path for errors that name none.
fn kind_and_file(error: &DatasetError) -> (FaultKind, &Path) {
    use {DatasetError as E, FaultKind as K};
    match error {
        E::MissingPair { missing, .. } => (K::MissingPartner, missing),
        E::ListLine { path, .. } => (K::ListLine, path),
        E::AmbiguousName { first, .. } => (K::AmbiguousName, first),
        E::NotUtf8 { path } => (K::NotUtf8, path),
        E::EmptySplit { path, .. } => (K::EmptySplit, path),
        E::Read { path, .. } | E::LinkLoop { path } => (K::Unreadable, path),
        E::Decode { path, .. } => (K::Damaged, path),
        E::LabelFormat { path, .. } => (K::LabelFormat, path),
        E::UnknownId { path, .. } => (K::UnknownId, path),
        E::LargeId { path, .. } => (K::LargeId, path),
        E::UnknownColour { path, .. } => (K::UnknownColour, path),
        E::SizeMismatch { labels, .. } => (K::SizeMismatch, labels),
        E::Turned { labels, .. } => (K::Turned, labels),
        E::InstanceSize { instances, .. } => (K::Instances, instances),
        E::UnknownSegment { path, .. } | E::Annotations { path, .. } => (K::Instances, path),
        E::Write { path, .. } => (K::Other, path),
        E::Description { file, .. } => (K::Other, file),
        _ => (K::Other, Path::new("")),
    }
}

/// Column and row of the faulty pixel, and its value where it is an id.
fn place(error: &DatasetError) -> (Option<(usize, usize)>, Option<u32>) {
    use DatasetError as E;
    match *error {
        E::UnknownId { x, y, id, .. } => (Some((x, y)), Some(u32::from(id))),
        E::LargeId { x, y, id, .. } => (Some((x, y)), Some(u32::from(id))),
        E::UnknownSegment { x, y, id, .. } => (Some((x, y)), Some(id)),
        E::UnknownColour { x, y, .. } => (Some((x, y)), None),
        _ => (None, None),
    }
}

/// The faults of a split: all of them counted, and the first of them listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Number of faults.
    pub count: u64,
    /// Number of faults by kind.
    pub by_kind: BTreeMap<FaultKind, u64>,
    /// Pixels and label maps of every unknown id.
    pub unknown_ids: BTreeMap<u32, Tally>,
    /// The faults, at most 10,000: first those of names and lists, then image by image.
    pub listed: Vec<Fault>,
}

impl Faults {
    /// Adds a fault.
    pub(super) fn push(&mut self, fault: Fault) {
        self.count += 1;
        *self.by_kind.entry(fault.kind).or_default() += 1;
        if let (FaultKind::UnknownId, Some(id)) = (fault.kind, fault.id) {
            let pixels = fault.pixels.unwrap_or(1);
            self.unknown_ids.entry(id).or_default().add(pixels);
        }
        if self.listed.len() < MAX_LISTED {
            self.listed.push(fault);
        }
    }

    /// True when nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of different files among the listed faults.
    pub fn files(&self) -> usize {
        let files: BTreeSet<&Path> = self
            .listed
            .iter()
            .map(|fault| fault.file.as_path())
            .collect();
        files.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(id: u8) -> Fault {
        let error = DatasetError::UnknownId {
            path: "masks/a.png".into(),
            x: 3,
            y: 2,
            id,
        };
        Fault::new(&error, Some(7))
    }

    #[test]
    fn a_fault_has_the_place_and_the_words_of_its_error() {
        let fault = unknown(9);
        assert_eq!(fault.kind, FaultKind::UnknownId);
        assert_eq!(fault.file, Path::new("masks/a.png"));
        assert_eq!((fault.x, fault.y, fault.id), (Some(3), Some(2), Some(9)));
        assert!(fault.message.contains("unknown id 9") && fault.message.ends_with("(7 pixels)"));
        let source = std::io::Error::other("no disk");
        let error = DatasetError::Read {
            path: "a.png".into(),
            source,
        };
        let fault = Fault::new(&error, None);
        assert_eq!(fault.message, "cannot read a.png: no disk");
        assert_eq!((fault.kind, fault.x), (FaultKind::Unreadable, None));
    }

    #[test]
    fn faults_beyond_the_listed_ones_are_counted() {
        let mut faults = Faults::default();
        assert!(faults.is_empty());
        for place in 0..MAX_LISTED + 5 {
            faults.push(unknown((place % 2) as u8));
        }
        assert_eq!(faults.count, 10_005);
        assert_eq!((faults.listed.len(), faults.files()), (10_000, 1));
        assert_eq!(faults.by_kind[&FaultKind::UnknownId], 10_005);
        let zero = faults.unknown_ids[&0];
        assert_eq!((zero.maps, zero.pixels), (5_003, 5_003 * 7));
    }
}
