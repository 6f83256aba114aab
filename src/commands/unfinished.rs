//! Runs that end before their last step and are to go on in another process.

use std::error::Error;
use std::fmt;

use anyhow::Result;

use crate::train::Ending;

/// A run that ended with a checkpoint before its last step, because whoever schedules it needs the machine:
/// exit code 75, which tells schedulers to start it again. No failure.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished;

impl Unfinished {
    /// Exit code: EX_TEMPFAIL of sysexits.h.
    pub const EXIT_CODE: u8 = 75;

    /// What a run that ended so means for the program.
    ///
    /// # Errors
    /// This, where the run is to go on in another process.
    pub(super) fn unless_for_good(ending: Ending) -> Result<()> {
        match ending.is_temporary() {
            true => Err(Self.into()),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the run is not finished: the same call with `--resume auto` goes on with it")
    }
}

impl Error for Unfinished {}
