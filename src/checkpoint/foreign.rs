//! What lies in a checkpoint folder and is not of the checkpoint.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::error::io;
use super::manifest::Manifest;
use super::{CheckpointError, MANIFEST};

/// Files and folders that a person put into the folder of a checkpoint: neither listed in its manifest
/// nor left there by a file manager or a file server.
pub(super) fn files(folder: &Path, manifest: &Manifest) -> Result<Vec<OsString>, CheckpointError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io("read", folder))? {
        let name = entry.map_err(io("read", folder))?.file_name();
        let is_ours = name.to_str().is_some_and(|name| {
            name == MANIFEST || manifest.files.contains_key(name) || is_left_by_software(name)
        });
        if !is_ours {
            found.push(name);
        }
    }
    Ok(found)
}

/// Whether nobody would miss a file of this name.
fn is_left_by_software(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        ".DS_Store",
        ".directory",
        "@eaDir",
        "Thumbs.db",
        "desktop.ini",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
        || name.starts_with("._")
        || name.starts_with(".nfs")
}
