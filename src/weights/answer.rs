use std::io::Read;
use std::time::Duration;

use super::FetchError;

/// A file, or the rest of it, as a server offers it.
pub(super) struct Offer {
    /// Position in the file at which the body begins.
    pub start: u64,
    /// Length of the whole file in bytes, where it is said.
    pub length: Option<u64>,
    /// What changes when the file does.
    pub etag: Option<String>,
    /// SHA-256 of the whole file that the server announces.
    pub announced: Option<String>,
    /// The bytes from `start`.
    pub body: Box<dyn Read>,
}

/// What became of a request.
pub(super) enum Answer {
    /// The file from the position asked for or from its beginning.
    Offer(Offer),
    /// The file ends at the position asked for.
    Complete {
        /// SHA-256 of the whole file that the server announces.
        announced: Option<String>,
    },
    /// There is no such position: what is there belongs to another file.
    OutOfRange,
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// Asking again would not help.
    Final(FetchError),
    /// The next attempt may succeed.
    Passing {
        /// What happened.
        reason: String,
        /// Pause that the server asks for.
        pause: Option<Duration>,
    },
}

impl Trouble {
    /// A connection that failed, with a word for silence that says more than the library's.
    pub fn broken(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::passing("the server fell silent"),
            ureq::Error::Io(error) => Self::passing(error),
            error => Self::passing(error),
        }
    }

    pub fn passing(reason: impl ToString) -> Self {
        Self::Passing {
            reason: reason.to_string(),
            pause: None,
        }
    }
}
