//! Signals, and who listens for them.

use anyhow::Result;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "signals cannot be told apart there")
)]
pub(super) enum Signal {
    /// SIGINT or SIGHUP, or whatever ends a program on this system.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGUSR1.
    Checkpoint,
}

/// Has `hear` called, in a thread of its own, with every signal that ends a run, and with SIGUSR1 where
/// `checkpoints` says so. Those that are ignored now stay ignored.
///
/// # Errors
/// When the system does not let the program listen.
#[cfg(unix)]
pub(super) fn listen(checkpoints: bool, hear: impl Fn(Signal) + Send + 'static) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;

    let mut wanted = vec![SIGHUP, SIGINT, SIGTERM];
    wanted.extend(checkpoints.then_some(SIGUSR1));
    wanted.retain(|&signal| !super::ignored::is_ignored(signal));
    let mut signals = Signals::new(wanted)?;
    let listen = move || {
        for signal in signals.forever() {
            hear(match signal {
                SIGTERM => Signal::Terminate,
                SIGUSR1 => Signal::Checkpoint,
                _ => Signal::Interrupt,
            });
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_string());
    thread.spawn(listen)?;
    Ok(())
}

/// Has `hear` called with every signal that ends a run.
///
/// # Errors
/// When the system does not let the program listen.
#[cfg(not(unix))]
pub(super) fn listen(_: bool, hear: impl Fn(Signal) + Send + 'static) -> Result<()> {
    ctrlc::set_handler(move || hear(Signal::Interrupt))?;
    Ok(())
}
