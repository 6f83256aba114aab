//! The loop: batches in, steps, events out.

mod agreement;
mod ending;
mod feed;
mod folder;
mod going_back;
mod options;
mod saving;
#[cfg(all(test, feature = "flex"))]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Error, Result, ensure};
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_datasets::{Loader, Share};
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
use super::watch::{Lost, Watch};
use crate::checkpoint::snapshot::read_state;
use crate::config::Experiment;
use crate::data::Data;
use crate::events::{Fanout, TrainEvent};
use crate::runtime::batch::label_maps;
use crate::runtime::noise::SeededDraws;
use crate::train::run_folder::RunFolder;
use agreement::{Asked, COMPARE_EVERY};
pub use ending::Ending;
use feed::{Feed, loader_config};
use going_back::Suspects;
pub use options::{RunOptions, TimeLimit};
use saving::Saved;

/// Added to the seed of the data order for the batches that refresh the averaged generator.
const REFRESH_SEED: u64 = 0x5eed;

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
    /// Batches that no step takes, by their numbers, ascending.
    skipped: Vec<u64>,
    /// Where the next batch comes from, once there was one.
    feed: Option<Feed>,
    watch: Watch,
    /// What ranks asked for in the last step that was read.
    asked: Asked,
    /// The steps one of which went wrong, until it is known which.
    suspects: Option<Suspects>,
    /// The step whose scalars have not been read yet.
    unread: Option<Unread<B::InnerBackend>>,
    /// The step whose checkpoint needs no further try.
    settled: Option<u64>,
    /// Why the last checkpoint could not be written, if it could not.
    unkept: Option<Error>,
    /// When a checkpoint that could not be written is tried again.
    retry: Option<Instant>,
    /// The run folder, as long as it is ours.
    folder: Option<RunFolder>,
    device: B::Device,
}

/// What comes after a step.
enum Next {
    /// Another one.
    Step,
    /// The end, as it should be.
    End(Ending),
    /// The end, with what there is.
    Failed(Error),
    /// Nothing that is finite.
    Lost(Lost),
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
        let compute = experiment.precision.compute;
        ensure!(
            compute.is_supported::<B>(device),
            "configuration key `precision.compute`: {} does not compute in {}; use f32",
            options.backend,
            compute.name()
        );
        let networks = Networks::<B>::new(experiment, classes, &options.weights, device)?;
        let frozen = frozen_hashes(&networks, experiment);
        let ranks = options.ranks;
        let mut training = Training::new(networks, experiment, device)?.with_ranks(ranks);
        let (mut step, mut images_seen, mut skipped) = (0, 0, Vec::new());
        if let Some(checkpoint) = &options.resume {
            let state = read_state(checkpoint)?;
            refuse_other_weights(checkpoint, &state, &frozen, experiment, &options.weights)?;
            (step, images_seen, skipped) = (state.step, state.images_seen, state.skipped);
            skipped.sort_unstable();
            training = restore(training, checkpoint)?;
        }
        let refresh_loader = Loader::new(
            data.train.clone(),
            data.balance(&experiment.data),
            loader_config(
                experiment,
                experiment.run.seed.wrapping_add(REFRESH_SEED),
                // Every rank refreshes the whole, with batches that its device has room for.
                Share::default(),
            ),
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
        let (weights, out) = (&options.weights, &options.out);
        let evaluation = RunEvaluation::new(experiment, data, weights, out, step, (ranks, device))?;
        Ok(Self {
            experiment,
            data,
            preview: Preview::new(data.validation.as_ref(), experiment)?,
            evaluation,
            options,
            training,
            frozen,
            refresh,
            ready: None,
            step,
            images_seen,
            skipped,
            feed: None,
            watch: Watch::new(experiment, step, ranks.count()),
            asked: Asked::default(),
            suspects: None,
            unread: None,
            settled: None,
            unkept: None,
            retry: None,
            folder: None,
            device: device.clone(),
        })
    }

