//! What is evaluated where the flags leave it open.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use dp_sims_datasets::Description;
use dp_sims_model::backbones::BackboneKind;

use super::EvaluateArgs;
use crate::checkpoint::snapshot::Snapshot;
use crate::commands::dataset_of::of_model;
use crate::config::Metric;
use crate::data;
use crate::evaluate::{NetworkFolder, Protocol};

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

/// What is measured: what was asked for, or all that can be. What cannot be is told on standard error,
/// with what is missing.
pub(super) fn metrics(
    args: &EvaluateArgs,
    protocol: &Protocol,
    weights: &Path,
) -> Result<Vec<Metric>> {
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
        let folder = NetworkFolder::new(weights.to_path_buf());
        let segmenter = args.segmenter.as_deref();
        let has_fid = folder.has(Metric::Fid, protocol, segmenter).is_ok();
        metrics.retain(|&metric| match folder.has(metric, protocol, segmenter) {
            Ok(()) => true,
            Err(missing) => {
                tracing::info!("note: without {metric}: {missing}");
                false
            }
        });
        if !has_fid {
            // Its weights are in the program.
            let kind = BackboneKind::ConvnextPicoScenes;
            let distances = [Metric::Frechet(kind), Metric::Kernel(kind)];
            metrics.splice(0..0, distances);
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
