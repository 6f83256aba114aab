//! The loop: batches in, steps, events out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::backend::AutodiffBackend;
use dp_sims_datasets::{Loader, LoaderConfig};
use dp_sims_model::generator::Generator;
use dp_sims_model::layers::LabelMaps;

use super::batch::{DeviceBatch, label_maps};
use super::evaluation::RunEvaluation;
use super::networks::Networks;
use super::random::SeededDraws;
use super::sampling::{Preview, refreshed};
use super::save::{State, files, read_state, restore};
use super::step::Training;
use super::stop::Stop;
use super::watch::Watch;
use crate::checkpoint::{self, Checkpoint};
use crate::config::Experiment;
use crate::data::Data;
use crate::events::{Fanout, TrainEvent};

/// Added to the seed of the data order for the batches that refresh the averaged generator.
const REFRESH_SEED: u64 = 0x5eed;

/// Where a run starts from and writes to.
pub struct RunOptions {
    /// Run folder.
    pub out: PathBuf,
    /// Folder of the weight files.
    pub weights: PathBuf,
    /// Checkpoint to continue from.
    pub resume: Option<Checkpoint>,
    /// Name of the backend, for displays and checkpoints.
    pub backend: String,
}

/// A run in progress.
pub struct Run<'a, B: AutodiffBackend> {
    pub(super) experiment: &'a Experiment,
    pub(super) data: &'a Data,
    pub(super) options: RunOptions,
    pub(super) training: Training<B>,
    preview: Preview,
    refresh: Vec<LabelMaps<B::InnerBackend>>,
    ready: Option<(u64, Generator<B::InnerBackend>)>,
    evaluation: Option<RunEvaluation<B::InnerBackend>>,
    step: u64,
    images_seen: u64,
    /// Whether every scalar of the last step was finite.
    finite: bool,
    device: B::Device,
}

impl<'a, B: AutodiffBackend> Run<'a, B> {
    /// Builds the networks and restores the checkpoint to continue from.
    ///
    /// # Errors
    /// When sizes do not fit together, weights are missing or the checkpoint does not fit.
    pub fn new(
        experiment: &'a Experiment,
        data: &'a Data,
        options: RunOptions,
        device: &B::Device,
    ) -> Result<Self> {
        let classes = data.train.classes().len();
        let networks = Networks::<B>::new(experiment, classes, &options.weights, device)?;
        let mut training = Training::new(networks, experiment, device)?;
        let (mut step, mut images_seen) = (0, 0);
        if let Some(checkpoint) = &options.resume {
            let state = read_state(checkpoint)?;
            (step, images_seen) = (state.step, state.images_seen);
            training = restore(training, checkpoint)?;
        }
        let refresh_loader = Loader::new(
            data.train.clone(),
            data.balance(&experiment.data),
            loader_config(experiment, experiment.run.seed.wrapping_add(REFRESH_SEED)),
            0,
        )?;
        let refresh = refresh_loader
            .take(experiment.ema.refresh_batches)
            .map(|batch| Ok(label_maps(&batch?, device)))
            .collect::<Result<_>>()?;
        Ok(Self {
            experiment,
            data,
            preview: Preview::new(data.validation.as_ref(), experiment)?,
            evaluation: RunEvaluation::new(
                experiment,
                data,
                &options.weights,
                &options.out,
                step,
                device,
            )?,
            options,
            training,
            refresh,
            ready: None,
            step,
            images_seen,
            finite: true,
            device: device.clone(),
        })
    }

    /// Trains to the last step, until asked to stop, or until an image cannot be read; ends with a
    /// checkpoint in each case.
    ///
    /// # Errors
    /// When data cannot be read, the device fails or a checkpoint cannot be written.
    pub fn train(mut self, events: &mut Fanout, stop: &Stop) -> Result<()> {
        let run = &self.experiment.run;
        events.emit(&TrainEvent::Started {
            run_folder: self.options.out.clone(),
            experiment: self.experiment.name.clone(),
            backend: self.options.backend.clone(),
            first_step: self.step + 1,
            total_steps: run.steps,
        });
        if self.step == 0 {
            self.show_preview(events)?;
        }
        let mut loader = Loader::new(
            self.data.train.clone(),
            self.data.balance(&self.experiment.data),
            loader_config(self.experiment, run.seed),
            self.step * run.accumulation as u64,
        )?;
        let mut watch = Watch::new(self.experiment, self.step);
        let mut written = None;
        let mut outcome = Ok("completed");
        while self.step < run.steps {
            if let Some(asked) = stop.reason() {
                outcome = Ok(asked);
                break;
            }
            let started = Instant::now();
            let batches = match self.batches(&mut loader, events) {
                Ok(batches) => batches,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            };
            self.step += 1;
            self.images_seen += (run.batch * run.accumulation) as u64;
            let scalars = self.training.step(self.step, &batches)?.read()?;
            self.finite = scalars.values().all(|value| value.is_finite());
            let seconds = started.elapsed().as_secs_f64();
            for event in watch.step(self.step, self.images_seen, &scalars, seconds) {
                events.emit(&event);
            }
            let last = self.step == run.steps;
            if last || self.step.is_multiple_of(run.preview_every) {
                self.show_preview(events)?;
            }
            if last || self.step.is_multiple_of(run.checkpoint_every) {
                self.write_checkpoint(events)?;
                written = Some(self.step);
            }
            self.evaluate(last, events)?;
        }
        if self.step > 0 && written != Some(self.step) && self.has_progressed() {
            self.write_checkpoint(events)?;
        }
        let reason = match &outcome {
            Ok(reason) => (*reason).to_string(),
            Err(error) => format!("failed: {error:#}"),
        };
        events.emit(&TrainEvent::Finished {
            step: self.step,
            reason,
        });
        outcome.map(|_| ())
    }

