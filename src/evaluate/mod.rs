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
mod metric;
mod networks;
mod photos;
mod protocol;
mod report;
mod results;
mod run;
mod segmenter;
mod source;
mod timing;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

pub use compare::Comparison;
pub use gallery::{Exhibit, Gallery};
pub use images::ImageFolder;
pub use judge::Judge;
pub use metric::{Metric, parse_backbone};
pub use photos::{Photos, SampleHash, statistics_folder};
pub use protocol::{FOLDER, Protocol, Published, SegmentationSettings, TimingSettings};
pub use report::{described, number, page};
pub use results::{ClassValue, DataRecord, NetworkRecord, Results, Subject, Timing, Value};
pub use run::{Evaluator, Outcome, Plan};
pub use segmenter::{Segmenter, SegmenterConfig, read_segmenter};
pub use source::Source;
pub use timing::time_generator;

/// Writes a file that appears whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let unwritable = || format!("cannot write {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(unwritable)?;
    file.write_all(bytes).with_context(unwritable)?;
    file.persist(path)
        .map_err(|error| error.error)
        .with_context(unwritable)?;
    Ok(())
}
