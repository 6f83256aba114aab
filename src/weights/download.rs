use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use dp_sims_model::known::Hash;

use super::address::Address;
use super::answer::Trouble;
use super::part::Part;
use super::{Check, FetchError, Found};

/// Most bytes of a file that nothing is known of.
const MOST_BYTES: u64 = 64 << 30;

/// A file to download.
#[derive(Clone, Debug)]
pub struct Download {
    /// Address, `https://`, `http://` or `file:///`.
    pub address: String,
    /// Where the file goes; the unfinished file lies beside it with `.part` at its name.
    pub target: PathBuf,
    /// Length in bytes, where it is known.
    pub size: Option<u64>,
    /// Length that its tensors alone take in bytes, where no exact one is known.
    pub about: Option<u64>,
    /// What the bytes are checked against.
    pub hash: Hash,
    /// When a failing download is given up.
    pub patience: Patience,
}

impl Download {
    /// Lengths that such a file may have: half precision and what else a training run saves are within a
    /// factor of four of its tensors.
    pub(super) fn lengths(&self) -> RangeInclusive<u64> {
        match (self.size, self.about) {
            (Some(size), _) => size..=size,
            (None, Some(about)) => about / 4..=about.saturating_mul(4).saturating_add(1 << 24),
            (None, None) => 0..=MOST_BYTES,
        }
    }

    /// Refuses a length that such a file cannot have.
    ///
    /// # Errors
    /// [`FetchError::Length`] or [`FetchError::Improbable`].
    pub(super) fn check_length(&self, found: Found) -> Result<(), FetchError> {
        if self.lengths().contains(&found.bytes()) {
            return Ok(());
        }
        let address = self.address.clone();
        Err(match self.size {
            Some(expected) => FetchError::Length {
                address,
                expected,
                found,
            },
            None => FetchError::Improbable {
                address,
                lengths: self.lengths(),
                found,
            },
        })
    }
}

/// When a failing download is given up.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts in a row that bring nothing new.
    pub attempts: u32,
    /// Pause after the first of them; every further one doubles it.
    pub pause: Duration,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long a server may keep silent.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_secs(1),
            connect: Duration::from_secs(30),
            silence: Duration::from_secs(60),
        }
    }
}

/// What happens during a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Bytes begin to arrive.
    Begin {
        /// Bytes that are there already.
        done: u64,
        /// Length of the file, where the server says it.
        total: Option<u64>,
    },
    /// So many bytes are there.
    Bytes(u64),
    /// An attempt failed; the next one follows after a pause.
    Retry {
        /// Why it failed.
        reason: &'a str,
        /// Pause before the next attempt.
        pause: Duration,
    },
}

/// A file that was downloaded and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
    /// What it was checked against.
    pub check: Check,
}

/// Downloads a file, continues an unfinished one, checks it and renames it into place.
///
/// # Errors
/// [`FetchError::Broken`] when the transfer fails again and again: the unfinished file stays.
/// [`FetchError::Hash`], [`FetchError::Length`] and [`FetchError::Content`] when it is another
/// file than expected: what arrived is removed.
pub fn download(
    request: &Download,
    report: &mut dyn FnMut(Progress<'_>),
) -> Result<Fetched, FetchError> {
    let address = Address::parse(&request.address)?;
    let mut part = Part::open(request)?;
    let mut furthest = part.length()?;
    let mut failures = 0;
    let announced = loop {
        let trouble = match part.attempt(request, &address, report) {
            Ok(announced) => break announced,
            Err(trouble) => trouble,
        };
        let (reason, asked) = match trouble {
            Trouble::Passing { reason, pause } => (reason, pause),
            Trouble::Final(error) => {
                part.remove_if_empty()?;
                return Err(error);
            }
        };
        let length = part.length()?;
        if length > furthest {
            (furthest, failures) = (length, 0);
        } else {
            failures += 1;
        }
        if failures >= request.patience.attempts {
            part.remove_if_empty()?;
            return Err(FetchError::Broken {
                address: request.address.clone(),
                attempts: failures,
                reason,
                part: part.path().to_path_buf(),
            });
        }
        let pause = asked.unwrap_or(request.patience.pause * 2u32.pow(failures.saturating_sub(1)));
        report(Progress::Retry {
            reason: &reason,
            pause,
        });
        sleep(pause);
    };
    part.finish(request, announced)
}
