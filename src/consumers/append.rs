//! A file that grows by whole records.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A file to which records are appended, each one wholly or not at all.
///
/// A write that fails half way (a full disk) is taken back, so that the next record starts where
/// the last whole one ended.
#[derive(Debug)]
pub(super) struct AppendFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl AppendFile {
    /// Opens or creates `path` and cuts it to its first `length` bytes.
    pub(super) fn open(path: &Path, length: u64) -> anyhow::Result<Self> {
        let open = || -> std::io::Result<File> {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            file.set_len(length)?;
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
        })
    }

    /// Appends one record and hands it to the operating system at once.
    pub(super) fn append(&mut self, record: &[u8]) -> anyhow::Result<()> {
        self.write(record)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn write(&mut self, record: &[u8]) -> std::io::Result<()> {
        // What a failed write left behind is cut before anything follows it.
        if self.file.metadata()?.len() > self.length {
            self.file.set_len(self.length)?;
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(record)?;
        self.length += record.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_record_is_cut_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = AppendFile::open(&path, 0).unwrap();
        file.append(b"one\n").unwrap();
        // Bytes beyond the last whole record, as an interrupted write leaves them.
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"tor")
            .unwrap();
        file.append(b"2\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n2\n");
    }

    #[test]
    fn opening_cuts_to_the_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, b"abcdef").unwrap();
        AppendFile::open(&path, 3).unwrap().append(b"X").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abcX");
    }
}
