//! Notes, warnings and details: what is said beside the results of a command.
//!
//! They are events of `tracing`. Standard error shows warnings and notes, and with `-v` what was read and
//! decided; `--log FILE` keeps them all with their times.

use std::fmt;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result};
use clap::{ArgAction, Args};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{self, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// How much a command says.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Messages")]
pub struct LogArgs {
    /// Say what is read and decided (-v), and the parts of every step (-vv).
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 1000)]
    verbose: u8,
    /// Say no more than warnings (-q) or errors (-qq), and show no progress bars.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose", display_order = 1000)]
    quiet: u8,
    /// Append every message, those of -v included, to this file, with the time.
    #[arg(long, global = true, value_name = "FILE", display_order = 1000)]
    log: Option<PathBuf>,
}

impl LogArgs {
    /// The least important messages that are shown.
    fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (0, 0) => LevelFilter::INFO,
            (0, 1) => LevelFilter::DEBUG,
            (0, _) => LevelFilter::TRACE,
            (1, _) => LevelFilter::WARN,
            _ => LevelFilter::ERROR,
        }
    }

    /// Begins to show messages, for the rest of the process.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn install(&self) -> Result<()> {
        let own = |level: LevelFilter| Targets::new().with_target("dp_sims", level);
        let file = match &self.log {
            None => None,
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let file = file.with_context(|| format!("cannot write {}", path.display()))?;
                let lines = tracing_subscriber::fmt::layer().with_ansi(false);
                let level = self.level().max(LevelFilter::DEBUG);
                Some(lines.with_writer(Mutex::new(file)).with_filter(own(level)))
            }
        };
        let installed = tracing_subscriber::registry()
            .with(Terminal.with_filter(own(self.level())))
            .with(file)
            .try_init();
        installed.context("messages are shown already")
    }
}

/// Whether notes, and progress bars with them, are shown.
pub fn shows_notes() -> bool {
    tracing::enabled!(Level::INFO)
}

/// Prints a message as one line on standard error.
struct Terminal;

impl<S: Subscriber> Layer<S> for Terminal {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let kind = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            Level::DEBUG | Level::TRACE => "  ",
        };
        eprintln!("{kind}{}", message(event));
    }
}

/// The message of an event, and its fields behind it.
pub fn message(event: &Event<'_>) -> String {
    let mut line = Line(String::new());
    event.record(&mut line);
    line.0
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &match field.name() {
            "message" => format!("{value:?}"),
            name => format!(" {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        log: LogArgs,
    }

    #[test]
    fn flags_choose_what_is_shown() {
        let level = |flags: &[&str]| {
            let command = Command::try_parse_from(["test"].iter().chain(flags)).unwrap();
            command.log.level()
        };
        assert_eq!(level(&[]), LevelFilter::INFO);
        assert_eq!(level(&["-v"]), LevelFilter::DEBUG);
        assert_eq!(level(&["-vv"]), LevelFilter::TRACE);
        assert_eq!(level(&["-q"]), LevelFilter::WARN);
        assert_eq!(level(&["--quiet", "--quiet"]), LevelFilter::ERROR);
        assert!(Command::try_parse_from(["test", "-q", "-v"]).is_err());
    }
}
