#[cfg(unix)]
mod ignored;
mod signals;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use burn_train::Interrupter;

use crate::consumers::terminal;
use signals::Signal;

/// Exit code of a program ended by an interrupt.
const INTERRUPTED: i32 = 130;

/// Requests to stop a run: Ctrl-C, a termination signal, the dashboard, or a time that is over.
#[derive(Clone, Default)]
pub struct Stop {
    heard: Arc<Heard>,
    interrupter: Interrupter,
    deadline: Option<Instant>,
}

/// What signals asked for.
#[derive(Default)]
struct Heard {
    /// How often the run was asked to end.
    ends: AtomicUsize,
    /// Whether the first of these was a termination signal, to a run that a scheduler may have started.
    terminated: AtomicBool,
    /// Whether a checkpoint is asked for.
    checkpoint: AtomicBool,
}

/// Why a run should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A signal of a person.
    Interrupted,
    /// A termination signal, as schedulers send it.
    Terminated,
    /// A person at the dashboard.
    Dashboard,
    /// The time that the process has is over.
    OutOfTime,
}

impl StopReason {
    /// Whether the run is to go on in another process: nobody decided against the rest of it.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Terminated | Self::OutOfTime)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::Dashboard => "stopped from the dashboard",
            Self::OutOfTime => "the time of --max-hours is up",
        })
    }
}

impl Stop {
    /// Listens for signals: the first asks the run to finish its step, write a checkpoint and
    /// end; the second ends the program at once. Files are written beside and renamed, so
    /// nothing is left damaged. What whoever started the program had it ignore stays ignored: SIGHUP
    /// under `nohup`, SIGINT of a job in the background.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub fn listen() -> Result<Self> {
        Self::hear(false)
    }

    /// The same for a run that a scheduler may have started: a termination signal is a
    /// [reason of its own](StopReason::Terminated) and never ends the program at once, and SIGUSR1 asks for a checkpoint, on systems that
    /// have them.
    ///
    /// # Errors
    /// Those of [`Self::listen`].
    pub fn listen_to_scheduler() -> Result<Self> {
        Self::hear(true)
    }

    fn hear(is_scheduled: bool) -> Result<Self> {
        let stop = Self::default();
        let heard = stop.heard.clone();
        signals::listen(is_scheduled, move |signal| {
            if signal == Signal::Checkpoint {
                heard.checkpoint.store(true, Ordering::SeqCst);
                return;
            }
            if heard.ends.load(Ordering::SeqCst) == 0 && signal == Signal::Terminate {
                heard.terminated.store(is_scheduled, Ordering::SeqCst);
            }
            // Schedulers may send a second one before the checkpoint is written.
            let is_repeated = is_scheduled && signal == Signal::Terminate;
            if heard.ends.fetch_add(1, Ordering::SeqCst) > 0 && !is_repeated {
                terminal::restore();
                std::process::exit(INTERRUPTED);
            }
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(stop)
    }

    /// The same with a time at which the run is to end.
    pub fn with_deadline(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// Asks the run to stop as soon as standard input ends: for a program that another one started and
    /// that is to end with it, whichever way that ends.
    pub fn when_input_ends(&self) {
        let heard = self.heard.clone();
        std::thread::spawn(move || {
            // An input that cannot be read has ended too.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            heard.ends.fetch_add(1, Ordering::SeqCst);
        });
    }

    /// What the dashboard asks through.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    /// Why the run should end after the current step, if it should.
    pub fn reason(&self) -> Option<StopReason> {
        if self.heard.ends.load(Ordering::SeqCst) > 0 {
            let terminated = self.heard.terminated.load(Ordering::SeqCst);
            Some(match terminated {
                true => StopReason::Terminated,
                false => StopReason::Interrupted,
            })
        } else if self.interrupter.should_stop() {
            Some(StopReason::Dashboard)
        } else {
            let is_over = self.deadline.is_some_and(|at| Instant::now() >= at);
            is_over.then_some(StopReason::OutOfTime)
        }
    }

    /// Whether a checkpoint was asked for since this was asked last.
    pub fn takes_checkpoint(&self) -> bool {
        self.heard.checkpoint.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_scheduler_asks_for_is_told_from_what_a_person_does() {
        let stop = Stop::default();
        assert_eq!(stop.reason(), None);
        let late = stop.clone().with_deadline(Some(Instant::now()));
        let reason = late.reason().unwrap();
        assert!(reason.is_temporary() && reason == StopReason::OutOfTime);
        stop.heard.ends.store(1, Ordering::SeqCst);
        assert_eq!(stop.reason(), Some(StopReason::Interrupted));
        assert!(!StopReason::Interrupted.is_temporary());
        assert_eq!(
            late.reason(),
            Some(StopReason::Interrupted),
            "a person comes first"
        );
        stop.heard.terminated.store(true, Ordering::SeqCst);
        assert_eq!(stop.reason(), Some(StopReason::Terminated));
    }

    #[test]
    fn a_checkpoint_that_is_asked_for_is_written_once() {
        let stop = Stop::default();
        assert!(!stop.takes_checkpoint());
        stop.heard.checkpoint.store(true, Ordering::SeqCst);
        assert!(stop.clone().takes_checkpoint());
        assert!(!stop.takes_checkpoint());
    }
}
