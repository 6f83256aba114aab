//! What is evaluated where the flags leave it open.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use dp_sims_datasets::Description;

use super::EvaluateArgs;
use crate::checkpoint::Checkpoint;
use crate::config::Experiment;
use crate::data;
use crate::evaluate::{Metric, Protocol};
use crate::train::read_description;

/// The dataset: that of the flags, or that of the checkpoint.
pub(super) fn dataset(
    args: &EvaluateArgs,
    checkpoint: Option<&Checkpoint>,
    experiment: Option<&Experiment>,
) -> Result<(Description, Option<PathBuf>)> {
    let (Some(checkpoint), Some(experiment)) = (checkpoint, experiment) else {
        let (description, root) = data::source(args.dataset.as_deref(), args.data.as_deref())?;
        return Ok((description, Some(root)));
    };
    let trained = read_description(checkpoint)?;
    let root = args.data.clone().or_else(|| experiment.data.root.clone());
    let Some(name) = &args.dataset else {
        return Ok((trained, root));
    };
    let description = data::description(name)?;
    ensure!(
        description.class_table() == trained.class_table(),
        "--dataset: `{}` has other classes than `{}`, which the model was trained on",
        description.name,
        trained.name
    );
    Ok((description, root))
}

/// What is measured: what was asked for, or all that can be.
pub(super) fn metrics(args: &EvaluateArgs, protocol: &Protocol) -> Result<Vec<Metric>> {
    let is_checkpoint = args.checkpoint.is_some();
    if args.metrics.is_empty() {
        let mut metrics = vec![Metric::Fid, Metric::Kid, Metric::Lpips];
        if protocol.miou.is_some() {
            metrics.extend([Metric::Miou, Metric::Accuracy]);
        }
        if protocol.miou_mf.is_some() {
            metrics.push(Metric::MiouMf);
        }
        if is_checkpoint {
            metrics.push(Metric::Timing);
        }
        return Ok(metrics);
    }
    for metric in &args.metrics {
        ensure!(
            is_checkpoint || !metric.needs_generator(),
            "--metrics {metric} needs a generator: give --checkpoint"
        );
    }
    Ok(args.metrics.clone())
}
