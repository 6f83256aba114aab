//! Signals that a program was started with the order to ignore.

#[cfg(unix)]
pub(super) use self::unix::{ignore, signals};

/// None, on systems without such orders.
#[cfg(not(unix))]
pub(super) fn signals() -> [(); 0] {
    []
}

#[cfg(not(unix))]
pub(super) fn ignore(_: &[()]) {}

#[cfg(unix)]
mod unix {
    use std::ptr;

    use libc::{SIG_IGN, SIGHUP, SIGINT, SIGTERM, c_int, sigaction};

    /// Those of the signals that end a run which are ignored now.
    pub(in super::super) fn signals() -> Vec<c_int> {
        let is_ignored = |signal: &c_int| {
            let mut action = std::mem::MaybeUninit::<sigaction>::uninit();
            // SAFETY: with a null pointer for the new action this only asks; the old one is written to
            // memory of its type.
            let asked = unsafe { libc::sigaction(*signal, ptr::null(), action.as_mut_ptr()) };
            // SAFETY: the call has filled it when it gives zero.
            asked == 0 && unsafe { action.assume_init() }.sa_sigaction == SIG_IGN
        };
        [SIGHUP, SIGINT, SIGTERM]
            .into_iter()
            .filter(is_ignored)
            .collect()
    }

    /// Has these signals ignored.
    pub(in super::super) fn ignore(signals: &[c_int]) {
        for &signal in signals {
            // SAFETY: ignoring a signal has no conditions; it replaces a handler that may run to its end.
            unsafe { libc::signal(signal, SIG_IGN) };
        }
    }
}
