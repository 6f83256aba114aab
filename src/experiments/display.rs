//! What a person sees of a queue.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::runtime::logging::shows_notes;

/// Time between two reports where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(30);

/// Lines that change in place on a terminal, and are printed now and then elsewhere.
pub(super) struct Display {
    /// The lines, on a terminal.
    bars: Option<(MultiProgress, Vec<ProgressBar>)>,
    last: Option<Instant>,
}

impl Display {
    /// On standard error where that is a terminal, on standard output otherwise and with `--quiet`.
    pub(super) fn new() -> Self {
        let is_terminal = shows_notes() && std::io::stderr().is_terminal();
        Self {
            bars: is_terminal.then(|| (MultiProgress::new(), Vec::new())),
            last: None,
        }
    }

    /// Says once that something happened.
    pub(super) fn say(&self, line: &str) {
        match &self.bars {
            // A terminal that has gone cannot be told.
            Some((bars, _)) => drop(bars.println(line)),
            None => println!("{line}"),
        }
    }

    /// Shows where the work is.
    pub(super) fn show(&mut self, lines: &[String]) {
        let Some((all, bars)) = &mut self.bars else {
            if self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
                self.last = Some(Instant::now());
                lines.iter().for_each(|line| println!("{line}"));
            }
            return;
        };
        while bars.len() < lines.len() {
            let style = ProgressStyle::with_template("{msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            bars.push(all.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (index, bar) in bars.iter().enumerate() {
            let line = lines.get(index).cloned().unwrap_or_default();
            bar.set_message(line);
            bar.tick();
        }
    }

    /// Takes the lines away.
    pub(super) fn clear(&mut self) {
        if let Some((_, bars)) = &mut self.bars {
            bars.drain(..).for_each(|bar| bar.finish_and_clear());
        }
    }
}
