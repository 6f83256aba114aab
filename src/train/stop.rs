mod ignored;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use burn_train::Interrupter;

use crate::consumers::terminal;

/// Exit code of a program ended by an interrupt.
const INTERRUPTED: i32 = 130;

/// Requests to stop a run: Ctrl-C, a termination signal, or the dashboard.
#[derive(Clone, Default)]
pub struct Stop {
    signals: Arc<AtomicUsize>,
    interrupter: Interrupter,
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
        let stop = Self::default();
        let signals = stop.signals.clone();
        let ignored = ignored::signals();
        ctrlc::set_handler(move || {
            if signals.fetch_add(1, Ordering::SeqCst) > 0 {
                terminal::restore();
                std::process::exit(INTERRUPTED);
            }
        })
        .context("cannot listen for Ctrl-C")?;
        ignored::ignore(&ignored);
        Ok(stop)
    }

    /// Asks the run to stop as soon as standard input ends: for a program that another one started and
    /// that is to end with it, whichever way that ends.
    pub fn when_input_ends(&self) {
        let signals = self.signals.clone();
        std::thread::spawn(move || {
            // An input that cannot be read has ended too.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            signals.fetch_add(1, Ordering::SeqCst);
        });
    }

    /// What the dashboard asks through.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    /// Why the run should end after the current step, if it should.
    pub fn reason(&self) -> Option<&'static str> {
        if self.signals.load(Ordering::SeqCst) > 0 {
            Some("interrupted")
        } else if self.interrupter.should_stop() {
            Some("stopped from the dashboard")
        } else {
            None
        }
    }
}
