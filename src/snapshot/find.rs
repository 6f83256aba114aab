//! Checkpoints by the folders that people name.

use std::path::Path;

use anyhow::{Context, Result};

use crate::checkpoint::{self, Checkpoint, Latest};
use crate::train::GENERATOR_FILES;

/// Opens a checkpoint folder, or the newest checkpoint of a run folder of which every file is whole.
/// Damaged ones are named on standard error.
///
/// # Errors
/// When there is none, or the one that is named is not whole.
pub fn open_whole(folder: &Path) -> Result<Checkpoint> {
    open_or(folder, |root| Ok(named(checkpoint::latest_whole(root)?)))
}

/// The newest whole checkpoint of a run folder. Damaged ones are named on standard error.
///
/// # Errors
/// When the folder cannot be read.
pub fn newest_whole(run_folder: &Path) -> Result<Option<Checkpoint>> {
    let checkpoints = run_folder.join("checkpoints");
    Ok(named(checkpoint::latest_whole(&checkpoints)?))
}

/// Opens a checkpoint folder, or the newest checkpoint of a run folder whose generator is whole.
pub(super) fn open_generator(folder: &Path) -> Result<Checkpoint> {
    open_or(folder, |root| {
        Ok(named(checkpoint::latest_with(root, &GENERATOR_FILES)?))
    })
}

/// Opens a checkpoint folder, or of a run folder or its folder `best` the checkpoint that `newest` finds.
fn open_or(
    folder: &Path,
    newest: impl FnOnce(&Path) -> Result<Option<Checkpoint>>,
) -> Result<Checkpoint> {
    let none = || format!("{} has no whole checkpoint", folder.display());
    let checkpoints = folder.join("checkpoints");
    if checkpoints.is_dir() {
        return newest(&checkpoints)?.with_context(none);
    }
    if folder.join("best.json").is_file() {
        return newest(folder)?.with_context(none);
    }
    Ok(checkpoint::open_unread(folder)?)
}

/// The checkpoint that was found; damaged ones are named on standard error.
fn named(latest: Latest) -> Option<Checkpoint> {
    for skipped in latest.skipped {
        eprintln!(
            "warning: skipping {}: {}",
            skipped.path.display(),
            skipped.reason
        );
    }
    latest.checkpoint
}
