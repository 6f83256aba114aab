//! Evaluation by named protocols: what an image, a label map or a latent is worth in numbers.
//!
//! A [`Protocol`] says everything that decides what a number means; [`Results`] carry it along with
//! hashes of weights, data and images, so that numbers are compared only where they mean the same.

mod compare;
mod diversity;
mod features;
mod gallery;
mod images;
mod judge;
mod networks;
pub mod paper;
mod photos;
mod protocol;
mod report;
mod results;
mod run;
mod segmenter;
mod source;
mod timing;
mod together;

pub use compare::Comparison;
pub use gallery::{Exhibit, Gallery};
pub use images::{GRID, ImageFolder, sample_name};
pub use judge::Judge;
pub use networks::NetworkFolder;
pub use photos::{Photos, SampleHash, statistics_folder};
pub use protocol::{FOLDER, Protocol, SegmentationSettings, TimingSettings};
pub(crate) use report::STYLE;
pub use report::{embedded, heading, page};
pub use results::{ClassValue, DataRecord, NetworkRecord, Results, Subject, Timing, Value};
pub use run::{Evaluator, Outcome, Plan};
pub use segmenter::{OwnSegmenter, OwnSegmenterConfig, SEGMENTER_WEIGHTS, read_segmenter};
pub use source::Source;
pub use timing::time_generator;
pub use together::Together;
