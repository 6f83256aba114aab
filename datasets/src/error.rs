//! The errors of the crate. Every one names the file, key or pixel and says what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::class::hex;
use crate::size::Size;
use crate::split::Split;

mod description;

pub use description::DescriptionError;
pub(crate) use description::MAX_CLASSES;

/// What can go wrong while a dataset is described, opened, checked, sampled or loaded.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause given by the system.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause given by the system.
        source: io::Error,
    },
    /// A dataset description is not valid.
    #[error("dataset description {} is not valid", file.display())]
    Description {
        /// The description file.
        file: PathBuf,
        /// What is wrong with it.
        source: DescriptionError,
    },
    /// The description has no such split.
    #[error("dataset `{dataset}` describes no {split} split: add a [{split}] table")]
    NoSuchSplit {
        /// Name of the dataset.
        dataset: String,
        /// The missing split.
        split: Split,
    },
    /// A split has no image.
    #[error("the {split} split has no image in {}: check the data folder and the suffixes", path.display())]
    EmptySplit {
        /// The empty split.
        split: Split,
        /// The list file or image folder that was read.
        path: PathBuf,
    },
    /// A line of a list file does not name a photo and a label map.
    #[error("{}:{line}: {problem}", path.display())]
    ListLine {
        /// The list file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// What is wrong with the line, and the remedy.
        problem: String,
    },
    /// One half of a photo and label-map pair does not exist.
    #[error(
        "{} is missing, but {} exists or is listed: add the file or remove its partner",
        missing.display(), partner.display()
    )]
    MissingPair {
        /// The file that does not exist.
        missing: PathBuf,
        /// The other file of the pair.
        partner: PathBuf,
    },
    /// Two photos, or two label maps, have the same name but for their suffixes.
    #[error(
        "{} and {} have the same name: rename one of them or narrow the suffixes",
        first.display(), second.display()
    )]
    AmbiguousName {
        /// One file.
        first: PathBuf,
        /// The other file.
        second: PathBuf,
    },
    /// The path of a file below its folder is no text, which names of images are.
    #[error("{path:?} has a name that is not UTF-8: rename the file or its folder")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A link leads to a folder above itself.
    #[error("{} is a link to a folder above it: remove the link", path.display())]
    LinkLoop {
        /// The link.
        path: PathBuf,
    },
    /// A file is damaged or not an image.
    #[error("cannot decode {}: {reason}; replace the file", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A label, instance or panoptic map is a PNG of a kind that carries no such values.
    #[error("{} is {found}, which is of no use here: {remedy}", path.display())]
    LabelFormat {
        /// The map.
        path: PathBuf,
        /// What the file is.
        found: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A label map has an id that the description does not know.
    #[error(
        "{}: pixel (x={x}, y={y}) has the unknown id {id}: \
         add {id} to the `ids` of a class or to `void`", path.display()
    )]
    UnknownId {
        /// The label map.
        path: PathBuf,
        /// Column of the first such pixel.
        x: usize,
        /// Row of the first such pixel.
        y: usize,
        /// The id in the file.
        id: u8,
    },
    /// A label map has a value that is no id.
    #[error(
        "{}: pixel (x={x}, y={y}) has the value {id}, but ids are 0 to 255: \
         write a label map in place of what looks like an instance map", path.display()
    )]
    LargeId {
        /// The label map.
        path: PathBuf,
        /// Column of the first such pixel.
        x: usize,
        /// Row of the first such pixel.
        y: usize,
        /// The value in the file.
        id: u16,
    },
    /// A colour-coded label map has a colour that the description does not know.
    #[error(
        "{}: pixel (x={x}, y={y}) has the unknown colour {}: give it to a class, \
         or, if it is a mixture of two, write the label map without smoothing",
        path.display(), hex(*colour)
    )]
    UnknownColour {
        /// The label map.
        path: PathBuf,
        /// Column of the first such pixel.
        x: usize,
        /// Row of the first such pixel.
        y: usize,
        /// The RGB colour in the file.
        colour: [u8; 3],
    },
    /// A JSON file of instances is not valid or lacks something.
    #[error("{}: {problem}", path.display())]
    Annotations {
        /// The JSON file.
        path: PathBuf,
        /// The place in the file, what is wrong there, and the remedy.
        problem: String,
    },
    /// A panoptic PNG has a segment that its JSON file does not know.
    #[error(
        "{}: pixel (x={x}, y={y}) has the segment {id}, which {} does not list for this image: \
         take both from the same release", path.display(), file.display()
    )]
    UnknownSegment {
        /// The panoptic PNG.
        path: PathBuf,
        /// Column of the first such pixel.
        x: usize,
        /// Row of the first such pixel.
        y: usize,
        /// The number of the segment.
        id: u32,
        /// The JSON file.
        file: PathBuf,
    },
    /// Instances were asked for, but the description says nothing about them.
    #[error(
        "dataset `{dataset}` describes no instances of the {split} split: \
         add [{split}.folders.instances.png], .coco or .panoptic"
    )]
    NoInstances {
        /// Name of the dataset.
        dataset: String,
        /// The split without instances.
        split: Split,
    },
    /// The instances and the label map of an image differ in size.
    #[error(
        "the instances in {} are {instance_size}, but the label map {} is {label_size}: \
         both must have the same size", instances.display(), labels.display()
    )]
    InstanceSize {
        /// The instance map or JSON file.
        instances: PathBuf,
        /// Size of the instances.
        instance_size: Size,
        /// The label map.
        labels: PathBuf,
        /// Size of the label map.
        label_size: Size,
    },
    /// A photo is to be turned before it is shown, but its label map is not.
    #[error(
        "{} carries an EXIF tag that turns it, but its label map {} has the size of the photo as \
         it is stored: remove the tag, or turn the label map",
        image.display(), labels.display()
    )]
    Turned {
        /// The photo.
        image: PathBuf,
        /// The label map.
        labels: PathBuf,
    },
    /// The photo and the label map of a pair differ in size.
    #[error(
        "{} is {image_size}, but its label map {} is {label_size}: both must have the same size",
        image.display(), labels.display()
    )]
    SizeMismatch {
        /// The photo.
        image: PathBuf,
        /// Size of the photo.
        image_size: Size,
        /// The label map.
        labels: PathBuf,
        /// Size of the label map.
        label_size: Size,
    },
    /// A packed split is damaged or is none.
    #[error("{}: {problem}; pack the split again", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Samples of a packed split were asked for in another size.
    #[error(
        "{} holds samples of {packed}, not of {asked}: pack the split again in that size",
        path.display()
    )]
    PackedSize {
        /// The file.
        path: PathBuf,
        /// Size of the samples in the file.
        packed: Size,
        /// The size asked for.
        asked: Size,
    },
    /// Another process is packing the same split.
    #[error("{} is in use by another process: wait for it to end", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A sample outside the dataset was asked for.
    #[error("dataset `{dataset}` has {len} images, there is no image {index}")]
    Index {
        /// Name of the dataset.
        dataset: String,
        /// The index asked for.
        index: usize,
        /// Number of images.
        len: usize,
    },
    /// A size without pixels, or too large to resize to, was asked for.
    #[error("cannot make an image of {size}: height and width must be 1 to 65535")]
    InvalidSize {
        /// The size asked for.
        size: Size,
    },
    /// A setting of the loader or the sampler is not valid.
    #[error("loader setting `{field}`: {problem}")]
    Setting {
        /// The field.
        field: &'static str,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// Too many images cannot be read.
    #[error(
        "{unreadable} of {images} images cannot be read, which is more than one in a hundred: \
         restore the files and resume"
    )]
    Unreadable {
        /// Images that could not be read so far.
        unreadable: usize,
        /// Images of the dataset.
        images: usize,
        /// What was wrong with the last of them.
        source: Box<DatasetError>,
    },
    /// A loader thread cannot be started.
    #[error("cannot start a loader thread: use fewer workers")]
    Thread {
        /// The cause given by the system.
        source: io::Error,
    },
    /// A loader thread ended without delivering its samples.
    #[error("a loader thread stopped unexpectedly while it read from dataset `{dataset}`")]
    Worker {
        /// Name of the dataset.
        dataset: String,
    },
}

impl DatasetError {
    /// Makes the error of a file or folder that cannot be read from its cause.
    pub fn read(path: &Path) -> impl Fn(io::Error) -> Self + Copy + '_ {
        |source| Self::Read {
            path: path.to_path_buf(),
            source,
        }
    }

    /// Makes the error of a file or folder that cannot be written from its cause.
    pub fn write(path: &Path) -> impl Fn(io::Error) -> Self + Copy + '_ {
        |source| Self::Write {
            path: path.to_path_buf(),
            source,
        }
    }

    /// The error of a damaged file.
    pub fn decode(path: &Path, reason: impl ToString) -> Self {
        Self::Decode {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }

    /// The error of an image that the dataset has not.
    pub fn index(dataset: &str, index: usize, len: usize) -> Self {
        Self::Index {
            dataset: dataset.to_string(),
            index,
            len,
        }
    }
}
