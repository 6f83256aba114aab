//! What can be wrong with a checkpoint.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a checkpoint could not be written or is refused.
///
/// A damaged checkpoint cannot be repaired; an older one can be used in its place, and
/// [`latest_whole`](super::latest_whole) finds it.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The file system refused an operation.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason the system gave. Part of the message, and so no source of it as well.
        cause: std::io::Error,
    },

    /// A folder without a manifest.
    #[error(
        "{path} is not a whole checkpoint, it has no manifest.json: give a folder such as \
         checkpoints/step-000123, or resume with `auto`", path = path.display()
    )]
    NoManifest {
        /// The folder.
        path: PathBuf,
    },

    /// A manifest that cannot be understood.
    #[error("{path} is damaged ({reason}): use another checkpoint, or resume with `auto`",
        path = path.display())]
    DamagedManifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A manifest of another format version.
    #[error(
        "{path} has format version {found} and this program reads version {supported}: use the \
         program version that wrote it", path = path.display()
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// The version it states.
        found: u32,
        /// The version this program reads.
        supported: u32,
    },

    /// A listed file that is not there.
    #[error("{path} is missing: use another checkpoint, or resume with `auto`",
        path = path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },

    /// A file of another size than listed.
    #[error(
        "{path} has {found} bytes and was written with {expected}: use another checkpoint, or \
         resume with `auto`", path = path.display()
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes according to the manifest.
        expected: u64,
        /// Bytes found.
        found: u64,
    },

    /// A file of the right size with other content than listed.
    #[error(
        "{path} is damaged, its BLAKE3 hash is not the one it was written with: use another \
         checkpoint, or resume with `auto`", path = path.display()
    )]
    Hash {
        /// The file.
        path: PathBuf,
    },

    /// Checkpoints of which none can be used.
    #[error(
        "{root} holds {count} checkpoint{plural} and none can be used, the newest because {reason}",
        root = root.display(), plural = if *count == 1 { "" } else { "s" }
    )]
    NoneUsable {
        /// The folder of checkpoints.
        root: PathBuf,
        /// How many there are.
        count: usize,
        /// What is wrong with the newest.
        reason: Box<CheckpointError>,
    },

    /// A file name that cannot be part of a checkpoint.
    #[error("`{name}` cannot be a file of a checkpoint: use a plain name other than manifest.json")]
    FileName {
        /// The name.
        name: String,
    },
}

/// Turns an I/O error on `path` into a [`CheckpointError`].
pub(super) fn io<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> CheckpointError + 'a {
    move |cause| CheckpointError::Io {
        action,
        path: path.to_owned(),
        cause,
    }
}
