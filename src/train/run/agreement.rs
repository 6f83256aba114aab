use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;

use super::super::report::{Scalar, StepReport};
use super::super::stop::{Stop, StopReason};
use super::super::watch::Lost;
use super::Run;
use crate::events::{Fanout, TrainEvent};

/// Steps between two comparisons of the ranks' weights.
pub(super) const COMPARE_EVERY: u64 = 1000;

/// What any rank asks all of them to do, which they tell each other with the scalars of a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// End the run.
    stop: bool,
    /// End it for another process to go on.
    is_temporary: bool,
    /// End it because its time is up.
    pub(super) time_is_up: bool,
    /// Write a checkpoint after this step.
    pub(super) checkpoint: bool,
}

impl Asked {
    /// As scalars of a step.
    pub(super) fn requests(self) -> [(Scalar, f32); 4] {
        let number = |is_so| f32::from(u8::from(is_so));
        [
            (Scalar::Asked, number(self.stop)),
            (Scalar::AskedForNow, number(self.is_temporary)),
            (Scalar::TimeIsUp, number(self.time_is_up)),
            (Scalar::AskedForCheckpoint, number(self.checkpoint)),
        ]
    }

    /// What the scalars of a step ask for.
    pub(super) fn of(report: &StepReport) -> Self {
        let is_set = |scalar| report.get(scalar).is_some_and(|value| value > 0.0);
        Self {
            stop: is_set(Scalar::Asked),
            is_temporary: is_set(Scalar::AskedForNow),
            time_is_up: is_set(Scalar::TimeIsUp),
            checkpoint: is_set(Scalar::AskedForCheckpoint),
        }
    }
}

impl<B: AutodiffBackend> Run<'_, B> {
    pub(super) fn is_first_rank(&self) -> bool {
        self.options.ranks.rank() == 0
    }

    /// What this rank asks all for, `seconds` after the beginning of the step.
    pub(super) fn requests(&mut self, stop: &Stop, seconds: f64) -> Asked {
        let reason = stop.reason();
        // One alone looks for it when the step is done.
        let checkpoint = !self.options.ranks.are_one() && self.is_checkpoint_asked(stop);
        if checkpoint {
            // It is asked for once.
            self.retry = None;
        }
        Asked {
            stop: reason.is_some(),
            is_temporary: reason.is_some_and(StopReason::is_temporary),
            time_is_up: self.is_time_up(seconds),
            checkpoint,
        }
    }

    /// Whether somebody asks for a checkpoint, or one that could not be written is to be tried again.
    pub(super) fn is_checkpoint_asked(&self, stop: &Stop) -> bool {
        stop.takes_checkpoint() || self.is_retry_due()
    }

    /// The outcome of keeping what is due, or the loss that another rank found in it.
    ///
    /// # Errors
    /// That of `kept`, a loss of numbers on any rank, or that the ranks cannot agree.
    pub(super) fn agreed(&self, kept: Result<()>) -> Result<()> {
        let is_lost = match &kept {
            Ok(()) => false,
            Err(error) if error.is::<Lost>() => true,
            // It ends this rank, of which the others hear.
            Err(_) => return kept,
        };
        let ranks = self.options.ranks;
        match ranks.any::<B::InnerBackend>(is_lost, &self.device)? {
            true => kept.and(Err(self.dead("another rank says so"))),
            false => kept,
        }
    }

    /// Emits what all ranks have to say, once.
    pub(super) fn tell(&self, events: &mut Fanout, event: &TrainEvent) {
        if self.is_first_rank() {
            events.emit(event);
        }
    }

    /// Why the run should end now, if it should. Of several ranks all say the same, a step after one of them was
    /// asked.
    pub(super) fn stop_reason(&self, stop: &Stop) -> Option<StopReason> {
        if self.options.ranks.are_one() {
            return stop.reason();
        }
        let asked = self.asked;
        let theirs = match asked.is_temporary {
            true => StopReason::Terminated,
            false => StopReason::Interrupted,
        };
        let own = stop
            .reason()
            .filter(|own| own.is_temporary() == asked.is_temporary);
        asked.stop.then_some(own.unwrap_or(theirs))
    }

    /// Whether so many seconds of the current step use up the time of the run.
    pub(super) fn is_time_up(&self, seconds: f64) -> bool {
        let time = self.options.time;
        time.is_some_and(|time| time.used + seconds >= time.seconds)
    }

    /// Refuses to go on with ranks whose weights are not the same. Reads all weights from the device.
    ///
    /// # Errors
    /// When they are not, or the ranks cannot agree.
    pub(super) fn compare_ranks(&self) -> Result<()> {
        let ranks = self.options.ranks;
        if ranks.are_one() {
            return Ok(());
        }
        let hash = self.training.hash();
        let what = format!("the weights after step {}", self.step);
        ranks.check::<B::InnerBackend>(&hash, &what, &self.device)
    }
}
