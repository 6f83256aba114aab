//! The folders of checkpoints: how they are called, and which was written last.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::CheckpointError;
use super::error::io;

/// Mark of a folder that is being written or deleted.
pub(super) const PARTIAL: &str = "partial";
/// Mark of a whole checkpoint that is being replaced.
pub(super) const REPLACED: &str = "replaced";

/// What a folder below `checkpoints` is, in the order of preference for one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `.step-000123.partial-PID`: being written or deleted, or left by a process that was killed.
    Partial,
    /// `.step-000123.replaced-PID`: a checkpoint whose replacement was not put into place (yet).
    Replaced,
    /// `step-000123`.
    Checkpoint,
}

/// A folder below `checkpoints`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Folder {
    pub(super) step: u64,
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
}

/// `step-000123`.
pub(super) fn folder_name(step: u64) -> String {
    format!("step-{step:06}")
}

/// `.step-000123.MARK-PID`, below `root`.
pub(super) fn hidden_path(root: &Path, step: u64, mark: &str) -> PathBuf {
    root.join(format!(
        ".{}.{mark}-{}",
        folder_name(step),
        std::process::id()
    ))
}

/// The step a checkpoint folder is named after, where it has such a name.
pub(super) fn step_of(folder: &Path) -> Option<u64> {
    parse_step(folder.file_name()?.to_str()?)
}

/// The step that `step-000123` names.
fn parse_step(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    // One spelling per step: `step-7` is not ours.
    (folder_name(step) == name).then_some(step)
}

fn parse(name: &str) -> Option<(u64, Kind)> {
    let Some(hidden) = name.strip_prefix('.') else {
        return parse_step(name).map(|step| (step, Kind::Checkpoint));
    };
    let (step, mark) = hidden.split_once('.')?;
    let kind = match mark.split_once('-')?.0 {
        PARTIAL => Kind::Partial,
        REPLACED => Kind::Replaced,
        _ => return None,
    };
    Some((parse_step(step)?, kind))
}

/// All folders in `root` that are or were to be checkpoints, in the order in which they were written
/// (those of later steps than the last one belong to what a run went back from, and come first); none
/// when `root` does not exist.
pub(super) fn list(root: &Path) -> Result<Vec<Folder>, CheckpointError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("read", root)(error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(io("read", root))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some((step, kind)) = name.and_then(parse) {
            folders.push(Folder { step, kind, path });
        }
    }
    let newest = newest(root).unwrap_or(u64::MAX);
    folders.sort_by(|a: &Folder, b| (a.step <= newest, a).cmp(&(b.step <= newest, b)));
    Ok(folders)
}

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
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(&partial)?;
        file.write_all(format!("{}\n", folder_name(step)).as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    };
    write().map_err(io("write", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_they_are_written() {
        assert_eq!(parse(&folder_name(7)), Some((7, Kind::Checkpoint)));
        assert_eq!(parse("step-1234567"), Some((1_234_567, Kind::Checkpoint)));
        assert_eq!(parse(".step-000007.partial-12"), Some((7, Kind::Partial)));
        assert_eq!(parse(".step-000007.replaced-12"), Some((7, Kind::Replaced)));
        for name in [
            "step-7",
            "step-",
            "step-00000x",
            "best",
            ".step-000007",
            ".git",
            "step-+00007",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
