//! Checkpoint folders: written whole or not at all, verified before they are read.
//!
//! A checkpoint of step 123 is the folder `checkpoints/step-000123/`. Its files are whatever the
//! trainer hands over (weights and optimizer states as safetensors, `state.json`, `config.toml`),
//! plus `manifest.json` with the size and BLAKE3 hash of each. [`write`](fn@write) fills a hidden
//! folder beside it, makes it durable and renames it, so that a process killed at any moment leaves
//! only whole checkpoints and hidden folders, which the next [`write`](fn@write) clears away.

mod error;
mod folders;
mod foreign;
mod list;
mod manifest;
mod parts;
pub mod snapshot;
mod timeline;
mod write;

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

pub use error::CheckpointError;
pub use list::{Latest, Skipped, delete_all, has_any, keep_only, latest_whole, latest_with, prune};
pub use manifest::{FileEntry, Manifest};
pub(crate) use timeline::free_place;
pub use timeline::go_back;
pub use write::write;

use crate::runtime::files;
use error::io;
use manifest::open_listed;
use parts::{entry_of, read_parts};

/// Name of the file that lists and seals the others.
pub const MANIFEST: &str = "manifest.json";

/// The bytes of a file in parts, one after the other.
pub type Parts = Vec<Vec<u8>>;

/// A checkpoint folder whose files are all there.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    manifest: Manifest,
}

impl Checkpoint {
    /// The checkpoint folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of training steps that are in the weights.
    pub fn step(&self) -> u64 {
        self.manifest.step
    }

    /// The list of files.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// One of the files in parts, verified. `layout` finds out from the beginning of the file, given a
    /// reader and the length in bytes, where its parts end; all threads read them then, each part into
    /// memory of its own.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]. The error of `layout` is given back only if the file is whole.
    pub fn read_parts<L, E>(
        &self,
        name: &str,
        layout: impl FnOnce(&mut dyn Read, u64) -> Result<(L, Vec<u64>), E>,
    ) -> Result<Result<(L, Parts), E>, CheckpointError> {
        let (path, entry) = self.listed(name)?;
        entry.verify_size(&path)?;
        let file = open_listed(&path)?;
        match layout(&mut BufReader::new(file), entry.bytes) {
            Ok((layout, ends)) => {
                let parts = read_parts(&path, &ends).map_err(io("read", &path))?;
                entry.verify(&path, &entry_of(&parts))?;
                Ok(Ok((layout, parts)))
            }
            Err(error) => {
                entry.verify(&path, &FileEntry::of_file(&path)?)?;
                Ok(Err(error))
            }
        }
    }

    /// Content of one of the files, verified.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::MissingFile`] when the manifest does not list `name`; otherwise as
    /// [`open`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let (path, entry) = self.listed(name)?;
        entry.verify_size(&path)?;
        let bytes = files::read(&path, entry.bytes).map_err(io("read", &path))?;
        entry.verify(&path, &FileEntry::of(&bytes))?;
        Ok(bytes)
    }

    /// Path and entry of a file that the manifest lists.
    fn listed(&self, name: &str) -> Result<(PathBuf, &FileEntry), CheckpointError> {
        let path = self.path.join(name);
        match self.manifest.files.get(name) {
            Some(entry) => Ok((path, entry)),
            None => Err(CheckpointError::MissingFile { path }),
        }
    }
}

/// Opens a checkpoint folder and verifies all of it: every listed file is there with its size and
/// hash. Other files, such as those that file managers leave, are passed over.
///
/// # Errors
///
/// Names the first file that is missing or damaged, and what to do about it.
pub fn open(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let checkpoint = open_unread(path)?;
    for (name, entry) in &checkpoint.manifest.files {
        let file = path.join(name);
        entry.verify(&file, &FileEntry::of_file(&file)?)?;
    }
    Ok(checkpoint)
}

/// Opens a checkpoint folder and verifies the contents of these files, and of the others what
/// [`open_unread`] does.
///
/// # Errors
///
/// As [`open`]; [`CheckpointError::MissingFile`] for a file that the manifest does not list.
fn open_with(path: &Path, needed: &[&str]) -> Result<Checkpoint, CheckpointError> {
    let checkpoint = open_unread(path)?;
    for name in needed {
        let file = path.join(name);
        let Some(entry) = checkpoint.manifest.files.get(*name) else {
            return Err(CheckpointError::MissingFile { path: file });
        };
        entry.verify(&file, &FileEntry::of_file(&file)?)?;
    }
    Ok(checkpoint)
}

/// Opens a checkpoint folder and verifies that every listed file is there with its size. Contents are
/// verified as they are read: for those who need a few of them.
///
/// # Errors
///
/// As [`open`], but for contents.
pub fn open_unread(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let manifest = Manifest::read(path)?;
    for (name, entry) in &manifest.files {
        let file = path.join(name);
        // Sizes first: they are known without reading gigabytes.
        entry.verify_size(&file)?;
    }
    Ok(Checkpoint {
        path: path.to_owned(),
        manifest,
    })
}

#[cfg(test)]
mod tests;
