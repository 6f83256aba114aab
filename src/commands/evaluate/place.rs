//! Where results go.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::checkpoint::MANIFEST;
use crate::checkpoint::snapshot::Snapshot;
use crate::runtime::paths::{beside, real};

/// Folder of the results of a model: in the run of a checkpoint, or beside a model file or a checkpoint
/// that is in no run.
pub(super) fn results_folder(model: &Snapshot) -> PathBuf {
    let path = model.path();
    if model.kind() == "model" {
        return beside(path, |name| {
            with_evaluation(Path::new(name).file_stem().unwrap_or(name))
        });
    }
    // Named from within, a checkpoint tells its run by its place alone.
    let written = path.parent().and_then(Path::parent);
    let place = match written.filter(|run| !run.as_os_str().is_empty()) {
        Some(_) => path.to_path_buf(),
        None => real(path),
    };
    let parent = place
        .parent()
        .filter(|parent| parent.ends_with("checkpoints"));
    match parent.and_then(Path::parent) {
        Some(run) => run
            .join("evaluation")
            .join(format!("step-{:06}", model.step)),
        None => beside(path, with_evaluation),
    }
}

/// The name of a folder of results.
pub(super) fn with_evaluation(name: &OsStr) -> OsString {
    let mut name = name.to_os_string();
    name.push("-evaluation");
    name
}

/// Refuses to put results among the files of a checkpoint, which would make it unusable, or of images,
/// where they would be taken for some.
pub(super) fn refuse_place(out: &Path, images: Option<&Path>) -> Result<()> {
    let place = real(out);
    let checkpoint = place
        .ancestors()
        .find(|folder| folder.join(MANIFEST).is_file());
    let images = images.map(real).filter(|images| place.starts_with(images));
    if let Some(folder) = checkpoint.map(Path::to_path_buf).or(images) {
        anyhow::bail!(
            "the results cannot go into {}, which is inside {}: choose another folder with --out",
            out.display(),
            folder.display()
        );
    }
    Ok(())
}
