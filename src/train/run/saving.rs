use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::generator::Generator;

use super::super::save::files;
use super::super::watch::Lost;
use super::Run;
use crate::checkpoint::snapshot::{NotFinite, State};
use crate::checkpoint::{self, CheckpointError};
use crate::events::{Fanout, TrainEvent};
use crate::train::run_folder::CHECKPOINTS;

/// Time after which a checkpoint that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// What became of a checkpoint.
pub(super) enum Saved {
    /// It is on disk.
    Written,
    /// There is nothing to keep: a scalar of the step is not finite.
    NotFinite,
    /// The disk did not take it.
    Failed(Error),
}

impl<B: AutodiffBackend> Run<'_, B> {
    /// Whether the averaged generator is to be judged after this step, which all ranks know.
    pub(super) fn is_evaluation_due(&self, is_last: bool) -> bool {
        let every = self.experiment.evaluation.every;
        every > 0 && (is_last || self.step.is_multiple_of(every))
    }

    /// Whether the step that this run goes on from was to be judged, and was not: the run was killed between the
    /// checkpoint and what is made of it.
    pub fn owes_evaluation(&self) -> bool {
        let is_due = self.is_evaluation_due(self.step == self.experiment.run.steps);
        let evaluation = self.evaluation.as_ref();
        self.step > 0
            && is_due
            && evaluation.is_some_and(|evaluation| !evaluation.has_judged(self.step))
    }

    /// Writes the checkpoint of this step and judges it, as far as that is due.
    ///
    /// # Errors
    /// Those of [`Self::write_checkpoint`] and [`Self::evaluate`].
    pub(super) fn keep(
        &mut self,
        [is_kept, is_judged]: [bool; 2],
        events: &mut Fanout,
    ) -> Result<()> {
        if is_kept {
            let saved = self.write_checkpoint(events)?;
            self.settled = Some(self.step);
            self.unkept = match saved {
                Saved::Failed(error) => Some(error),
                _ => None,
            };
        }
        if is_judged {
            self.evaluate(events)?;
        }
        Ok(())
    }

    /// Judges the averaged generator, and keeps the best checkpoint. An evaluation that fails does not
    /// end the run.
    ///
    /// # Errors
    /// When the weights are not finite.
    pub(super) fn evaluate(&mut self, events: &mut Fanout) -> Result<()> {
        let step = self.step;
        let Some(mut evaluation) = self.evaluation.take() else {
            return Ok(());
        };
        if self.watch.is_finite() {
            let mut generator = self.ready();
            match evaluation.run(&mut generator, step) {
                Ok(None) => {}
                Ok(Some(found)) => {
                    events.emit(&TrainEvent::Evaluation {
                        step,
                        values: found.values,
                        is_best: found.is_best,
                    });
                    let root = evaluation.folder();
                    let kept = || {
                        self.save(root, &generator)?;
                        checkpoint::keep_only(root, step)?;
                        evaluation.remember()
                    };
                    match if found.is_best { kept() } else { Ok(()) } {
                        Err(error) if error.is::<NotFinite>() => return Err(self.dead(error)),
                        Err(error) => events.emit(&TrainEvent::Warning {
                            step,
                            message: format!("the best checkpoint is not kept: {error:#}"),
                        }),
                        Ok(()) => {}
                    }
                    if let Err(error) = evaluation.note(step) {
                        events.emit(&TrainEvent::Warning {
                            step,
                            message: format!(
                                "a resumed run may evaluate step {step} again: {error:#}"
                            ),
                        });
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
        let state = State {
            frozen: self.frozen.clone(),
            named: self.options.named.clone(),
            skipped: self.skipped.clone(),
            loss_scale: self.training.loss_scale,
            ..State::new(self.step, self.images_seen, &self.options.backend)
        };
        let description = &self.data.description;
        let files = files(&self.training, ready, &state, self.experiment, description);
        checkpoint::write(root, self.step, files)
    }

    /// Whether a checkpoint that could not be written is to be tried again.
    pub(super) fn is_retry_due(&self) -> bool {
        self.retry.is_some_and(|due| Instant::now() >= due)
    }

    /// Writes a checkpoint, unless the run has lost its numbers: a checkpoint without finite
    /// weights cannot be resumed, and keeping it would push out those that can. A disk that does not
    /// take it is a warning; it is tried again.
    ///
    /// # Errors
    /// When the weights are not finite, or cannot be had from the device.
    pub(super) fn write_checkpoint(&mut self, events: &mut Fanout) -> Result<Saved> {
        let step = self.step;
        let mut warn = |message: String| events.emit(&TrainEvent::Warning { step, message });
        if !self.watch.is_finite() {
            warn("no checkpoint written: a loss is not finite".to_string());
            return Ok(Saved::NotFinite);
        }
        let ready = self.ready();
        let root = self.options.out.join(CHECKPOINTS);
        let path = match self.save(&root, &ready) {
            Ok(path) => path,
            Err(error) if error.is::<NotFinite>() => return Err(self.dead(error)),
            Err(error) if error.is::<CheckpointError>() => {
                warn(format!(
                    "no checkpoint of step {step}, the run goes on and tries again: {error:#}"
                ));
                self.retry = Some(Instant::now() + RETRY);
                return Ok(Saved::Failed(error));
            }
            Err(error) => return Err(error),
        };
        self.retry = None;
        let run = &self.experiment.run;
        if run.keep_checkpoints > 0
            && let Err(error) = checkpoint::prune(&root, run.keep_checkpoints, run.keep_every)
        {
            warn(format!("older checkpoints are kept: {error:#}"));
        }
        events.emit(&TrainEvent::Checkpoint { step, path });
        Ok(Saved::Written)
    }

    /// Weights that are not finite, as the end of the run.
    pub(super) fn dead(&self, error: impl Display) -> Error {
        let lost = Lost {
            what: format!("the run is not finite: after step {} {error}", self.step),
            // A moment of Adam that is infinite stops a weight and shows nowhere else.
            first: 0,
            last: self.step,
        };
        lost.into()
    }
}
