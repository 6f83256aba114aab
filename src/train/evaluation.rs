//! Evaluation of the averaged generator while it trains.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::Backend;
use dp_sims_datasets::Split;
use dp_sims_model::generator::Generator;
use dp_sims_model::naming::same_name;
use serde::{Deserialize, Serialize};

use super::ranks::Ranks;
use crate::config::{Experiment, described};
use crate::data::Data;
use crate::evaluate::{Evaluator, Photos, Plan, Protocol, Source, Together};
use crate::events::Scalars;
use crate::runtime::files::{MOST_TEXT, read, write_whole};
use crate::train::run_folder::{BEST, JUDGED, judged};

/// Images that are judged at once.
const BATCH: usize = 8;

/// The best evaluation so far: `best/best.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Best {
    metric: String,
    value: f64,
    step: u64,
}

/// The networks that judge a run, and the best it has reached.
pub(super) struct RunEvaluation<B: Backend> {
    evaluator: Evaluator<B>,
    photos: Photos,
    metric: String,
    seed: u64,
    best: Option<Best>,
    /// The step that was judged last.
    judged: Option<u64>,
    folder: PathBuf,
    ranks: Ranks,
    device: B::Device,
}

/// What an evaluation found.
pub(super) struct Found {
    /// Values by name.
    pub(super) values: Scalars,
    /// Whether no evaluation before was better.
    pub(super) is_best: bool,
}

impl<B: Backend> RunEvaluation<B> {
    /// Loads the networks, on every rank; none where the experiment does not ask for evaluation. `step` is
    /// the step that the run starts after.
    ///
    /// # Errors
    /// When weights are missing or the protocol does not define a metric.
    pub(super) fn new(
        experiment: &Experiment,
        data: &Data,
        weights: &Path,
        out: &Path,
        step: u64,
        (ranks, device): (Ranks, &B::Device),
    ) -> Result<Option<Self>> {
        let config = &experiment.evaluation;
        if config.every == 0 {
            return Ok(None);
        }
        let size = experiment.data.size();
        let protocol = Protocol::of_dataset(&data.description.name, size)?;
        let images = data.validation.clone();
        let photos = Photos::of(images, Split::Validation, size, Some(config.images))?;
        let seed = protocol.seed;
        let plan = Plan {
            protocol,
            metrics: config.metrics()?,
            batch: BATCH,
            segmenter: config.segmenter.clone(),
            real_statistics: None,
            save_statistics: None,
            cache: None,
            progress: false,
        };
        let evaluator = Evaluator::load(plan, &photos, weights, device)
            .context("configuration table `evaluation`")?;
        let folder = out.join(BEST);
        // An evaluation of a step that the resumed run has yet to make does not count.
        let best = read(&folder.join("best.json"), MOST_TEXT)
            .ok()
            .and_then(|text| serde_json::from_slice::<Best>(&text).ok())
            .filter(|best| best.step <= step && best.metric == config.best);
        Ok(Some(Self {
            evaluator,
            photos,
            metric: config.best.clone(),
            seed,
            best,
            judged: judged(out),
            folder,
            ranks,
            device: device.clone(),
        }))
    }

    /// Whether `step` was judged last, to the end.
    pub(super) fn has_judged(&self, step: u64) -> bool {
        self.judged == Some(step)
    }

    /// Folder that keeps the best checkpoint.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Judges the averaged generator, which every rank has, by a part of the images each. None on all ranks but the
    /// first.
    ///
    /// # Errors
    /// When a photo cannot be read, the device fails, or the metric that decides has no value.
    pub(super) fn run(&mut self, generator: &mut Generator<B>, step: u64) -> Result<Option<Found>> {
        let mut source = Source::Generator {
            generator,
            seed: self.seed,
        };
        let (ranks, device) = (self.ranks, self.device.clone());
        let together = Together {
            share: ranks.share(),
            gather: &|own| ranks.gather::<B>(own, &device),
        };
        let outcome = self.evaluator.run(&self.photos, &mut source, &together)?;
        if !together.is_first() {
            return Ok(None);
        }
        let values: Scalars = outcome
            .values
            .into_iter()
            .map(|(name, value)| (name, value.value))
            .collect();
        let mut named = values.iter();
        let best = named.find(|(name, _)| same_name(name, &self.metric));
        let (name, &value) = best.with_context(|| {
            let names: Vec<&str> = values.keys().map(String::as_str).collect();
            format!(
                "configuration key `evaluation.best`: `{}` is none of what is measured: {}",
                self.metric,
                names.join(", ")
            )
        })?;
        ensure!(!value.is_nan(), "{} is not a number", self.metric);
        let (_, _, better) = described(name);
        let more = better.unwrap_or(true);
        let is_best = self.best.as_ref().is_none_or(|best| {
            if more {
                value > best.value
            } else {
                value < best.value
            }
        });
        if is_best {
            self.best = Some(Best {
                metric: self.metric.clone(),
                value,
                step,
            });
        }
        Ok(Some(Found { values, is_best }))
    }

    /// Forgets the best where it is of a later step than `step`, whose checkpoint the run went back from.
    pub(super) fn forget_after(&mut self, step: u64) {
        self.best = self.best.take().filter(|best| best.step <= step);
        self.judged = self.judged.filter(|&judged| judged <= step);
    }

    /// Notes that `step` was judged, once all that follows from it is on disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn note(&mut self, step: u64) -> Result<()> {
        self.judged = Some(step);
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        write_whole(&self.folder.join(JUDGED), format!("{step}\n").as_bytes())
    }

    /// Remembers the best, once its checkpoint is on disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn remember(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.best)?;
        write_whole(&self.folder.join("best.json"), text.as_bytes())
    }
}
