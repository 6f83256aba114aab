//! A file that grows by whole records.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// A file to which records are appended, each one wholly or not at all.
///
/// A write that fails half way (a full disk) is taken back, so that the next record starts where
/// the last whole one ended. A file that is removed in the meantime is written again in full.
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
            let file = options().open(path)?;
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
    ///
    /// # Errors
    ///
    /// When it cannot be written, or another file has taken the place of this one. Where the file was
    /// removed, it is told as an error as well, after it was written again with this record.
    pub(super) fn append(&mut self, record: &[u8]) -> anyhow::Result<()> {
        let path = self.path.clone();
        let shown = path.display();
        let restored = match self.place() {
            Place::Kept => false,
            Place::Removed => {
                self.restore()
                    .with_context(|| format!("{shown} was removed and cannot be written again"))?;
                true
            }
            Place::Taken => bail!("{shown} was replaced by another file, which is left alone"),
        };
        self.write(record)
            .with_context(|| format!("cannot write {shown}"))?;
        ensure!(!restored, "{shown} was removed and is written again");
        Ok(())
    }

    /// What is at the path of the file.
    #[cfg(unix)]
    fn place(&self) -> Place {
        use std::os::unix::fs::MetadataExt;
        let number = |found: &std::fs::Metadata| (found.dev(), found.ino());
        // File systems that lie elsewhere may number a file anew: then it has its length.
        let is_other = |own: &std::fs::Metadata, found: &std::fs::Metadata| {
            number(own) != number(found) && own.len() != found.len()
        };
        match (self.file.metadata(), self.path.metadata()) {
            (_, Err(error)) if error.kind() == ErrorKind::NotFound => Place::Removed,
            (Ok(own), Ok(found)) if is_other(&own, &found) => Place::Taken,
            _ => Place::Kept,
        }
    }

    /// What is at the path of the file: on this system, one that is open cannot be removed.
    #[cfg(not(unix))]
    fn place(&self) -> Place {
        Place::Kept
    }

    /// Writes the file again, from what the system still has of it.
    fn restore(&mut self) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = options().create_new(true).open(&self.path)?;
        self.file.rewind()?;
        self.length = std::io::copy(&mut (&self.file).take(self.length), &mut file)?;
        self.file = file;
        Ok(())
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

/// What is at the path of a file that is open.
#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "an open file cannot be removed or replaced there")
)]
enum Place {
    /// The file.
    Kept,
    /// Nothing.
    Removed,
    /// Another file.
    Taken,
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options
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

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_removed_is_written_again_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let path = run.join("log");
        let mut file = AppendFile::open(&path, 0).unwrap();
        file.append(b"one\n").unwrap();
        std::fs::remove_dir_all(&run).unwrap();
        let told = file.append(b"two\n").unwrap_err().to_string();
        assert!(told.contains("was removed"), "{told}");
        file.append(b"three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        // What somebody else put there is left alone.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        assert!(file.append(b"four\n").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    }
}
