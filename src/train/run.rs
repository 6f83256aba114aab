//! The loop: batches in, steps, events out.

mod ending;
mod folder;
mod saving;
#[cfg(all(test, feature = "flex"))]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_datasets::{Loader, LoaderConfig};
use dp_sims_model::generator::Generator;
use dp_sims_model::layers::LabelMaps;

use super::estimate::refuse_what_cannot_fit;
use super::evaluation::RunEvaluation;
use super::frozen::{frozen_hashes, refuse_other_weights};
use super::networks::Networks;
use super::report::StepScalars;
use super::sampling::{Preview, refreshed};
use super::save::restore;
use super::step::Training;
use super::stop::Stop;
use super::watch::Watch;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::snapshot::read_state;
use crate::config::Experiment;
use crate::data::Data;
use crate::events::{Fanout, TrainEvent};
use crate::runtime::batch::{DeviceBatch, label_maps};
use crate::runtime::noise::SeededDraws;
use crate::train::run_folder::RunFolder;
pub use ending::Ending;
use saving::Saved;

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
    /// Where the run ends before its last step, if anywhere.
    pub time: Option<TimeLimit>,
    /// Memory in bytes that there is for it, where that is known.
    pub memory: Option<u64>,
    /// The experiment as it was named, as TOML, without flags; see [`State`](crate::checkpoint::snapshot::State).
    pub named: Option<String>,
}

/// A limit in time instead of in steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeLimit {
    /// Seconds of training, as the log counts those of steps; the step that passes them is the last.
    pub seconds: f64,
    /// Seconds of the steps up to the checkpoint that is resumed.
    pub used: f64,
}

impl TimeLimit {
    /// Whether the time is up.
    pub fn is_up(&self) -> bool {
        self.used >= self.seconds
    }
}

/// A run in progress.
pub struct Run<'a, B: AutodiffBackend> {
    pub(super) experiment: &'a Experiment,
    pub(super) data: &'a Data,
    pub(super) options: RunOptions,
    pub(super) training: Training<B>,
    /// Hashes of the frozen networks.
    frozen: BTreeMap<String, String>,
    preview: Preview,
    refresh: Vec<LabelMaps<B::InnerBackend>>,
    ready: Option<(u64, Generator<B::InnerBackend>)>,
    evaluation: Option<RunEvaluation<B::InnerBackend>>,
    step: u64,
    images_seen: u64,
    watch: Watch,
    /// The step whose scalars have not been read yet.
    unread: Option<Unread<B::InnerBackend>>,
    /// When a checkpoint that could not be written is tried again.
    retry: Option<Instant>,
    /// The run folder, as long as it is ours.
    folder: Option<RunFolder>,
    device: B::Device,
}

/// A step that the device was asked for.
struct Unread<B: Backend> {
    step: u64,
    images_seen: u64,
    scalars: StepScalars<B>,
    seconds: f64,
}

