//! The terminal settings the dashboard needs beside those it makes itself.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::ensure;
use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{LeaveAlternateScreen, disable_raw_mode, is_raw_mode_enabled};

/// How long the dashboard may take to take the terminal over.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether standard input and output belong to a person at a terminal that can show a dashboard.
pub fn is_interactive() -> bool {
    std::io::stdout().is_terminal()
        && std::io::stdin().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Gives the terminal back as it was, when the dashboard holds it; does nothing otherwise.
///
/// For the handler of a second Ctrl-C, which ends the process without closing the dashboard.
pub fn restore() {
    if has_dashboard() {
        // There is nobody left to tell about a failure.
        let _ = disable_raw_mode();
        let _ = execute!(std::io::stdout(), LeaveAlternateScreen, Show);
        let _ = std::io::stdout().flush();
    }
}

/// Whether the dashboard holds the terminal.
pub(super) fn has_dashboard() -> bool {
    is_raw_mode_enabled().unwrap_or(false)
}

/// Waits until the dashboard's thread holds the terminal.
pub(super) fn wait_for_dashboard() -> anyhow::Result<()> {
    let start = Instant::now();
    while !has_dashboard() {
        ensure!(
            start.elapsed() < OPEN_TIMEOUT,
            "the dashboard could not take the terminal over"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Makes Ctrl-C send its signal again, which the dashboard's raw mode turns into a key press.
///
/// Ctrl-Z and Ctrl-\ stay without effect: both would leave the terminal in raw mode.
#[cfg(unix)]
pub(super) fn keep_interrupt_signal() -> std::io::Result<()> {
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

    /// The value that switches a control character off (`_POSIX_VDISABLE`).
    const DISABLED: u8 = 0;

    let stdin = std::io::stdin();
    let mut settings = tcgetattr(&stdin)?;
    settings.local_modes |= LocalModes::ISIG;
    settings.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
    settings.special_codes[SpecialCodeIndex::VQUIT] = DISABLED;
    Ok(tcsetattr(&stdin, OptionalActions::Now, &settings)?)
}

/// Makes Ctrl-C send its signal again; no such setting exists on this platform.
#[cfg(not(unix))]
pub(super) fn keep_interrupt_signal() -> std::io::Result<()> {
    Ok(())
}

/// Lowers the priority of the calling thread, and of the threads it starts, below that of
/// everything else; a failure leaves it as it is.
#[cfg(target_os = "linux")]
pub(super) fn lower_thread_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!("the dashboard keeps its priority: {error}");
    }
}

/// Lowers the priority of the calling thread; only Linux has priorities by thread.
#[cfg(not(target_os = "linux"))]
pub(super) fn lower_thread_priority() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restoring_without_a_dashboard_does_nothing() {
        assert!(!has_dashboard());
        restore();
        assert!(!has_dashboard());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn priority_is_inherited_by_new_threads_and_by_no_other() {
        use rustix::process::getpriority_process;

        let before = getpriority_process(None).unwrap();
        let inherited = std::thread::spawn(|| {
            lower_thread_priority();
            std::thread::spawn(|| getpriority_process(None).unwrap())
                .join()
                .unwrap()
        });
        assert_eq!(inherited.join().unwrap(), 19);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
