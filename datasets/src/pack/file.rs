use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::error::DatasetError;

/// A file that several threads read and write at places of their own.
#[derive(Debug)]
pub(super) struct RandomFile {
    file: File,
    path: PathBuf,
}

impl RandomFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(DatasetError::read(path))?;
        Ok(Self::new(file, path))
    }

    /// A file opened elsewhere.
    pub fn new(file: File, path: &Path) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
        }
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn len(&self) -> Result<u64, DatasetError> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(DatasetError::read(&self.path))?;
        Ok(metadata.len())
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// When the file ends before, or cannot be read.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), DatasetError> {
        let len = bytes.len();
        let step = |done| read_at(&self.file, &mut bytes[done..], offset + done as u64);
        repeat(len, ErrorKind::UnexpectedEof, step).map_err(DatasetError::read(&self.path))
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DatasetError> {
        let step = |done| write_at(&self.file, &bytes[done..], offset + done as u64);
        repeat(bytes.len(), ErrorKind::WriteZero, step).map_err(DatasetError::write(&self.path))
    }
}

/// Calls `step` with the bytes done so far, and adds those that it does, until `len` are done.
fn repeat(
    len: usize,
    end: ErrorKind,
    mut step: impl FnMut(usize) -> io::Result<usize>,
) -> io::Result<()> {
    let mut done = 0;
    while done < len {
        match step(done) {
            Ok(0) => return Err(end.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
use std::os::unix::fs::FileExt;
#[cfg(windows)]
use std::os::windows::fs::FileExt;

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}
