//! Checking a whole split once, and remembering the result.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::DatasetError;
use crate::folder::DescribedFolder;
use crate::sample::{ClassSet, LabelledImages};

/// First words of every fingerprint; changes when what a [`Report`] means changes.
const FINGERPRINT_TAG: &str = "dp-sims dataset check 1";

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

/// A report with the state of the files that it was made from.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    fingerprint: String,
    report: Report,
}

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

    let classes = dataset.classes().len();
    let mut report = Report {
        pixels: vec![0; classes],
        images: vec![0; classes],
        presence: Vec::new(),
    };
    for counts in images.into_iter().flatten() {
        let counts = counts?;
        let mut present = ClassSet::default();
        for (class, &count) in (0..=u8::MAX).zip(&counts) {
            if count > 0 {
                present.insert(class);
                report.pixels[usize::from(class)] += count;
                report.images[usize::from(class)] += 1;
            }
        }
        report.presence.push(present);
    }
    Ok(report)
}

/// The report remembered in `cache_dir`, or that of a new check, which is then remembered.
///
/// A report is remembered for a description, a list of files, and their sizes and times of change.
/// A damaged cache file only means a new check.
///
/// # Errors
/// Those of [`check_split`], and [`DatasetError::Write`] when the report cannot be remembered.
pub fn load_or_check(
    dataset: &DescribedFolder,
    cache_dir: &Path,
    progress: &Progress,
) -> Result<Report, DatasetError> {
    let fingerprint = fingerprint(dataset)?;
    let path = cache_dir.join(format!("check-{fingerprint}.json"));
    if let Some(report) = load(&path, &fingerprint, dataset) {
        return Ok(report);
    }
    let report = check_split(dataset, progress)?;
    let remembered = Remembered {
        fingerprint,
        report,
    };
    save(&path, cache_dir, &remembered).map_err(|source| DatasetError::Write { path, source })?;
    Ok(remembered.report)
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
    let mut counts = vec![0; dataset.classes().len()];
    for label in dataset.label_map(index)?.labels {
        counts[usize::from(label)] += 1;
    }
    Ok(counts)
}

fn load(path: &Path, fingerprint: &str, dataset: &DescribedFolder) -> Option<Report> {
    let text = std::fs::read(path).ok()?;
    let remembered: Remembered = serde_json::from_slice(&text).ok()?;
    let report = remembered.report;
    let classes = dataset.classes().len();
    let fits = remembered.fingerprint == fingerprint
        && report.presence.len() == dataset.len()
        && report.pixels.len() == classes
        && report.images.len() == classes
        && report
            .presence
            .iter()
            .all(|set| set.iter().all(|class| usize::from(class) < classes));
    fits.then_some(report)
}

/// Writes beside the target and renames, so that a reader never meets half a file.
fn save(path: &Path, folder: &Path, remembered: &Remembered) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(remembered)?)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// SHA-256, in hexadecimal, over the description and the path, size and time of change of every
/// file of the split.
pub(crate) fn fingerprint(dataset: &DescribedFolder) -> Result<String, DatasetError> {
    let mut hash = Sha256::new();
    // The length in front of every part keeps neighbouring parts from running into each other.
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(FINGERPRINT_TAG.as_bytes());
    add(dataset.split().name().as_bytes());
    add(format!("{:?}", dataset.description()).as_bytes());
    for path in dataset
        .pairs()
        .iter()
        .flat_map(|pair| [&pair.image, &pair.labels])
    {
        let (size, changed) = file_state(path).map_err(|source| DatasetError::Read {
            path: PathBuf::from(path),
            source,
        })?;
        add(path.as_os_str().as_encoded_bytes());
        add(&size.to_le_bytes());
        add(&changed.to_le_bytes());
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Size in bytes and time of change in nanoseconds from the Unix epoch.
fn file_state(path: &Path) -> std::io::Result<(u64, i128)> {
    let metadata = std::fs::metadata(path)?;
    let changed = metadata.modified()?;
    let nanoseconds = match changed.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    };
    Ok((metadata.len(), nanoseconds))
}

#[cfg(test)]
mod tests;
