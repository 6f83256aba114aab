//! What a run that went back to an older checkpoint left behind.

use std::fs;
use std::path::{Path, PathBuf};

use super::CheckpointError;
use super::error::io;
use super::folders::{Folder, Kind, folder_name, list, set_newest};
use crate::runtime::files::sync_folder;

/// Goes back to `step`: moves the checkpoints of later steps in `root` out of the way, into `aside`,
/// where each can be used by its path. Returns their new places; `aside` is made only where it is
/// needed.
///
/// # Errors
///
/// When a folder cannot be listed or moved.
pub fn go_back(root: &Path, step: u64, aside: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let later = |folder: &Folder| folder.step > step && folder.kind != Kind::Partial;
    let folders: Vec<_> = list(root)?.into_iter().filter(later).collect();
    let mut moved = Vec::new();
    if folders.is_empty() {
        return Ok(moved);
    }
    // First of all: what is moved in part is not gone on from.
    set_newest(root, step)?;
    fs::create_dir_all(aside).map_err(io("create", aside))?;
    for folder in folders {
        let place = free_place(aside, &folder_name(folder.step));
        fs::rename(&folder.path, &place).map_err(io("move", &folder.path))?;
        moved.push(place);
    }
    sync_folder(aside).map_err(io("sync", aside))?;
    sync_folder(root).map_err(io("sync", root))?;
    Ok(moved)
}

/// A path in `folder` at which nothing is: `name`, `name.2`, `name.3`, ...
pub(crate) fn free_place(folder: &Path, name: &str) -> PathBuf {
    let taken = |path: &PathBuf| path.symlink_metadata().is_ok();
    let first = folder.join(name);
    if !taken(&first) {
        return first;
    }
    let mut number = 2u64;
    loop {
        let path = folder.join(format!("{name}.{number}"));
        if !taken(&path) {
            return path;
        }
        number += 1;
    }
}
