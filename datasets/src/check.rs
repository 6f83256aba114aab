//! Checking a whole split once, and remembering the result.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::budget::{decoding_bytes, room};
use crate::class::ClassSet;
use crate::error::DatasetError;
use crate::folder::DescribedFolder;
use crate::sample::LabelledImages;

mod memory;

pub use memory::{fingerprint, save};

/// What a check found in a split without faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Pixels of each class over all images, void first.
    pub pixels: Vec<u64>,
    /// Number of images in which each class occurs, void first.
    pub images: Vec<u64>,
    /// The classes that occur in each image, in dataset order.
    pub presence: Vec<ClassSet>,
}

/// Called with the number of images done and the number of all images, from several threads.
pub type Progress<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Reads every label map and the header of every photo of a split, on all cores.
///
/// # Errors
/// The error of the first faulty image in dataset order, whatever the number of cores.
pub fn check_split(dataset: &DescribedFolder, progress: &Progress) -> Result<Report, DatasetError> {
    let total = dataset.len();
    let done = AtomicUsize::new(0);
    let first_fault = AtomicUsize::new(usize::MAX);
    let images: Vec<_> = (0..total)
        .into_par_iter()
        .map(|index| {
            // What comes after a known fault can no longer be the first fault.
            if index > first_fault.load(Ordering::Relaxed) {
                return None;
            }
            let counts = count_pixels(dataset, index);
            if counts.is_err() {
                first_fault.fetch_min(index, Ordering::Relaxed);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Some(counts)
        })
        .collect();

    let mut report = Report::new(dataset.classes().len());
    for counts in images.into_iter().flatten() {
        report.add(&counts?);
    }
    Ok(report)
}

impl Report {
    /// The report of no image of so many classes.
    pub fn new(classes: usize) -> Self {
        Self {
            pixels: vec![0; classes],
            images: vec![0; classes],
            presence: Vec::new(),
        }
    }

    /// Adds the next image, of which `counts` has the pixels of each class.
    pub fn add(&mut self, counts: &[u64]) {
        let mut present = ClassSet::default();
        for (class, &count) in (0..=u8::MAX).zip(counts) {
            if count > 0 {
                present.insert(class);
                self.pixels[usize::from(class)] += count;
                self.images[usize::from(class)] += 1;
            }
        }
        self.presence.push(present);
    }
}

/// The report remembered in `cache_dir`, or that of a new check, which is then remembered.
///
/// A report is remembered for a description, a list of files, and their sizes and times of change.
/// A damaged cache file only means a new check.
///
/// # Errors
/// Those of [`check_split`]. That the report could not be remembered is no failure and given beside it.
pub fn load_or_check(
    dataset: &DescribedFolder,
    cache_dir: &Path,
    progress: &Progress,
) -> Result<(Report, Option<DatasetError>), DatasetError> {
    let fingerprint = fingerprint(dataset)?;
    if let Some(report) = memory::load(cache_dir, &fingerprint, dataset) {
        return Ok((report, None));
    }
    let report = check_split(dataset, progress)?;
    let unwritten = save(cache_dir, &fingerprint, &report).err();
    Ok((report, unwritten))
}

/// The classes in the label map of every image of any dataset, read on all cores.
///
/// # Errors
/// The error of the first faulty image in dataset order.
pub fn presence(dataset: &dyn LabelledImages) -> Result<Vec<ClassSet>, DatasetError> {
    let read: Vec<_> = (0..dataset.len())
        .into_par_iter()
        .map(|index| dataset.present(index))
        .collect();
    read.into_iter().collect()
}

/// Pixels of each class in image `index`.
fn count_pixels(dataset: &DescribedFolder, index: usize) -> Result<Vec<u64>, DatasetError> {
    let _room = dataset.pairs().get(index).map(decoding_bytes).map(room);
    let map = dataset.label_map(index)?;
    Ok(count_labels(&map.labels, dataset.classes().len()))
}

/// Pixels of each of `classes` classes in a label map.
pub fn count_labels(labels: &[u8], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    for &label in labels {
        counts[usize::from(label)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
