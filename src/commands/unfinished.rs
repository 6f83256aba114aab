//! Runs that end before their last step and are to go on in another process.

use std::error::Error;
use std::fmt;

/// A run that ended with a checkpoint before its last step, because whoever schedules it needs the machine:
/// exit code 75, which tells schedulers to start it again. No failure.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished;

impl Unfinished {
    /// Exit code: EX_TEMPFAIL of sysexits.h.
    pub const EXIT_CODE: u8 = 75;
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the run is not finished: the same call with `--resume auto` goes on with it")
    }
}

impl Error for Unfinished {}
