//! `manifest.json`: the list of files with sizes and hashes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use blake3::Hasher;
use dp_sims_datasets::open_ordinary;
use serde::{Deserialize, Serialize};

use super::error::io;
use super::folders::step_of;
use super::{CheckpointError, MANIFEST};
use crate::runtime::files::{self, MOST_TEXT};

/// Version of the checkpoint format this program writes and reads.
const VERSION: u32 = 2;
/// Bytes hashed at a time.
const CHUNK: usize = 1 << 20;

/// Content of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the checkpoint format.
    pub version: u32,
    /// Number of finished training steps.
    pub step: u64,
    /// Every file beside the manifest, by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// Size and hash of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the content, in lower-case hexadecimal digits.
    pub blake3: String,
}

impl Manifest {
    /// Of a checkpoint without files.
    pub(super) fn empty(step: u64) -> Self {
        Self {
            version: VERSION,
            step,
            files: BTreeMap::new(),
        }
    }

    /// Reads and checks the manifest of the checkpoint in `folder`, none of the other files.
    pub(super) fn read(folder: &Path) -> Result<Self, CheckpointError> {
        /// The one field that every version has.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }

        let path = folder.join(MANIFEST);
        let damaged = |reason: String| CheckpointError::DamagedManifest {
            path: path.clone(),
            reason,
        };
        let bytes = files::read(&path, MOST_TEXT).map_err(|error| match error.kind() {
            // A path that does not exist at all is another mistake.
            ErrorKind::NotFound if folder.is_dir() => CheckpointError::NoManifest {
                path: folder.to_owned(),
            },
            _ => io("read", &path)(error),
        })?;
        let Versioned { version } =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if version != VERSION {
            return Err(CheckpointError::Version {
                path,
                found: version,
                supported: VERSION,
            });
        }
        let manifest: Self =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if let Some(step) = step_of(folder).filter(|step| *step != manifest.step) {
            return Err(damaged(format!(
                "it states step {} in the folder of step {step}",
                manifest.step
            )));
        }
        match manifest.files.keys().find(|name| !is_plain_name(name)) {
            Some(name) => Err(damaged(format!("it lists `{name}`"))),
            None => Ok(manifest),
        }
    }
}

/// Whether `name` can be a file of a checkpoint.
pub(super) fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name != MANIFEST && !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain)
}

/// Opens a file of a checkpoint. A device, which never ends, or a pipe in its place is none.
pub(super) fn open_listed(path: &Path) -> Result<File, CheckpointError> {
    let file = open_ordinary(path, u64::MAX).map_err(io("read", path))?;
    file.ok_or_else(|| CheckpointError::MissingFile {
        path: path.to_owned(),
    })
}

impl FileEntry {
    /// Describes a file by its content.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        }
    }

    /// Describes the file at `path`, reading it piece by piece.
    pub(super) fn of_file(path: &Path) -> Result<Self, CheckpointError> {
        let mut file = open_listed(path)?;
        let mut hasher = Hasher::new();
        let mut chunk = vec![0; CHUNK];
        let mut bytes = 0;
        loop {
            let count = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(io("read", path)(error)),
            };
            hasher.update(&chunk[..count]);
            bytes += count as u64;
        }
        Ok(Self {
            bytes,
            blake3: hasher.finalize().to_hex().to_string(),
        })
    }

    /// Compares the size of the file at `path` with the listed one.
    pub(super) fn verify_size(&self, path: &Path) -> Result<(), CheckpointError> {
        let found = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => {
                return Err(CheckpointError::MissingFile {
                    path: path.to_owned(),
                });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(CheckpointError::MissingFile {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(io("read", path)(error)),
        };
        self.same_size(path, found)
    }

    /// Compares what was found at `path` with what is listed.
    pub(super) fn verify(&self, path: &Path, found: &Self) -> Result<(), CheckpointError> {
        self.same_size(path, found.bytes)?;
        if self.blake3 == found.blake3 {
            Ok(())
        } else {
            Err(CheckpointError::Hash {
                path: path.to_owned(),
            })
        }
    }

    fn same_size(&self, path: &Path, found: u64) -> Result<(), CheckpointError> {
        if self.bytes == found {
            return Ok(());
        }
        Err(CheckpointError::Size {
            path: path.to_owned(),
            expected: self.bytes,
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_hold_published_hashes() {
        // Of the BLAKE3 package on PyPI, which is made from the reference implementation.
        let abc = FileEntry::of(b"abc");
        assert_eq!(abc.bytes, 3);
        assert_eq!(
            abc.blake3,
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
        assert_eq!(
            FileEntry::of(b"").blake3,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn a_file_hashes_like_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let bytes: Vec<u8> = (0..2 * CHUNK + 77).map(|i| ((i * i) >> 3) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(FileEntry::of_file(&path).unwrap(), FileEntry::of(&bytes));
    }

    #[test]
    fn names_that_leave_the_folder_are_not_plain() {
        for name in ["ema.safetensors", "state.json", "optimizer_generator-2.bin"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in [
            "", ".", "..", "a/b", "../a", "/a", "a\\b", ".hidden", MANIFEST, "a b",
        ] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
