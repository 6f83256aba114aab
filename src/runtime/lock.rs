//! A folder that one process at a time works in.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sysinfo::System;

/// File in the folder that is locked.
const LOCK: &str = ".lock";

/// Letters that are read of what another process says of itself.
const LETTERS: u64 = 200;

/// A folder that no other process of this program works in while this lives. The system lets go of it
/// when the process ends, in whatever way.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    file: File,
    /// What the file says of this process.
    note: String,
}

/// What has become of a folder that was locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// It is there.
    Held,
    /// It was removed, or the lock in it.
    Removed,
    /// It was removed, and another process works in a new one of the same name.
    Taken,
}

impl FolderLock {
    /// Makes the folder where it is missing and keeps others out of it. `work` is what is said of this
    /// process to those who are kept out, such as `dp-sims train`.
    ///
    /// Where the file system knows no locks, there is no protection.
    ///
    /// # Errors
    /// When another process works in the folder, which is named where it is known, or the folder cannot
    /// be made or written to.
    pub fn take(folder: &Path, work: &str) -> Result<Self> {
        let shown = folder.display();
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {shown}"))?;
        let path = folder.join(LOCK);
        // A link could lead to a file of somebody else, which is written to below.
        let is_link = path
            .symlink_metadata()
            .is_ok_and(|found| found.is_symlink());
        ensure!(!is_link, "{} is a link: remove it", path.display());
        let unwritable = || format!("cannot write {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(unwritable)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let who = holder(&mut file).unwrap_or_else(|| "another process".to_string());
            bail!(
                "{shown} is in use by {who}: wait until it has ended, end it, or choose another folder \
                 with --out"
            );
        }
        let host = System::host_name().map_or_else(String::new, |host| format!(" on {host}"));
        let note = format!("`{work}`, process {}{host}\n", std::process::id());
        let mut describe = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(note.as_bytes())
        };
        // Only a message would lack something: a full disk does not keep the folder from being used.
        let _ = describe();
        Ok(Self {
            folder: folder.to_path_buf(),
            file,
            note,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the folder is still the one that was locked. Where files have no numbers, it always is:
    /// there, one that is open cannot be removed.
    pub fn state(&self) -> LockState {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let number = |found: std::fs::Metadata| (found.dev(), found.ino());
            let path = self.folder.join(LOCK);
            let own = self.file.metadata().map(number);
            match (own, path.metadata().map(number)) {
                // File systems that lie elsewhere may number a file anew: what it says decides.
                (Ok(own), Ok(found)) if own != found && self.is_of_another(&path) => {
                    return LockState::Taken;
                }
                (_, Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                    return LockState::Removed;
                }
                _ => {}
            }
        }
        LockState::Held
    }
}

impl FolderLock {
    /// Whether the file at `path` says that another process holds it.
    #[cfg(unix)]
    fn is_of_another(&self, path: &Path) -> bool {
        let said = File::open(path).ok().and_then(|mut file| holder(&mut file));
        said.is_some_and(|said| said != self.note.trim())
    }
}

/// What the process that holds a lock says of itself; none where it cannot be read.
fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(LETTERS).read_to_string(&mut text).ok()?;
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time_who_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let first = FolderLock::take(&path, "dp-sims train").unwrap();
        let error = FolderLock::take(&path, "dp-sims train")
            .unwrap_err()
            .to_string();
        let process = format!("`dp-sims train`, process {}", std::process::id());
        assert!(error.contains(&process), "{error}");
        assert!(error.contains("--out"), "{error}");
        drop(first);
        FolderLock::take(&path, "dp-sims train").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_removed_or_made_anew_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let first = FolderLock::take(&path, "first").unwrap();
        assert_eq!(first.state(), LockState::Held);
        std::fs::remove_dir_all(&path).unwrap();
        assert_eq!(first.state(), LockState::Removed);
        let second = FolderLock::take(&path, "second").unwrap();
        assert_eq!(first.state(), LockState::Taken);
        // The same file under another number.
        std::fs::copy(path.join(LOCK), path.join("copy")).unwrap();
        std::fs::rename(path.join("copy"), path.join(LOCK)).unwrap();
        assert_eq!(second.state(), LockState::Held);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_the_lock_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "text").unwrap();
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        std::os::unix::fs::symlink(&precious, run.join(LOCK)).unwrap();
        assert!(FolderLock::take(&run, "train").is_err());
        assert_eq!(std::fs::read(&precious).unwrap(), b"text");
    }
}
