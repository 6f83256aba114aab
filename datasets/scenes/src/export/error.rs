//! What can go wrong in an export.

use std::path::PathBuf;

use dp_sims_datasets::{DatasetError, Size, Split};

use super::{MAX_IMAGES, MAX_SIDE};

/// What can go wrong while a dataset is written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The name of a layout is none of the known ones.
    #[error("unknown layout `{name}`: use ade20k, coco-stuff, cityscapes or folder")]
    UnknownLayout {
        /// The name as given.
        name: String,
    },
    /// A split would have no or too many images.
    #[error("the {split} split would have {count} images: ask for 1 to {MAX_IMAGES}")]
    Count {
        /// The split.
        split: Split,
        /// The number asked for.
        count: usize,
    },
    /// The images would have no pixels or very many.
    #[error("cannot export images of {size}: height and width must be 1 to {MAX_SIDE}")]
    Size {
        /// The size asked for.
        size: Size,
    },
    /// The folder to write into holds something.
    #[error("{} is not empty: name a new folder or an empty one", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The description has no class of a name that is to be written.
    #[error(
        "dataset `{dataset}` has no class `{class}` with an id: add it, or use the description \
         of the layout"
    )]
    NoClass {
        /// Name of the dataset.
        dataset: String,
        /// Name of the class, or `void`.
        class: String,
    },
    /// The description does not say in which folders the files of a split are.
    #[error("dataset `{dataset}` needs a table [{split}.folders] to be written")]
    NoFolders {
        /// Name of the dataset.
        dataset: String,
        /// The split.
        split: Split,
    },
    /// A file cannot be written, or a scene not be drawn.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}
