//! Remembering the report of a split until one of its files changes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Report;
use crate::error::DatasetError;
use crate::folder::DescribedFolder;
use crate::open::read_text;
use crate::sample::LabelledImages;

/// First words of every fingerprint; changes when what a [`Report`] means changes.
const FINGERPRINT_TAG: &str = "dp-sims dataset check 3";

/// Most bytes of what is remembered.
const MOST_BYTES: u64 = 64 << 20;

/// A report with the state of the files that it was made from.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered<R> {
    fingerprint: String,
    report: R,
}

/// The report remembered in `cache_dir` for files in this state, `None` when there is none or its
/// file is damaged.
pub(super) fn load(
    cache_dir: &Path,
    fingerprint: &str,
    dataset: &DescribedFolder,
) -> Option<Report> {
    let text = read_text(&file(cache_dir, fingerprint), MOST_BYTES).ok()?;
    let remembered: Remembered<Report> = serde_json::from_str(&text).ok()?;
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

/// Remembers a report in `cache_dir`.
///
/// # Errors
/// [`DatasetError::Write`].
pub fn save(cache_dir: &Path, fingerprint: &str, report: &Report) -> Result<(), DatasetError> {
    let path = file(cache_dir, fingerprint);
    let remembered = Remembered {
        fingerprint: fingerprint.to_string(),
        report,
    };
    write(&path, cache_dir, &remembered).map_err(DatasetError::write(&path))
}

fn file(cache_dir: &Path, fingerprint: &str) -> PathBuf {
    cache_dir.join(format!("check-{fingerprint}.json"))
}

/// Writes beside the target and renames, so that a reader never meets half a file.
fn write(path: &Path, folder: &Path, remembered: &Remembered<&Report>) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(remembered)?)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// SHA-256, in hexadecimal, over the description and the path, size and time of change of every
/// file of the split. Paths count from the root of the file system, so that it does not matter from
/// where the dataset was named.
///
/// # Errors
/// When the state of a file cannot be read.
pub fn fingerprint(dataset: &DescribedFolder) -> Result<String, DatasetError> {
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
        let unreadable = DatasetError::read(path);
        let (size, changed) = file_state(path).map_err(unreadable)?;
        let path = std::path::absolute(path).map_err(unreadable)?;
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
