//! The model inside the program: the one place that says whether there is one.

use std::borrow::Cow;

use anyhow::{Context, Result};

use super::ModelFile;

/// Name that `--checkpoint` knows it by.
pub const BUILT_IN: &str = "scenes";

/// Bytes of its model file, which `dp-sims export --half` writes.
const MODEL: Option<&[u8]> = None;

/// The model inside the program.
///
/// # Errors
/// When the program was built without one.
pub(super) fn built_in() -> Result<ModelFile> {
    let bytes = MODEL.with_context(|| {
        format!(
            "this program was built without its model `{BUILT_IN}`: name a run, a checkpoint or a model \
             file with --checkpoint"
        )
    })?;
    ModelFile::parse(Cow::Borrowed(bytes), BUILT_IN)
}
