//! What can go wrong while a folder is surveyed.

use std::path::{Path, PathBuf};

use dp_sims_datasets::DatasetError;

use crate::check::Finding;

/// Why no description can be written for a folder.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a description already.
    #[error("{} exists: add --force to replace it", path.display())]
    Exists {
        /// The description file.
        path: PathBuf,
    },
    /// No photos and label maps belong together.
    #[error(
        "{} has no photos and label maps of the same names.\n  seen: {seen}\n  expected: a folder of \
         photos (.jpg, .jpeg, .png or .webp) and one of label maps (.png), such as photos/001.jpg and \
         masks/001.png, or photos/train/, photos/val/ and masks/train/, masks/val/; what follows \
         the common part of the names, such as _mask.png, must be the same for all label maps",
        root.display()
    )]
    NothingPairs {
        /// The folder.
        root: PathBuf,
        /// Folders with the numbers of their images.
        seen: String,
    },
    /// What would be label maps is JPEG or WebP.
    #[error(
        "{} pairs up with {}, but is a {}, which mixes the ids of neighbouring pixels: write the \
         label maps as 8-bit gray or palette PNGs, from their source",
        labels.display(), photo.display(), format(labels)
    )]
    LossyLabels {
        /// A would-be label map.
        labels: PathBuf,
        /// The photo of the same name.
        photo: PathBuf,
    },
    /// What would be a label map has the colours of a photo.
    #[error(
        "{} has {colours} and more colours: it looks like a photo, or like a label map that was \
         resized or saved with smoothing; label maps have one gray value, palette entry or colour \
         per class, 255 at most", path.display()
    )]
    PhotoLabels {
        /// The would-be label map.
        path: PathBuf,
        /// Number of colours after which counting stopped.
        colours: usize,
    },
    /// Some label maps are gray and others are coloured.
    #[error(
        "{} is gray, but {} is in colours: write all label maps in the same way",
        gray.display(), colour.display()
    )]
    Mixed {
        /// A gray label map.
        gray: PathBuf,
        /// A coloured label map.
        colour: PathBuf,
    },
    /// A value of a label map is no id.
    #[error(
        "{} has the value {value}, but ids are 0 to 255: it looks like an instance map; write a \
         label map in its place", path.display()
    )]
    LargeValue {
        /// The would-be label map.
        path: PathBuf,
        /// The largest value.
        value: u16,
    },
    /// The label maps look like something that cannot be trained on.
    #[error("{message}\n  remedy: {remedy}", message = finding.message, remedy = finding.remedy)]
    Unusable {
        /// What they look like.
        finding: Finding,
    },
    /// Every pixel is void.
    #[error("the label maps, of which {} is one, hold nothing but void: label some classes", path.display())]
    OnlyVoid {
        /// A label map.
        path: PathBuf,
    },
    /// A file cannot be read or written, or the description would not be valid.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}

/// What a file that is no PNG is by its ending.
fn format(path: &Path) -> &'static str {
    let webp = |ending: &std::ffi::OsStr| ending.eq_ignore_ascii_case("webp");
    match path.extension().is_some_and(webp) {
        true => "WebP",
        false => "JPEG",
    }
}
