use anyhow::{Context, Result};
use burn::tensor::backend::AutodiffBackend;

use super::super::save::{restore, trained_files};
use super::super::watch::{Lost, Watch};
use super::Run;
use super::feed::batches_of;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::snapshot::{NotFinite, newest_whole, read_state};
use crate::consumers::jsonl::logged_seconds;
use crate::events::{Fanout, TrainEvent};
use crate::train::run_folder::{Beginning, LOG};

/// How often a run may lose its numbers: the last time ends it.
const MOST_LOSSES: usize = 3;

/// The steps one of which went wrong, for a run that went back before them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspects {
    first: u64,
    last: u64,
}

impl<B: AutodiffBackend> Run<'_, B> {
    /// Whether the run may lose its numbers and go on: it did not too often yet, and what is in its folder
    /// is its own to move, or that of the rank that has it.
    ///
    /// # Errors
    /// When the ranks cannot agree.
    pub(super) fn may_go_back(&self) -> Result<bool> {
        let has_folder = self.is_on_any_rank(self.folder.is_some())?;
        Ok(has_folder && self.skipped.len() + 1 < MOST_LOSSES)
    }

    fn is_on_any_rank(&self, is_so: bool) -> Result<bool> {
        let ranks = self.options.ranks;
        ranks.any::<B::InnerBackend>(is_so, &self.device)
    }

    /// Goes back to the newest checkpoint, to find out on the way forth which step went wrong and to pass
    /// over its batch. Gives false where it [may not](Self::may_go_back).
    ///
    /// # Errors
    /// When there are checkpoints and none can be read, or files cannot be moved. The state of the run is
    /// of no use then.
    pub(super) fn go_back(&mut self, lost: &Lost, events: &mut Fanout) -> Result<bool> {
        if !self.may_go_back()? {
            return Ok(false);
        }
        self.report(events)?;
        let message = format!(
            "{}; the run goes back to its last checkpoint, to leave out the batch that caused it ({} of {})",
            lost.what,
            self.skipped.len() + 1,
            MOST_LOSSES - 1
        );
        let step = self.step;
        self.tell(events, &TrainEvent::Warning { step, message });
        self.return_to_checkpoint(events)?;
        self.suspects = Some(Suspects {
            first: lost.first,
            last: lost.last.max(self.step + 1),
        });
        Ok(true)
    }

    /// Finds the step that went wrong while steps are computed again, before the next one: the first
    /// after which something is not finite, and with all others cleared, the last. Passes over its batch.
    ///
    /// # Errors
    /// Those of [`Self::go_back`].
    pub(super) fn look_for_cause(&mut self, events: &mut Fanout) -> Result<()> {
        let Some(Suspects { first, last }) = self.suspects else {
            return Ok(());
        };
        if self.step >= first && !self.has_finite_state()? {
            self.pass_over(self.step, events);
            self.return_to_checkpoint(events)?;
        } else if self.step + 1 >= last {
            self.pass_over(last, events);
        }
        Ok(())
    }

    /// Leaves the batch of a step out from now on.
    fn pass_over(&mut self, step: u64, events: &mut Fanout) {
        self.suspects = None;
        let number = batches_of(step, &self.skipped);
        self.skipped.push(number);
        self.skipped.sort_unstable();
        let warning = TrainEvent::Warning {
            step: self.step,
            message: format!(
                "with batch {number} step {step} made the run lose its numbers; it takes the next one"
            ),
        };
        self.tell(events, &warning);
    }

    /// Whether all that is trained is finite, which is seen as for a checkpoint. Running statistics may be so on
    /// some ranks alone.
    fn has_finite_state(&self) -> Result<bool> {
        let mut is_finite = true;
        for (_, make) in trained_files(&self.training) {
            match make() {
                Err(error) if error.is::<NotFinite>() => {
                    is_finite = false;
                    break;
                }
                made => drop(made?),
            }
        }
        Ok(!self.is_on_any_rank(!is_finite)?)
    }

    /// Puts the run and its folder into the state of the newest checkpoint, or of the beginning where
    /// there is none, as a resumed run has it. Which batches are passed over stays known. Every rank reads the
    /// checkpoint, as to resume, and the first one moves what is in the folder.
    fn return_to_checkpoint(&mut self, events: &mut Fanout) -> Result<()> {
        let resumed = self.options.resume.clone();
        let written = newest_whole(&self.options.out)?;
        // A run that went on from elsewhere may not have written any yet.
        let checkpoint = resumed.into_iter().chain(written);
        let checkpoint = checkpoint.max_by_key(Checkpoint::step);
        let ranks = self.options.ranks;
        let found = checkpoint.as_ref().map_or(0, Checkpoint::step);
        ranks.check::<B::InnerBackend>(
            &found.to_le_bytes(),
            "the newest checkpoints of the run folder, which every rank has to see under the same path,",
            &self.device,
        )?;
        let (mut step, mut images_seen) = (0, 0);
        let mut training = self
            .training
            .anew(self.data.train.classes().len())
            .context("cannot begin anew")?;
        if let Some(checkpoint) = &checkpoint {
            let state = read_state(checkpoint)?;
            (step, images_seen) = (state.step, state.images_seen);
            training = restore(training, checkpoint)?;
        }
        let folder = self.folder.as_ref();
        let moved = folder.map(|folder| folder.prepare(Beginning::After(step)));
        let moved = moved.transpose()?.flatten();
        let used = match self.is_first_rank() {
            true => logged_seconds(&self.options.out.join(LOG), step)?,
            false => 0.0,
        };
        let used = ranks.of_first::<B::InnerBackend>(used, &self.device)?;
        if let Some(time) = &mut self.options.time {
            time.used = used;
        }
        if let Some(evaluation) = &mut self.evaluation {
            evaluation.forget_after(step);
        }
        self.training = training;
        (self.step, self.images_seen) = (step, images_seen);
        self.compare_ranks()?;
        self.watch = Watch::new(self.experiment, step, self.options.ranks.count());
        (self.feed, self.ready, self.unread) = (None, None, None);
        (self.settled, self.unkept, self.retry) = (Some(step), None, None);
        self.tell(events, &TrainEvent::WentBack { step });
        if let Some(message) = moved {
            events.emit(&TrainEvent::Note { message });
        }
        Ok(())
    }
}
