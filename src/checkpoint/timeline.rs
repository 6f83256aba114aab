//! Which checkpoints of a folder follow one another: what was written last, and what a run that went
//! back to an older one left behind.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::CheckpointError;
use super::error::io;
use super::list::{Kind, folder_name, list, parse_step};
use super::write::sync_folder;

/// File beside the checkpoints that names the one written last. Steps do not tell: a run that went back
/// to step 5 writes step 6 after an abandoned step 15. Nor do the times of files, which a copy changes.
pub(super) const NEWEST: &str = ".newest";

/// The step that was written last; none where nothing tells, as in folders of earlier versions.
pub(super) fn newest(root: &Path) -> Option<u64> {
    let mut text = String::new();
    let file = File::open(root.join(NEWEST)).ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    parse_step(text.trim_end())
}

/// Notes that `step` is what is written last, before it is put into place: a note of a checkpoint that
/// is not there says nothing.
pub(super) fn set_newest(root: &Path, step: u64) -> Result<(), CheckpointError> {
    if newest(root) == Some(step) {
        return Ok(());
    }
    let path = root.join(NEWEST);
    let partial = root.join(".newest.partial");
    let write = || -> std::io::Result<()> {
        // What an interrupted write left, or a link that somebody put there.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(&partial)?;
        file.write_all(format!("{}\n", folder_name(step)).as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    };
    write().map_err(io("write", &path))
}

/// Goes back to `step`: moves the checkpoints of later steps in `root` out of the way, into `aside`,
/// where each can be used by its path. Returns their new places; `aside` is made only where it is
/// needed.
///
/// # Errors
///
/// When a folder cannot be listed or moved.
pub fn go_back(root: &Path, step: u64, aside: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let later = |folder: &super::list::Folder| folder.step > step && folder.kind != Kind::Partial;
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
    sync_folder(aside)?;
    sync_folder(root)?;
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
