use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use dp_sims_datasets::Description;

use crate::checkpoint::snapshot::Snapshot;
use crate::data::{description, detect};

/// The dataset that a model is used on, and its folder: that of the flags, or the one it was trained on. A
/// folder alone is another place of that dataset, or a dataset of its own where the model was trained on
/// procedural scenes.
///
/// # Errors
/// When there is none, or it has other classes than the model.
pub(super) fn of_model(
    model: &Snapshot,
    dataset: Option<&str>,
    root: Option<&Path>,
) -> Result<(Description, Option<PathBuf>)> {
    let trained = model.description.clone();
    let place = root.map(Path::to_path_buf).or_else(|| model.root.clone());
    let description = match (dataset, root) {
        (Some(name), _) => description(name)?,
        (None, Some(root)) if trained.train.is_none() => detect(root)?,
        (None, _) => return Ok((trained, place)),
    };
    ensure!(
        description.class_table() == trained.class_table(),
        "dataset `{}` has other classes than `{}`, which the model was trained on",
        description.name,
        trained.name
    );
    Ok((description, place))
}
