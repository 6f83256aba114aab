//! The experiment of a run, and what of it changes when the run is continued.

use anyhow::{Result, ensure};

use super::TrainArgs;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::snapshot::{read_experiment, read_state};
use crate::config::{self, Difference, Experiment, with_changes};

/// An experiment.
pub(super) struct Choice {
    /// With the settings of the call.
    pub(super) experiment: Experiment,
    /// As it was named, as TOML, without them.
    pub(super) named: Option<String>,
}

/// The experiment of that name or path with settings on top.
///
/// # Errors
/// When it cannot be read or is not valid.
pub(super) fn chosen(named: &str, set: &[String]) -> Result<Choice> {
    let experiment = config::load(named, set)?;
    // One that is valid only with its settings is not remembered.
    let alone = config::load(named, &[]).ok();
    let named = alone.and_then(|alone| toml::to_string(&alone).ok());
    Ok(Choice { experiment, named })
}

/// The experiment of a checkpoint with what changed in the named one since the run was begun, and with
/// settings on top. What changed, or differs without having changed as far as can be told, is said.
///
/// # Errors
/// When the named experiment cannot be read, or has another name than that of the checkpoint.
pub(super) fn continued(checkpoint: &Checkpoint, args: &TrainArgs) -> Result<Choice> {
    let saved = read_experiment(checkpoint)?;
    let remembered = read_state(checkpoint)?.named;
    let Some(named) = &args.experiment else {
        let experiment = config::with_settings(&saved, &args.set)?;
        let named = remembered;
        return Ok(Choice { experiment, named });
    };
    let asked = config::load(named, &[])?;
    let shown = checkpoint.path().display();
    ensure!(
        asked.name == saved.name,
        "{shown} belongs to experiment `{}`, not `{}`",
        saved.name,
        asked.name
    );
    let before = remembered.and_then(|text| toml::from_str::<Experiment>(&text).ok());
    // What flags decide is theirs.
    let by_flag = |key: &str| {
        args.steps.is_some() && key == "run.steps"
            || args.data.is_some() && (key == "data.root" || key == "data.dataset")
    };
    let counts = |key: &str| !key.starts_with("about.") && !by_flag(key);
    let changed = match &before {
        Some(before) => with_changes(&saved, before, &asked)?,
        None => saved.clone(),
    };
    let experiment = config::with_settings(&changed, &args.set)?;
    if let Some(before) = &before {
        let changes = Difference::all(before, &asked, counts)?;
        if let Some((first, more)) = listed(&changes) {
            tracing::info!(
                "note: experiment `{named}` has changed since {shown}: {} = {} then, {} now{more}; \
                 what it says now counts",
                first.key,
                first.before,
                first.now
            );
        }
    } else {
        let differences = Difference::all(&experiment, &config::load(named, &args.set)?, counts)?;
        if let Some((first, more)) = listed(&differences) {
            tracing::info!(
                "note: {shown} has {} = {}, experiment `{named}` {}{more}: the run goes on with what the \
                 checkpoint has; change that with --set {0}={2}",
                first.key,
                first.before,
                first.now
            );
        }
    }
    let named = toml::to_string(&asked).ok();
    Ok(Choice { experiment, named })
}

/// The first difference, and in words how many more there are.
fn listed(differences: &[Difference]) -> Option<(&Difference, String)> {
    let (first, rest) = differences.split_first()?;
    let more = match rest.len() {
        0 => String::new(),
        count => format!(", and {count} other key(s)"),
    };
    Some((first, more))
}
