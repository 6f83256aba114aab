use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use dp_sims_model::naming::same_name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metric::Metric;

/// Evaluation of the averaged generator during training, on the validation split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// Steps between two evaluations; 0 for none.
    pub every: u64,
    /// What is measured, as `dp-sims evaluate --metrics` names it; not `timing`.
    pub metrics: Vec<String>,
    /// Number of images, from the start of the split.
    pub images: usize,
    /// Value by which the best checkpoint, kept in `RUN/best`, is chosen: a metric, or
    /// `lpips-diversity` or `lpips-distance`.
    pub best: String,
    /// Folder of `train-segmenter`, for `miou` and `accuracy` on your own dataset.
    pub segmenter: Option<PathBuf>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            every: 0,
            metrics: vec!["fid".to_string()],
            images: 500,
            best: "fid".to_string(),
            segmenter: None,
        }
    }
}

impl EvaluationConfig {
    /// What is measured.
    ///
    /// # Errors
    /// Names a metric that there is not.
    pub fn metrics(&self) -> Result<Vec<Metric>> {
        let key = "configuration key `evaluation.metrics`";
        self.metrics
            .iter()
            .map(|name| {
                let metric: Metric = name.parse().map_err(|error| anyhow!("{key}: {error}"))?;
                ensure!(
                    metric != Metric::Timing,
                    "{key}: `{name}` is measured by `dp-sims evaluate`"
                );
                Ok(metric)
            })
            .collect()
    }

    /// Checks what can be checked without data or weights.
    ///
    /// # Errors
    /// Names the first key that is wrong.
    pub(super) fn validate(&self) -> Result<()> {
        if self.every == 0 {
            return Ok(());
        }
        let metrics = self.metrics()?;
        ensure!(
            self.images > 0,
            "configuration key `evaluation.images`: must be at least 1"
        );
        let measured = metrics.iter().any(|metric| match metric {
            Metric::Lpips => matches!(
                self.best.split_once(['-', '_']),
                Some(("lpips" | "perceptual", "diversity" | "distance"))
            ),
            other => same_name(&other.to_string(), &self.best),
        });
        ensure!(
            measured,
            "configuration key `evaluation.best`: `{}` is none of what `evaluation.metrics` \
             measures: {}",
            self.best,
            self.metrics.join(", ")
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_with_dashes_or_underscores() {
        let valid = |metric: &str, best: &str| {
            let config = EvaluationConfig {
                every: 1,
                metrics: vec![metric.to_string()],
                best: best.to_string(),
                ..EvaluationConfig::default()
            };
            config.validate()
        };
        for (metric, best) in [
            ("fd-resnet50", "fd_resnet50"),
            ("kd_swin-base_window7", "kd-swin-base-window7"),
            ("lpips", "lpips_diversity"),
            ("swav_fid", "swav-fid"),
        ] {
            valid(metric, best).unwrap();
        }
        let error = valid("fd-resnet50", "kd-resnet50").unwrap_err();
        assert!(error.to_string().contains("`evaluation.best`"), "{error}");
    }
}