    fn batches(
        &self,
        loader: &mut Loader,
        events: &mut Fanout,
    ) -> Result<Vec<DeviceBatch<B::InnerBackend>>> {
        let classes = self.data.train.classes().len();
        (0..self.experiment.run.accumulation)
            .map(|_| {
                let mut batch = loader.next().context("the loader ended before the run")??;
                for message in batch.unreadable.drain(..) {
                    let step = self.step;
                    events.emit(&TrainEvent::Warning { step, message });
                }
                Ok(DeviceBatch::new(&batch, classes, &self.device))
            })
            .collect()
    }

    fn has_progressed(&self) -> bool {
        self.options
            .resume
            .as_ref()
            .is_none_or(|checkpoint| checkpoint.step() < self.step)
    }

    /// The averaged generator made ready for use after the current step.
    fn ready(&mut self) -> Generator<B::InnerBackend> {
        match &self.ready {
            Some((step, generator)) if *step == self.step => generator.clone(),
            _ => {
                let draws = SeededDraws {
                    seed: self.experiment.run.seed,
                };
                let generator = refreshed(&self.training.networks.ema, &self.refresh, &draws);
                self.ready = Some((self.step, generator.clone()));
                generator
            }
        }
    }

    fn show_preview(&mut self, events: &mut Fanout) -> Result<()> {
        let mut generator = self.ready();
        let image = self.preview.draw(&mut generator, &self.device)?;
        events.emit(&TrainEvent::Preview {
            step: self.step,
            image,
        });
        Ok(())
    }

    /// Judges the averaged generator where that is due, and keeps the best checkpoint. An
    /// evaluation that fails does not end the run.
    fn evaluate(&mut self, is_last: bool, events: &mut Fanout) -> Result<()> {
        let step = self.step;
        let Some(mut evaluation) = self.evaluation.take() else {
            return Ok(());
        };
        if self.finite && evaluation.is_due(step, is_last) {
            let mut generator = self.ready();
            match evaluation.run(&mut generator, step) {
                Ok(found) => {
                    events.emit(&TrainEvent::Evaluation {
                        step,
                        values: found.values,
                        is_best: found.is_best,
                    });
                    if found.is_best {
                        let root = evaluation.folder();
                        self.save(root, &generator)?;
                        checkpoint::keep_only(root, step)?;
                        evaluation.remember()?;
                    }
                }
                Err(error) => events.emit(&TrainEvent::Warning {
                    step,
                    message: format!("no evaluation: {error:#}"),
                }),
            }
        }
        self.evaluation = Some(evaluation);
        Ok(())
    }

    /// Writes the checkpoint of this step into a folder of checkpoints.
    fn save(&self, root: &Path, ready: &Generator<B::InnerBackend>) -> Result<PathBuf> {
        let state = State::new(self.step, self.images_seen, &self.options.backend);
        let description = &self.data.description;
        let files = files(&self.training, ready, &state, self.experiment, description);
        checkpoint::write(root, self.step, files)
    }

    /// Writes a checkpoint, unless the run has lost its numbers: a checkpoint without finite
    /// weights cannot be resumed, and keeping it would push out those that can.
    fn write_checkpoint(&mut self, events: &mut Fanout) -> Result<()> {
        if !self.finite {
            let message = "no checkpoint written: a loss is not finite".to_string();
            events.emit(&TrainEvent::Warning {
                step: self.step,
                message,
            });
            return Ok(());
        }
        let ready = self.ready();
        let root = self.options.out.join("checkpoints");
        let path = self.save(&root, &ready)?;
        if self.experiment.run.keep_checkpoints > 0 {
            checkpoint::prune(&root, self.experiment.run.keep_checkpoints)?;
        }
        events.emit(&TrainEvent::Checkpoint {
            step: self.step,
            path,
        });
        Ok(())
    }
}

fn loader_config(experiment: &Experiment, seed: u64) -> LoaderConfig {
    LoaderConfig {
        size: experiment.data.size(),
        load: experiment.data.load(),
        batch: experiment.run.batch,
        workers: experiment.data.workers,
        queue: experiment.data.queue,
        seed,
        flip: experiment.data.flip,
        balanced: experiment.data.balanced,
        offsets: experiment.generator.offsets,
    }
}
