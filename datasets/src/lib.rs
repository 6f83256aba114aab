//! Label-map datasets: folders described by a TOML file, packed splits, class-balanced sampling and a
//! loader whose order depends on nothing but the seed and the position.

pub mod budget;
pub mod check;
mod class;
pub mod coco;
pub mod description;
pub mod error;
pub mod files;
pub mod folder;
mod instances;
pub mod labels;
pub mod loader;
pub mod offsets;
pub mod open;
pub mod pack;
pub mod photo;
mod random;
pub mod raster;
pub mod resize;
pub mod sample;
pub mod sampler;
mod size;
mod split;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use budget::shared_bytes;
pub use check::{Report, check_split, load_or_check, presence};
pub use class::{Class, ClassSet, ClassTable, hex};
pub use description::Description;
pub use error::{DatasetError, DescriptionError};
pub use folder::{Decoded, DescribedFolder};
pub use instances::read_instance_png;
pub use labels::{LabelMap, LabelReader};
pub use loader::{Batch, Loader, LoaderConfig, Share};
pub use offsets::offsets;
pub use open::open_ordinary;
pub use pack::{PackedImages, pack};
pub use photo::{read_rgb, rgb_size};
pub use sample::{LabelledImages, Sample, SizedDataset};
pub use sampler::{Sampler, balanced_weights, flip};
pub use size::Size;
pub use split::{Split, UnknownSplit};