    /// Trains to the last step, until asked to stop, or until an image cannot be read; ends with a
    /// checkpoint in each case. A run that [holds](Self::hold) its folder and is not finite goes back to
    /// its newest checkpoint and passes over the batch of the step that went wrong.
    ///
    /// # Errors
    /// When data cannot be read, the device fails, the last checkpoint cannot be written, the run is
    /// not finite for the third time, or its folder was taken by another run.
    pub fn train(mut self, events: &mut Fanout, stop: &Stop) -> Result<Ending> {
        let run = &self.experiment.run;
        events.emit(&TrainEvent::Started {
            run_folder: self.options.out.clone(),
            experiment: self.experiment.name.clone(),
            backend: self.options.backend.clone(),
            first_step: self.step + 1,
            total_steps: run.steps,
        });
        self.compare_ranks()?;
        if self.step == 0 && self.is_first_rank() {
            self.show_preview(events)?;
        }
        let is_owed = self.is_first_rank() && self.owes_evaluation();
        let ranks = self.options.ranks;
        if ranks.any::<B::InnerBackend>(is_owed, &self.device)? {
            self.evaluate(events)?;
        }
        let mut outcome = Ok(Ending::Completed);
        while self.step < run.steps {
            outcome = match self.advance(events, stop)? {
                Next::Step => continue,
                Next::End(ending) => Ok(ending),
                Next::Failed(error) => Err(error),
                Next::Lost(lost) => match self.go_back(&lost, events) {
                    Ok(true) => continue,
                    Ok(false) => Err(lost.into()),
                    Err(error) => {
                        // What is in memory is of no step.
                        (self.unread, self.settled) = (None, Some(self.step));
                        Err(error.context(lost))
                    }
                },
            };
            break;
        }
        self.report(events)?;
        let is_unsettled = self.settled != Some(self.step) && self.is_first_rank();
        if self.step > 0 && is_unsettled && self.has_progressed() {
            self.unkept = match self.write_checkpoint(events) {
                Ok(Saved::Failed(error)) | Err(error) => Some(error),
                _ => None,
            };
        }
        // One that goes on elsewhere does so from a checkpoint that is finite.
        let goes_on = outcome.as_ref().is_ok_and(|ending| ending.is_temporary());
        if let (Ok(_), Some(error)) = (&outcome, self.unkept)
            && !(goes_on && error.is::<Lost>())
        {
            outcome = Err(error.context("the last checkpoint could not be written"));
        }
        if let (Ok(_), Some(lost)) = (&outcome, self.watch.unsound())
            && !goes_on
        {
            outcome = Err(lost.into());
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

    /// Computes the next step, and makes of it what is due.
    ///
    /// # Errors
    /// When the device fails in the middle of a step, and nothing is left to be kept.
    fn advance(&mut self, events: &mut Fanout, stop: &Stop) -> Result<Next> {
        let run = &self.experiment.run;
        if let Some(asked) = self.stop_reason(stop) {
            return Ok(Next::End(Ending::Stopped(asked)));
        }
        let looked = self.look_at_folder(events);
        if let Err(error) = looked.and_then(|()| self.look_for_cause(events)) {
            // What is in the folder is of somebody else, or what is in memory of no step.
            (self.unread, self.settled) = (None, Some(self.step));
            return Ok(Next::Failed(error));
        }
        let started = Instant::now();
        let batches = match self.batches(events) {
            Ok(batches) => batches,
            Err(error) => return Ok(Next::Failed(error)),
        };
        self.step += 1;
        self.images_seen += run.images_per_step(self.options.ranks.count()) as u64;
        let told = self.requests(stop, started.elapsed().as_secs_f64());
        let told = told.requests();
        let scalars = self.training.step_and_tell(self.step, &batches, told)?;
        self.report(events)?;
        self.unread = Some(Unread {
            step: self.step,
            images_seen: self.images_seen,
            scalars,
            seconds: started.elapsed().as_secs_f64(),
        });
        if let Some(lost) = self.watch.death() {
            return Ok(Next::Lost(lost));
        }
        // The seconds of this step are not all known yet; what is known is a part of them.
        let is_up = match self.options.ranks.are_one() {
            true => self.is_time_up(started.elapsed().as_secs_f64()),
            false => self.asked.time_is_up,
        };
        let last = self.step == run.steps || is_up;
        let is_shown = last || self.step.is_multiple_of(run.preview_every);
        let is_asked = match self.options.ranks.are_one() {
            true => self.is_checkpoint_asked(stop),
            false => self.asked.checkpoint,
        };
        let is_kept = is_asked || last || self.step.is_multiple_of(run.checkpoint_every);
        let is_judged = self.is_evaluation_due(last);
        if is_shown || is_kept || is_judged {
            self.report(events)?;
        }
        // No step is left to become finite again.
        if self.step == run.steps
            && let Some(lost) = self.watch.unsound()
            && self.may_go_back()?
        {
            return Ok(Next::Lost(lost));
        }
        if self.step.is_multiple_of(COMPARE_EVERY) {
            self.compare_ranks()?;
        }
        if is_shown && self.is_first_rank() {
            self.show_preview(events)?;
        }
        let mut kept = self.keep([is_kept && self.is_first_rank(), is_judged], events);
        if is_kept || is_judged {
            kept = self.agreed(kept);
        }
        if let Err(error) = kept {
            self.settled = Some(self.step);
            return Ok(match error.downcast() {
                Ok(lost) => Next::Lost(lost),
                Err(error) => Next::Failed(error),
            });
        }
        Ok(match is_up && self.step < run.steps {
            true => Next::End(Ending::TimeUp),
            false => Next::Step,
        })
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
        self.asked = Asked::of(&scalars);
        let reports = self
            .watch
            .step(unread.step, unread.images_seen, &scalars, seconds);
        // All ranks have the same to say.
        for event in reports.iter().filter(|_| self.is_first_rank()) {
            events.emit(event);
        }
        Ok(())
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
