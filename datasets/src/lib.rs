//! Label-map datasets: folders described by a TOML file, procedural scenes, class-balanced
//! sampling and a loader whose order depends on nothing but the seed and the position.

mod budget;
pub mod check;
mod class;
mod coco;
pub mod description;
pub mod error;
pub mod export;
pub mod files;
pub mod folder;
pub mod init;
mod instances;
pub mod labels;
pub mod loader;
pub mod offsets;
mod open;
pub mod pack;
mod photo;
mod random;
mod raster;
pub mod resize;
pub mod sample;
pub mod sampler;
pub mod scenes;
mod size;
mod split;
pub mod svg;
#[cfg(test)]
mod testing;
pub mod view;

pub use budget::shared_bytes;
pub use check::{Report, check_split, load_or_check, presence};
pub use class::{Class, ClassSet, ClassTable};
pub use description::Description;
pub use error::{DatasetError, DescriptionError};
pub use folder::{Decoded, DescribedFolder};
pub use instances::read_instance_png;
pub use labels::{LabelMap, LabelReader};
pub use loader::{Batch, Loader, LoaderConfig};
pub use offsets::offsets;
pub use open::open_ordinary;
pub use pack::{PackedImages, pack};
pub use photo::{read_rgb, rgb_size};
pub use sample::{LabelledImages, Sample, SizedDataset};
pub use sampler::{Sampler, balanced_weights, flip};
pub use size::Size;
pub use split::{Split, UnknownSplit};
