use std::fs::File;
use std::io::{Error, ErrorKind};
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
        let file = File::open(path).map_err(|source| DatasetError::Read {
            path: path.to_path_buf(),
            source,
        })?;
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
        metadata
            .map(|metadata| metadata.len())
            .map_err(|source| DatasetError::Read {
                path: self.path.clone(),
                source,
            })
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// When the file ends before, or cannot be read.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), DatasetError> {
        let mut done = 0;
        while done < bytes.len() {
            let read = read_at(&self.file, &mut bytes[done..], offset + done as u64);
            let source = match read {
                Ok(0) => Error::from(ErrorKind::UnexpectedEof),
                Ok(count) => {
                    done += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let path = self.path.clone();
            return Err(DatasetError::Read { path, source });
        }
        Ok(())
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DatasetError> {
        let mut done = 0;
        while done < bytes.len() {
            let written = write_at(&self.file, &bytes[done..], offset + done as u64);
            let source = match written {
                Ok(0) => Error::from(ErrorKind::WriteZero),
                Ok(count) => {
                    done += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let path = self.path.clone();
            return Err(DatasetError::Write { path, source });
        }
        Ok(())
    }
}

#[cfg(unix)]
use std::os::unix::fs::FileExt;
#[cfg(windows)]
use std::os::windows::fs::FileExt;

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<usize> {
    file.read_at(bytes, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
    file.write_at(bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<usize> {
    file.seek_read(bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
    file.seek_write(bytes, offset)
}
