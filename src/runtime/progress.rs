//! How far long work has come, on standard error.

use indicatif::{ProgressBar, ProgressStyle};

use super::logging::shows_notes;

/// A bar on standard error; invisible where that is no terminal, and with `--quiet`.
pub fn progress_bar(what: &'static str, length: u64) -> ProgressBar {
    if !shows_notes() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length)
        .with_style(style)
        .with_message(what)
}
