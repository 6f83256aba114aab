//! The checkpoints of a run: which are there, which is the newest whole one, which may go.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::io;
use super::folders::{Folder, Kind, NEWEST, PARTIAL, hidden_path, list, newest};
use super::manifest::Manifest;
use super::{Checkpoint, CheckpointError, foreign, open, open_with};

/// Result of [`latest_whole`] and [`latest_with`].
#[derive(Debug)]
pub struct Latest {
    /// The newest whole checkpoint; none when there is no whole one.
    pub checkpoint: Option<Checkpoint>,
    /// Newer checkpoints that are damaged, newest first.
    pub skipped: Vec<Skipped>,
}

impl Latest {
    /// The checkpoint, or none where none is there at all.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NoneUsable`] when there are checkpoints and none can be used: that is not the
    /// same as a run that has none.
    pub fn usable(self) -> Result<Option<Checkpoint>, CheckpointError> {
        let count = self.skipped.len();
        match (self.checkpoint, self.skipped.into_iter().next()) {
            (None, Some(first)) => Err(CheckpointError::NoneUsable {
                root: first.path.parent().unwrap_or(&first.path).to_owned(),
                count,
                reason: Box::new(first.reason),
            }),
            (checkpoint, _) => Ok(checkpoint),
        }
    }
}

/// A checkpoint that cannot be used.
#[derive(Debug)]
pub struct Skipped {
    /// Its folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: CheckpointError,
}

/// Finds the newest whole checkpoint in `root`, the `checkpoints` folder of a run. The newest is the one
/// that was written last, whatever its step.
///
/// # Errors
///
/// When `root` exists and cannot be listed. A missing `root` holds no checkpoint.
pub fn latest_whole(root: &Path) -> Result<Latest, CheckpointError> {
    latest(root, open)
}

/// [`latest_whole`] for those who need some files only: the contents of others are not read, which
/// takes several times as long.
///
/// # Errors
///
/// Those of [`latest_whole`].
pub fn latest_with(root: &Path, needed: &[&str]) -> Result<Latest, CheckpointError> {
    latest(root, |path| open_with(path, needed))
}

fn latest(
    root: &Path,
    open: impl Fn(&Path) -> Result<Checkpoint, CheckpointError>,
) -> Result<Latest, CheckpointError> {
    let mut latest = Latest {
        checkpoint: None,
        skipped: Vec::new(),
    };
    for folder in list(root)?.into_iter().rev() {
        if matches!(folder.kind, Kind::Partial) {
            continue;
        }
        match open(&folder.path) {
            Ok(checkpoint) => {
                latest.checkpoint = Some(checkpoint);
                break;
            }
            Err(reason) => latest.skipped.push(Skipped {
                path: folder.path,
                reason,
            }),
        }
    }
    Ok(latest)
}

/// Deletes all checkpoints in `root` but the newest `keep` (at least one) and those of steps that are
/// multiples of `every` (none for 0), and returns the deleted folders. The newest is the one that was
/// written last; those of later steps belong to another course of the run and are left alone.
///
/// A checkpoint that is visibly incomplete does not count among those kept, so that a damaged one
/// never displaces a whole one. One of which the manifest is not understood, or that holds a file of a
/// person, is not deleted.
///
/// # Errors
///
/// When a folder cannot be listed or deleted.
pub fn prune(root: &Path, keep: usize, every: u64) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut kept = 0;
    let mut deleted = Vec::new();
    let newest = newest(root);
    for folder in list(root)?.into_iter().rev() {
        let is_other = newest.is_some_and(|newest| folder.step > newest);
        if !matches!(folder.kind, Kind::Checkpoint) || is_other {
            continue;
        }
        let Ok(manifest) = Manifest::read(&folder.path) else {
            continue;
        };
        if kept < keep.max(1) {
            kept += usize::from(has_all_files(&folder.path, &manifest));
            continue;
        }
        let stays = every > 0 && folder.step.is_multiple_of(every);
        if !stays && foreign::files(&folder.path, &manifest)?.is_empty() {
            delete(root, &folder)?;
            deleted.push(folder.path);
        }
    }
    Ok(deleted)
}

/// Deletes a checkpoint: out of sight first, so that a deletion that is cut short leaves no damaged
/// one behind.
fn delete(root: &Path, folder: &Folder) -> Result<(), CheckpointError> {
    let hidden = hidden_path(root, folder.step, PARTIAL);
    fs::rename(&folder.path, &hidden).map_err(io("rename", &folder.path))?;
    fs::remove_dir_all(&hidden).map_err(io("delete", &hidden))
}

/// Deletes every checkpoint in `root`, and what interrupted writes left there.
///
/// # Errors
///
/// When a folder cannot be listed or deleted.
pub fn delete_all(root: &Path) -> Result<(), CheckpointError> {
    for folder in list(root)? {
        match folder.kind {
            Kind::Checkpoint => delete(root, &folder)?,
            _ => fs::remove_dir_all(&folder.path).map_err(io("delete", &folder.path))?,
        }
    }
    let note = root.join(NEWEST);
    match fs::remove_file(&note) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io("delete", &note)(error)),
        _ => Ok(()),
    }
}

/// Whether `root` holds anything that is or was to be a checkpoint, usable or not.
///
/// # Errors
///
/// When `root` exists and cannot be listed.
pub fn has_any(root: &Path) -> Result<bool, CheckpointError> {
    Ok(!list(root)?.is_empty())
}

/// Deletes all checkpoints in `root` but that of `step`.
///
/// # Errors
///
/// When a folder cannot be listed or deleted.
pub fn keep_only(root: &Path, step: u64) -> Result<(), CheckpointError> {
    for folder in list(root)? {
        if matches!(folder.kind, Kind::Checkpoint) && folder.step != step {
            delete(root, &folder)?;
        }
    }
    Ok(())
}

/// Whether every listed file is there in its size; contents are not read.
fn has_all_files(folder: &Path, manifest: &Manifest) -> bool {
    let mut files = manifest.files.iter();
    files.all(|(name, entry)| entry.verify_size(&folder.join(name)).is_ok())
}
