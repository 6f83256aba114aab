//! Checkpoints by the folders that people name.

use std::path::Path;

use anyhow::{Context, Result};

use super::GENERATOR_FILES;
use crate::checkpoint::{self, Checkpoint, CheckpointError, Latest, MANIFEST};

/// Opens a checkpoint folder, or the newest checkpoint of a run folder of which every file is whole.
/// Damaged ones are named on standard error.
///
/// # Errors
/// When there is none, or the one that is named is not whole.
pub fn open_whole(folder: &Path) -> Result<Checkpoint> {
    open_or(folder, checkpoint::latest_whole)
}

/// The newest whole checkpoint of a run folder. Damaged ones are named on standard error.
///
/// # Errors
/// When the folder cannot be read, or holds checkpoints of which none can be used.
pub fn newest_whole(run_folder: &Path) -> Result<Option<Checkpoint>> {
    named(checkpoint::latest_whole(&run_folder.join("checkpoints"))?)
}

/// Opens a checkpoint folder, or the newest checkpoint of a run folder whose generator is whole.
pub(super) fn open_generator(folder: &Path) -> Result<Checkpoint> {
    open_or(folder, |root| {
        checkpoint::latest_with(root, &GENERATOR_FILES)
    })
}

/// Opens a checkpoint folder, or of a run folder, or of a folder of checkpoints such as `RUN/best`, the
/// checkpoint that `latest` finds.
fn open_or(
    folder: &Path,
    latest: impl FnOnce(&Path) -> Result<Latest, CheckpointError>,
) -> Result<Checkpoint> {
    let below = folder.join("checkpoints");
    let root = if below.is_dir() {
        below
    } else if !folder.join(MANIFEST).exists() && checkpoint::has_any(folder).unwrap_or(false) {
        folder.to_path_buf()
    } else {
        return Ok(checkpoint::open_unread(folder)?);
    };
    named(latest(&root)?)?.with_context(|| format!("{} has no whole checkpoint", folder.display()))
}

/// The checkpoint that was found; damaged ones are named on standard error.
fn named(latest: Latest) -> Result<Option<Checkpoint>> {
    if latest.checkpoint.is_some() {
        for skipped in &latest.skipped {
            tracing::warn!("skipping {}: {}", skipped.path.display(), skipped.reason);
        }
    }
    let usable = latest.usable()?;
    if let Some(checkpoint) = &usable {
        tracing::debug!("checkpoint {}", checkpoint.path().display());
    }
    Ok(usable)
}
