use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The length of a file, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The server says so.
    Offered(u64),
    /// So many bytes had arrived, and there were more.
    AtLeast(u64),
    /// So many bytes arrived.
    Sent(u64),
}

impl Found {
    /// In bytes, at the least.
    pub fn bytes(self) -> u64 {
        let (Self::Offered(bytes) | Self::AtLeast(bytes) | Self::Sent(bytes)) = self;
        bytes
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offered(bytes) => write!(f, "offers {bytes} bytes"),
            Self::AtLeast(bytes) => write!(f, "sent {bytes} bytes and had not come to an end"),
            Self::Sent(bytes) => write!(f, "sent {bytes} bytes"),
        }
    }
}

/// Why a weight file could not be fetched or recorded.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The address is none that can be fetched from.
    #[error("`{address}` cannot be fetched: {reason}")]
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The file has no address, only a page that offers it.
    #[error(
        "no address of this file is published: fetch it with a browser from {page} and save it as \
         {path}, or name an address with --from"
    )]
    ByHand {
        /// The page.
        page: &'static str,
        /// Where the file belongs.
        path: PathBuf,
    },
    /// The server refuses the file; asking again would not help.
    #[error("{address} answered {status}: {hint}")]
    Refused {
        /// Address that was asked, after redirects.
        address: String,
        /// HTTP status.
        status: u16,
        /// What to do.
        hint: &'static str,
    },
    /// There is no use in connecting again: no trust, no encryption, no HTTP.
    #[error("cannot talk to {address}: {reason}")]
    Connection {
        /// Address that was asked.
        address: String,
        /// Reason and, where there is one, the remedy.
        reason: String,
    },
    /// The server sent a web page.
    #[error(
        "{address} answered with a web page instead of a file; the file has moved or asks for a \
         login, fetch it with a browser and repeat this with --from file:///..."
    )]
    Page {
        /// Address that was asked, after redirects.
        address: String,
    },
    /// Connection, transfer or server failed and repeating did not help.
    #[error(
        "{address} brought nothing new in {attempts} attempts, the last time because {reason}; the \
         same command continues with what is in {part}"
    )]
    Broken {
        /// Address that was asked.
        address: String,
        /// Attempts in a row that brought nothing.
        attempts: u32,
        /// Reason of the last one.
        reason: String,
        /// The unfinished file.
        part: PathBuf,
    },
    /// The file on offer has another length than the known one.
    #[error(
        "{address} {found}, the known file has {expected}: it is another file, or a page about it; \
         check the address"
    )]
    Length {
        /// Address that was asked.
        address: String,
        /// Length of the known file in bytes.
        expected: u64,
        /// What is on offer or has arrived.
        found: Found,
    },
    /// The file on offer is far shorter or longer than such a file can be.
    #[error(
        "{address} {found}, a file of these weights has {} to {}: it is another file, or a page about \
         it; check the address",
        lengths.start(), lengths.end()
    )]
    Improbable {
        /// Address that was asked.
        address: String,
        /// Lengths that the file may have in bytes.
        lengths: RangeInclusive<u64>,
        /// What is on offer or has arrived.
        found: Found,
    },
    /// What arrived is not the known file.
    #[error(
        "{address} sent other bytes than expected: SHA-256 is {found}, expected {expected}; they \
         were removed, fetch again or from another address with --from"
    )]
    Hash {
        /// Address that was asked.
        address: String,
        /// Whole hash or its first digits.
        expected: String,
        /// Hash of what arrived.
        found: String,
    },
    /// A file that is already there is not the known one.
    #[error(
        "{path} is not the file it is called after: SHA-256 is {found}, expected {expected}; move \
         it away and fetch again"
    )]
    Present {
        /// The file.
        path: PathBuf,
        /// Whole hash or its first digits.
        expected: String,
        /// Hash of the file.
        found: String,
    },
    /// What arrived has no published hash and is no weight file either.
    #[error("what {address} sent was removed")]
    Content {
        /// Address that was asked.
        address: String,
        /// What is wrong with it.
        source: Box<dp_sims_model::weights::WeightsError>,
    },
    /// Another process is downloading the same file.
    #[error("another process is fetching {part}; wait for it or end it")]
    Busy {
        /// The unfinished file.
        part: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {cause}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Reason given by the system.
        cause: io::Error,
    },
}

impl FetchError {
    pub(super) fn address(address: &str, reason: impl Into<String>) -> Self {
        Self::Address {
            address: without_user(address),
            reason: reason.into(),
        }
    }

    /// Whether the user can put it right with another argument.
    pub fn is_mistake(&self) -> bool {
        matches!(
            self,
            Self::Address { .. } | Self::ByHand { .. } | Self::Present { .. }
        )
    }
}

/// An address without the user name and password that it may hold, which no message or file shows.
fn without_user(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rfind('@') {
        Some(at) => format!("{scheme}...{}", &rest[at..]),
        None => address.to_string(),
    }
}

/// Turns an error of the system into one that names action and file.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    move |cause| FetchError::Io {
        action,
        path: path.to_path_buf(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_a_password() {
        for (address, shown) in [
            ("http://me:secret@proxy:8080", "http://...@proxy:8080"),
            ("https://me:se@cret@host/path@x", "https://...@host/path@x"),
            ("me:secret@host", "...@host"),
            ("https://host/path@x?to=a@b", "https://host/path@x?to=a@b"),
            ("ftp://host", "ftp://host"),
        ] {
            let message = FetchError::address(address, "no").to_string();
            assert_eq!(message, format!("`{shown}` cannot be fetched: no"));
        }
    }
}
