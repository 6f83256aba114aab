//! Writing a checkpoint so that it is there whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::io;
use super::folders::{Kind, PARTIAL, REPLACED, folder_name, hidden_path, list, set_newest};
use super::manifest::{FileEntry, Manifest, is_plain_name};
use super::{CheckpointError, MANIFEST, open};
use crate::runtime::files::sync_folder;

/// Writes the checkpoint of `step` into `root`, the `checkpoints` folder of a run, and returns its
/// folder.
///
/// `files` are names and what makes the contents; each content is made when the one before it is on
/// disk, so that only one has to be in memory at a time. The manifest is added. When the function
/// returns, all is on disk. A checkpoint of the same step is kept if it is whole and equal, and
/// otherwise replaced; what interrupted writes left behind is cleared away. Only one process may
/// write to `root`.
///
/// # Errors
///
/// [`CheckpointError::FileName`] before anything is written; [`CheckpointError::Io`] when the file
/// system refuses, such as a full disk, and errors of `files`: nothing is left of the new checkpoint
/// then. Older checkpoints are untouched in all cases.
pub fn write<E: From<CheckpointError>>(
    root: &Path,
    step: u64,
    files: Vec<(String, impl FnOnce() -> Result<Vec<u8>, E>)>,
) -> Result<PathBuf, E> {
    if let Some((name, _)) = files.iter().find(|(name, _)| !is_plain_name(name)) {
        return Err(CheckpointError::FileName { name: name.clone() }.into());
    }
    fs::create_dir_all(root).map_err(io("create", root))?;
    clear_leftovers(root)?;
    let target = root.join(folder_name(step));
    let partial = hidden_path(root, step, PARTIAL);
    let manifest = fill(&partial, step, files).inspect_err(|_| {
        // The error that made the write fail is the one to report.
        let _ = fs::remove_dir_all(&partial);
    })?;
    set_newest(root, step).inspect_err(|_| {
        let _ = fs::remove_dir_all(&partial);
    })?;
    if open(&target).is_ok_and(|existing| *existing.manifest() == manifest) {
        fs::remove_dir_all(&partial).map_err(io("delete", &partial))?;
        return Ok(target);
    }
    put_in_place(root, step, &partial, &target)?;
    Ok(target)
}

/// Writes all files into the new folder `partial` and makes them durable.
fn fill<E: From<CheckpointError>>(
    partial: &Path,
    step: u64,
    files: Vec<(String, impl FnOnce() -> Result<Vec<u8>, E>)>,
) -> Result<Manifest, E> {
    fs::create_dir(partial).map_err(io("create", partial))?;
    let mut manifest = Manifest::empty(step);
    for (name, make) in files {
        let bytes = make()?;
        write_durably(&partial.join(&name), &bytes)?;
        manifest.files.insert(name, FileEntry::of(&bytes));
    }
    let path = partial.join(MANIFEST);
    let mut json =
        serde_json::to_vec_pretty(&manifest).map_err(|error| io("write", &path)(error.into()))?;
    json.push(b'\n');
    write_durably(&path, &json)?;
    sync_folder(partial).map_err(io("sync", partial))?;
    Ok(manifest)
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io("write", path))
}

/// Renames `partial` to `target`, moving a former `target` aside until that has happened.
fn put_in_place(
    root: &Path,
    step: u64,
    partial: &Path,
    target: &Path,
) -> Result<(), CheckpointError> {
    let replaced = hidden_path(root, step, REPLACED);
    let had_former = target.exists();
    if had_former {
        fs::rename(target, &replaced).map_err(io("rename", target))?;
    }
    fs::rename(partial, target).map_err(io("rename", partial))?;
    sync_folder(root).map_err(io("sync", root))?;
    if had_former {
        fs::remove_dir_all(&replaced).map_err(io("delete", &replaced))?;
    }
    Ok(())
}

/// Deletes what interrupted writes left; a checkpoint that was moved aside and not replaced comes
/// back.
fn clear_leftovers(root: &Path) -> Result<(), CheckpointError> {
    for folder in list(root)? {
        let target = root.join(folder_name(folder.step));
        match folder.kind {
            Kind::Checkpoint => {}
            Kind::Replaced if !target.exists() => {
                fs::rename(&folder.path, &target).map_err(io("rename", &folder.path))?;
            }
            Kind::Replaced | Kind::Partial => {
                fs::remove_dir_all(&folder.path).map_err(io("delete", &folder.path))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::keep_only;

    fn file(name: &str, whole: bool) -> (String, impl FnOnce() -> anyhow::Result<Vec<u8>>) {
        let make = move || {
            anyhow::ensure!(whole, "the device failed");
            Ok(vec![1])
        };
        (name.to_owned(), make)
    }

    fn steps(root: &Path) -> Vec<u64> {
        let folders = list(root).unwrap().into_iter();
        folders.map(|folder| folder.step).collect()
    }

    #[test]
    fn a_file_that_cannot_be_made_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, 1, vec![file("a", true)]).unwrap();
        let error = write(root, 2, vec![file("a", true), file("b", false)]).unwrap_err();
        assert_eq!(error.to_string(), "the device failed");
        assert_eq!(steps(root), [1]);
    }

    #[test]
    fn only_one_step_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for step in 1..4 {
            write(root, step, vec![file("a", true)]).unwrap();
        }
        keep_only(root, 2).unwrap();
        assert_eq!(steps(root), [2]);
    }
}
