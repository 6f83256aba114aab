//! What is evaluated where the flags leave it open.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use dp_sims_datasets::Description;

use super::EvaluateArgs;
use crate::commands::dataset_of::of_model;
use crate::data;
use crate::evaluate::{Metric, Protocol};
use crate::snapshot::Snapshot;

/// The dataset: that of the flags, or that of the model.
pub(super) fn dataset(
    args: &EvaluateArgs,
    model: Option<&Snapshot>,
) -> Result<(Description, Option<PathBuf>)> {
    let Some(model) = model else {
        let (description, root) = data::source(args.dataset.as_deref(), args.data.as_deref())?;
        return Ok((description, Some(root)));
    };
    of_model(model, args.dataset.as_deref(), args.data.as_deref())
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
