//! Packed splits: every sample of a split at its training size, in one file.
//!
//! Reading a packed sample takes a copy and a checksum in place of decoding and resizing. A file
//! holds, one after the other: eight magic bytes, the length and the CRC-32C of the header, the
//! header in JSON, an index of the CRC-32C of every record, and the records, all of the same length:
//! RGB photo, class indices and, if it has instances, their numbers as little-endian `u16`.
//!
//! Records are read with positioned reads into the sample. Mapping the file into memory would save
//! nothing, since the bytes have to leave the page cache anyway, and would end the program with a
//! bus error where a file is cut short while it is in use (book/src/decisions).

use std::path::{Path, PathBuf};

use crate::check::Report;
use crate::class::{ClassSet, ClassTable};
use crate::description::Description;
use crate::error::DatasetError;
use crate::resize::check_size;
use crate::sample::{LabelledImages, Sample};
use crate::size::Size;
use crate::split::Split;

mod build;
mod file;
mod format;

pub use build::pack;
use file::RandomFile;
use format::{Head, Layout, Prefix};

/// A packed split, open for reading from several threads at once.
#[derive(Debug)]
pub struct PackedImages {
    path: PathBuf,
    file: RandomFile,
    head: Head,
    classes: ClassTable,
    layout: Layout,
    /// CRC-32C of every record.
    sums: Vec<u32>,
}

impl PackedImages {
    /// Opens a packed split. Records are checked when they are read.
    ///
    /// # Errors
    /// When the file cannot be read, is no packed split, is damaged or not finished.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let file = RandomFile::open(path)?;
        let Prefix { head, layout, .. } = Prefix::read(&file, path)?;
        let mut index = vec![0; layout.index_len()];
        file.read(layout.index_start(), &mut index)?;
        let sums = index.chunks_exact(8).enumerate().map(|(record, entry)| {
            format::sum(entry)
                .ok_or_else(|| damaged(path, format!("record {record} was never written")))
        });
        let sums = sums.collect::<Result<_, _>>()?;
        Ok(Self {
            path: path.to_path_buf(),
            classes: head.description.class_table(),
            file,
            head,
            layout,
            sums,
        })
    }

    /// The description of the dataset.
    pub fn description(&self) -> &Description {
        &self.head.description
    }

    /// The split that is packed.
    pub fn split(&self) -> Split {
        self.head.split
    }

    /// Height and width of every sample.
    pub fn size(&self) -> Size {
        self.head.size
    }

    /// Whether samples have instance numbers.
    pub fn has_instances(&self) -> bool {
        self.head.instances
    }

    /// The check of the split at full resolution that it was packed after.
    pub fn report(&self) -> &Report {
        &self.head.report
    }

    /// The bytes of record `index` after its checksum was found right.
    fn record(&self, index: usize) -> Result<Vec<u8>, DatasetError> {
        let no_image = || DatasetError::index(self.name(), index, self.len());
        let sum = self.sums.get(index).ok_or_else(no_image)?;
        let mut record = vec![0; self.layout.record_len()];
        self.file
            .read(self.layout.record_start(index), &mut record)?;
        if crc32c::crc32c(&record) != *sum {
            let problem = format!("record {index} has a wrong checksum");
            return Err(damaged(&self.path, problem));
        }
        Ok(record)
    }
}

impl LabelledImages for PackedImages {
    fn name(&self) -> &str {
        &self.head.description.name
    }

    fn len(&self) -> usize {
        self.sums.len()
    }

    fn classes(&self) -> &ClassTable {
        &self.classes
    }

    fn sample(&self, index: usize, size: Size) -> Result<Sample, DatasetError> {
        check_size(size)?;
        if size != self.head.size {
            return Err(DatasetError::PackedSize {
                path: self.path.clone(),
                packed: self.head.size,
                asked: size,
            });
        }
        let mut image = self.record(index)?;
        let mut labels = image.split_off(3 * size.pixels());
        let instances = labels.split_off(size.pixels());
        // Gathering by a class that the table lacks would read beyond a tensor.
        let largest = labels.iter().copied().max().unwrap_or(0);
        if usize::from(largest) >= self.classes.len() {
            let problem = format!("record {index} has the class {largest}, which is not described");
            return Err(damaged(&self.path, problem));
        }
        let numbers = |bytes: &[u8]| {
            let pairs = bytes.chunks_exact(2);
            pairs
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect()
        };
        Ok(Sample {
            name: self.head.names[index].clone(),
            width: size.width,
            height: size.height,
            image,
            labels,
            instances: self.head.instances.then(|| numbers(&instances)),
        })
    }

    /// The classes of the label map at full resolution, as they were when it was packed.
    fn present(&self, index: usize) -> Result<ClassSet, DatasetError> {
        let presence = self.head.report.presence.get(index).copied();
        presence.ok_or_else(|| DatasetError::index(self.name(), index, self.len()))
    }
}

fn damaged(path: &Path, problem: String) -> DatasetError {
    DatasetError::Packed {
        path: path.to_path_buf(),
        problem,
    }
}

#[cfg(test)]
mod tests;
