use std::io::IsTerminal;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::runtime::logging::shows_notes;
use crate::weights::Progress;

/// Shows a download: a bar on a terminal, lines elsewhere.
pub(super) struct Reporter {
    bar: Option<ProgressBar>,
    total: Option<u64>,
    /// Tenths of the file that have been reported as lines.
    tenths: u64,
}

impl Reporter {
    pub(super) fn new() -> Self {
        Self {
            bar: (shows_notes() && std::io::stderr().is_terminal()).then(ProgressBar::no_length),
            total: None,
            tenths: 0,
        }
    }

    pub(super) fn show(&mut self, progress: Progress<'_>) {
        match (progress, &self.bar) {
            (Progress::Begin { done, total }, Some(bar)) => {
                let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                if let Some(total) = total {
                    bar.set_length(total);
                }
                bar.set_position(done);
                bar.reset_eta();
            }
            (Progress::Begin { done, total }, None) => {
                let length = total.map_or("unknown length".to_string(), |total| {
                    HumanBytes(total).to_string()
                });
                match done {
                    0 => tracing::info!("fetching {length}"),
                    _ => tracing::info!("continuing at {} of {length}", HumanBytes(done)),
                }
                self.total = total;
                self.tenths = self.tenths_of(done);
            }
            (Progress::Bytes(done), Some(bar)) => bar.set_position(done),
            (Progress::Bytes(done), None) => {
                let tenths = self.tenths_of(done);
                if tenths > self.tenths {
                    self.tenths = tenths;
                    tracing::info!("{} %, {}", tenths * 10, HumanBytes(done));
                }
            }
            (Progress::Retry { reason, pause }, bar) => {
                let line = format!("{reason}; again in {} s", pause.as_secs_f32());
                match bar {
                    Some(bar) => bar.println(line),
                    None => tracing::info!("{line}"),
                }
            }
        }
    }

    fn tenths_of(&self, done: u64) -> u64 {
        match self.total {
            Some(total) if total > 0 => done * 10 / total,
            _ => 0,
        }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
