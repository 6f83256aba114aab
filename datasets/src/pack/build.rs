use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::format::{self, Head, Layout, Prefix};
use super::{PackedImages, RandomFile, damaged};
use crate::check::{Progress, Report, fingerprint};
use crate::error::DatasetError;
use crate::folder::DescribedFolder;
use crate::sample::{LabelledImages, Sample};
use crate::size::Size;

/// Packs a split at `size` into the file `path`, on all cores, and opens it.
///
/// `report` is that of [`load_or_check`](crate::load_or_check) on the same split. Samples have
/// instances if those of `dataset` have.
///
/// The file is made beside its place, as `NAME.part`, and renamed when it is whole. A run that was
/// interrupted leaves the part; the next one of the same split and size goes on with it. A file that
/// is there already is kept if it was made from the same files.
///
/// # Errors
/// The error of the first image in dataset order that cannot be read, and when the file cannot be
/// written or another process is at it.
pub fn pack(
    dataset: &DescribedFolder,
    report: &Report,
    size: Size,
    path: &Path,
    progress: &Progress,
) -> Result<PackedImages, DatasetError> {
    let prefix = Prefix::new(Head {
        fingerprint: fingerprint(dataset)?,
        description: dataset.description().clone(),
        split: dataset.split(),
        size,
        instances: dataset.has_instances(),
        names: dataset
            .pairs()
            .iter()
            .map(|pair| pair.name.clone())
            .collect(),
        report: report.clone(),
    });
    let prefix = prefix.map_err(|error| damaged(path, format!("no header: {error}")))?;
    if let Ok(packed) = PackedImages::open(path)
        && packed.head == prefix.head
    {
        progress(dataset.len(), dataset.len());
        return Ok(packed);
    }
    let part = part_of(path);
    let file = open_part(&part, &prefix)?;
    let done = AtomicUsize::new(0);
    let write = |index: usize| -> Result<(), DatasetError> {
        if !is_written(&file, &prefix.layout, index)? {
            let sample = dataset.sample(index, size)?;
            let record = record(&sample, &prefix.layout);
            file.write(prefix.layout.record_start(index), &record)?;
            // After its record: an entry stands for a record that was written.
            let entry = format::entry(crc32c::crc32c(&record));
            file.write(prefix.layout.entry_start(index), &entry)?;
        }
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, dataset.len());
        Ok(())
    };
    let failure = (0..dataset.len())
        .into_par_iter()
        .find_map_first(|index| write(index).err());
    if let Some(error) = failure {
        return Err(error);
    }
    let unwritten = DatasetError::write(path);
    file.file().sync_all().map_err(unwritten)?;
    std::fs::rename(&part, path).map_err(unwritten)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        // Not every system can open a folder; the file itself is on the disk.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    PackedImages::open(path)
}

/// `NAME.part` for `NAME`.
fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    PathBuf::from(part)
}

/// Opens the part, locked, with this prefix and room for everything; records of an earlier run of
/// the same prefix stay.
fn open_part(part: &Path, prefix: &Prefix) -> Result<RandomFile, DatasetError> {
    let unwritten = DatasetError::write(part);
    if let Some(folder) = part.parent() {
        std::fs::create_dir_all(folder).map_err(unwritten)?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(part)
        .map_err(unwritten)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(DatasetError::Busy {
                path: part.to_path_buf(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(unwritten(source)),
    }
    let len = prefix.layout.len();
    let len = len.ok_or_else(|| damaged(part, "it would be too large for a file".to_string()))?;
    let file = RandomFile::new(file, part);
    let goes_on = Prefix::read(&file, part).is_ok_and(|found| found.bytes == prefix.bytes);
    if !goes_on {
        file.file().set_len(0).map_err(unwritten)?;
        file.write(0, &prefix.bytes)?;
    }
    file.file().set_len(len).map_err(unwritten)?;
    Ok(file)
}

/// Whether a record was written by an earlier run, whole.
fn is_written(file: &RandomFile, layout: &Layout, index: usize) -> Result<bool, DatasetError> {
    let mut entry = [0; 8];
    file.read(layout.entry_start(index), &mut entry)?;
    let Some(sum) = format::sum(&entry) else {
        return Ok(false);
    };
    let mut record = vec![0; layout.record_len()];
    file.read(layout.record_start(index), &mut record)?;
    Ok(crc32c::crc32c(&record) == sum)
}

/// The bytes of a sample.
fn record(sample: &Sample, layout: &Layout) -> Vec<u8> {
    let mut record = Vec::with_capacity(layout.record_len());
    record.extend(&sample.image);
    record.extend(&sample.labels);
    let numbers = sample.instances.iter().flatten();
    record.extend(numbers.flat_map(|number| number.to_le_bytes()));
    record
}
