//! Signals that a program was started with the order to ignore.

use std::ptr;

use libc::{SIG_IGN, c_int, sigaction};

/// Whether a signal is ignored now.
pub(super) fn is_ignored(signal: c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<sigaction>::uninit();
    // SAFETY: with a null pointer for the new action this only asks; the old one is written to memory
    // of its type.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: the call has filled it when it gives zero.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == SIG_IGN
}
