use std::fmt;

use crate::train::stop::StopReason;

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the last step of the experiment.
    Completed,
    /// With its [`TimeLimit`](super::TimeLimit).
    TimeUp,
    /// Because it was asked to end.
    Stopped(StopReason),
}

impl Ending {
    /// Whether the run is to go on in another process.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Stopped(reason) if reason.is_temporary())
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::TimeUp => f.write_str("time is up"),
            Self::Stopped(reason) => reason.fmt(f),
        }
    }
}
