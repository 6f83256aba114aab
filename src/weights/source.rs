use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use super::FetchError;
use super::address::Address;
use super::client::Limits;
use super::web::open_web;

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

/// Asks for a file from a position on, given what marked it when its beginning was read.
pub(super) fn open(
    address: &Address,
    start: u64,
    etag: Option<&str>,
    limits: Limits,
) -> Result<Answer, Trouble> {
    match address {
        Address::File(path) => {
            let failed = |cause| {
                Trouble::Final(FetchError::Io {
                    action: "read",
                    path: path.clone(),
                    cause,
                })
            };
            let mut file = File::open(path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            let start = if start > length { 0 } else { start };
            file.seek(SeekFrom::Start(start)).map_err(failed)?;
            Ok(Answer::Offer(Offer {
                start,
                length: Some(length),
                etag: None,
                announced: None,
                body: Box::new(file),
            }))
        }
        Address::Web(address) => open_web(address, start, etag, limits),
    }
}