impl<'a, B: AutodiffBackend> Run<'a, B> {
    /// Builds the networks and restores the checkpoint to continue from.
    ///
    /// # Errors
    /// When sizes do not fit together or not into the memory, weights are missing or the checkpoint does
    /// not fit.
    pub fn new(
        experiment: &'a Experiment,
        data: &'a Data,
        options: RunOptions,
        device: &B::Device,
    ) -> Result<Self> {
        let classes = data.train.classes().len();
        if let Some(memory) = options.memory {
            refuse_what_cannot_fit(experiment, classes, memory)?;
        }
        let networks = Networks::<B>::new(experiment, classes, &options.weights, device)?;
        let frozen = frozen_hashes(&networks, experiment);
        let mut training = Training::new(networks, experiment, device)?;
        let (mut step, mut images_seen) = (0, 0);
        if let Some(checkpoint) = &options.resume {
            let state = read_state(checkpoint)?;
            refuse_other_weights(checkpoint, &state, &frozen, experiment, &options.weights)?;
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
            .map(|batch| {
                let batch = batch?;
                let shape = [batch.len, batch.size.height, batch.size.width];
                Ok(label_maps(&batch.labels, batch.offsets, shape, device))
            })
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
            frozen,
            refresh,
            ready: None,
            step,
            images_seen,
            watch: Watch::new(experiment, step),
            unread: None,
            retry: None,
            folder: None,
            device: device.clone(),
        })
    }

    /// Trains to the last step, until asked to stop, or until an image cannot be read; ends with a
    /// checkpoint in each case.
    ///
    /// # Errors
    /// When data cannot be read, the device fails, the last checkpoint cannot be written, the run is
    /// not finite, or its folder was taken by another run.
    pub fn train(mut self, events: &mut Fanout, stop: &Stop) -> Result<Ending> {
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
        // The step whose checkpoint needs no further try, and why the last one failed, if it did.
        let (mut settled, mut unkept) = (None, None);
        let mut outcome = Ok(Ending::Completed);
        while self.step < run.steps {
            if let Some(asked) = stop.reason() {
                outcome = Ok(Ending::Stopped(asked));
                break;
            }
            if let Err(error) = self.look_at_folder(events) {
                // What is there now is of somebody else.
                (self.unread, settled) = (None, Some(self.step));
                outcome = Err(error);
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
            let scalars = self.training.step(self.step, &batches)?;
            self.report(events)?;
            self.unread = Some(Unread {
                step: self.step,
                images_seen: self.images_seen,
                scalars,
                seconds: started.elapsed().as_secs_f64(),
            });
            if let Some(death) = self.watch.death() {
                outcome = Err(anyhow!(death));
                break;
            }
            // The seconds of this step are not all known yet; what is known is a part of them.
            let is_up = self
                .options
                .time
                .is_some_and(|time| time.used + started.elapsed().as_secs_f64() >= time.seconds);
            let last = self.step == run.steps || is_up;
            let is_shown = last || self.step.is_multiple_of(run.preview_every);
            let is_kept = stop.takes_checkpoint()
                || last
                || self.step.is_multiple_of(run.checkpoint_every)
                || self.is_retry_due();
            let is_judged = self.is_evaluation_due(last);
            if is_shown || is_kept || is_judged {
                self.report(events)?;
            }
            if is_shown {
                self.show_preview(events)?;
            }
            let mut kept = Ok(());
            if is_kept {
                kept = self.write_checkpoint(events).map(|saved| {
                    settled = Some(self.step);
                    unkept = match saved {
                        Saved::Failed(error) => Some(error),
                        _ => None,
                    };
                });
            }
            if is_judged && kept.is_ok() {
                kept = self.evaluate(events);
            }
            if let Err(error) = kept {
                settled = Some(self.step);
                outcome = Err(error);
                break;
            }
            if is_up && self.step < run.steps {
                outcome = Ok(Ending::TimeUp);
                break;
            }
        }
        self.report(events)?;
        if self.step > 0 && settled != Some(self.step) && self.has_progressed() {
            unkept = match self.write_checkpoint(events) {
                Ok(Saved::Failed(error)) | Err(error) => Some(error),
                _ => None,
            };
        }
        if let (Ok(_), Some(error)) = (&outcome, unkept) {
            outcome = Err(error.context("the last checkpoint could not be written"));
        }
        // One that goes on elsewhere does so from its last checkpoint, which is finite.
        if let (Ok(ending), Some(reason)) = (&outcome, self.watch.unsound())
            && !ending.is_temporary()
        {
            outcome = Err(anyhow!(reason));
        }
        let reason = match &outcome {
            Ok(ending) => ending.to_string(),
            Err(error) => format!("failed: {error:#}"),
        };
        events.emit(&TrainEvent::Finished {
            step: self.step,
            reason,
        });
        outcome
    }

    /// Reads the scalars of the step that was handed over to the device, if any, and reports it.
    ///
    /// In the loop that is when the next step has been handed over, so that a device that works on its
    /// own never waits for the program, or before anything is made of the step itself. Its time is that
    /// of the loop, in which the program waits for the step before; a wait elsewhere is added here.
    fn report(&mut self, events: &mut Fanout) -> Result<()> {
        let Some(unread) = self.unread.take() else {
            return Ok(());
        };
        let started = Instant::now();
        let scalars = unread.scalars.read()?;
        let seconds = unread.seconds + started.elapsed().as_secs_f64();
        if let Some(time) = &mut self.options.time {
            time.used += seconds;
        }
        let reports = self
            .watch
            .step(unread.step, unread.images_seen, &scalars, seconds);
        for event in reports {
            events.emit(&event);
        }
        Ok(())
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
