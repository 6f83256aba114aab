use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dp_sims_model::naming::same_name;

use super::folder::{EVALUATION, EXPERIMENT, Record};
use crate::checkpoint::snapshot::{GENERATOR_FILES, read_experiment};
use crate::checkpoint::{self, Checkpoint};
use crate::config::{Difference, Experiment};
use crate::consumers::jsonl::logged_seconds;
use crate::evaluate::Results;
use crate::runtime::files::write_whole;

/// How the runs of a study are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judging {
    /// Protocol; that of the dataset without it.
    pub protocol: Option<String>,
    /// What is measured; all of the protocol where it is empty.
    pub metrics: Vec<String>,
    /// Images; all without it.
    pub limit: Option<usize>,
    /// Folder of your own segmenter.
    pub segmenter: Option<PathBuf>,
}

/// A row of a study with one seed, in a run folder of its own.
#[derive(Clone, Debug)]
pub struct Job {
    /// Name of the row.
    pub row: String,
    /// Seed.
    pub seed: u64,
    /// Seconds of training in place of a number of steps.
    pub seconds: Option<f64>,
    /// Run folder.
    pub folder: PathBuf,
    /// The experiment with this seed.
    pub experiment: Experiment,
    /// How it is judged.
    pub judging: Judging,
}

/// What a run folder says is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Start,
    /// Training from a checkpoint on.
    Resume {
        /// Steps of the checkpoint.
        step: u64,
    },
    /// Evaluation.
    Evaluate {
        /// Steps that were trained.
        step: u64,
    },
    /// Nothing.
    Done {
        /// Steps that were trained.
        step: u64,
    },
}

impl Job {
    /// Name for messages.
    pub fn name(&self) -> String {
        format!("{} seed {}", self.row, self.seed)
    }

    /// Finds out from the run folder what is left to do. Nothing but the folder counts, so that it does
    /// not matter how an earlier call ended.
    ///
    /// # Errors
    /// When the folder holds a run with other settings; names the first that differs. When it holds
    /// checkpoints of which none can be used.
    pub fn state(&self) -> Result<State> {
        let newest = checkpoint::latest_with(&self.folder.join("checkpoints"), &GENERATOR_FILES)?;
        let newest = newest.usable()?;
        self.refuse_other_settings(newest.as_ref())?;
        let Some(checkpoint) = newest else {
            return Ok(State::Start);
        };
        let step = checkpoint.step();
        if !self.is_trained(step)? {
            return Ok(State::Resume { step });
        }
        Ok(match Results::read(&self.folder.join(EVALUATION)) {
            Ok(results) if self.is_answered(&results, step) => State::Done { step },
            _ => State::Evaluate { step },
        })
    }

    /// Whether a checkpoint of this step is the last one.
    fn is_trained(&self, step: u64) -> Result<bool> {
        if step >= self.experiment.run.steps {
            return Ok(true);
        }
        let Some(limit) = self.seconds else {
            return Ok(false);
        };
        Ok(logged_seconds(&self.folder.join("log.jsonl"), step)? >= limit)
    }

    /// Whether results are of this checkpoint and hold all that is asked for.
    fn is_answered(&self, results: &Results, step: u64) -> bool {
        let judging = &self.judging;
        let has = |metric: &String| match metric.as_str() {
            "timing" => results.timing.is_some(),
            "lpips" => ["lpips-", "perceptual-"]
                .iter()
                .any(|start| results.values.keys().any(|key| key.starts_with(start))),
            name => results.values.keys().any(|key| same_name(key, name)),
        };
        let images = judging.limit.unwrap_or(usize::MAX).min(results.data.of);
        results.subject.step == Some(step)
            && judging.metrics.iter().all(has)
            && results.data.images == images
            && judging
                .protocol
                .as_ref()
                .is_none_or(|name| *name == results.protocol.name || name.ends_with(".toml"))
    }

    fn refuse_other_settings(&self, checkpoint: Option<&Checkpoint>) -> Result<()> {
        let shown = self.folder.display();
        let path = self.folder.join(EXPERIMENT);
        let saved = if path.exists() {
            Some(read(&path)?)
        } else {
            checkpoint.map(read_experiment).transpose()?
        };
        let Some(saved) = saved else {
            return Ok(());
        };
        let remedy = "take the change back, or choose another folder with --out";
        if let Some(found) = difference(&saved, &self.experiment)? {
            let Difference { key, before, now } = found;
            bail!("{shown} holds a run with {key} = {before}, not {now}: {remedy}");
        }
        let limit = Record::read(&self.folder)?.and_then(|record| record.limit_seconds);
        if checkpoint.is_some() && limit != self.seconds {
            let named = |seconds: Option<f64>| {
                seconds.map_or("no limit in time".to_string(), |s| {
                    format!("a limit of {s} s")
                })
            };
            bail!(
                "{shown} holds a run with {}, not {}: {remedy}",
                named(limit),
                named(self.seconds)
            );
        }
        Ok(())
    }

    /// Makes the run folder ready for training: writes the experiment into it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn prepare(&self) -> Result<()> {
        let shown = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot create {shown}"))?;
        let text = toml::to_string(&self.experiment)?;
        write_whole(&self.folder.join(EXPERIMENT), text.as_bytes())
    }
}

fn read(path: &Path) -> Result<Experiment> {
    let unreadable = || format!("cannot read {}", path.display());
    let text = crate::runtime::files::read_text(path).with_context(unreadable)?;
    toml::from_str(&text).with_context(unreadable)
}

/// The experiment of a run folder; none where there is none.
///
/// # Errors
/// When it cannot be read.
pub(super) fn experiment_of(folder: &Path) -> Result<Option<Experiment>> {
    let path = folder.join(EXPERIMENT);
    path.exists().then(|| read(&path)).transpose()
}

/// The first key in which two experiments differ. What an experiment is about and where the dataset is
/// do not count.
pub(super) fn difference(before: &Experiment, now: &Experiment) -> Result<Option<Difference>> {
    Difference::first(before, now, |key| {
        !key.starts_with("about.") && key != "data.root"
    })
}

#[cfg(test)]
mod tests;
