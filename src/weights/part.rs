use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dp_sims_model::known::Hash;
use dp_sims_model::weights::list_weights;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::answer::{Answer, Offer, Trouble};
use super::client::Limits;
use super::error::io_error;
use super::files::{beside, remove, sha256, sync_name};
use super::source::open;
use super::{Check, Download, FetchError, Fetched, Found, Progress};
use crate::runtime::files::{MOST_TEXT, read};

/// Bytes copied at a time.
const CHUNK: usize = 1 << 18;

/// What has to be known to continue an unfinished file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartNote {
    address: String,
    etag: Option<String>,
}

/// An unfinished file, locked against other processes.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    note: PathBuf,
}

impl Part {
    /// Opens or creates the unfinished file; one that belongs to another file begins again.
    ///
    /// # Errors
    /// When it cannot be written or another process is at it.
    pub fn open(request: &Download) -> Result<Self, FetchError> {
        let path = beside(&request.target, ".part");
        let note = beside(&request.target, ".part.json");
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error("write", &path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(FetchError::Busy { part: path }),
            // A file system without locks can only trust that nobody else writes.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut part = Self { file, path, note };
        let length = part.length()?;
        let is_same = part.read_note().address == request.address;
        let is_longer = request.size.is_some_and(|size| length > size);
        if length > 0 && (!is_same || is_longer) {
            part.truncate(0)?;
        }
        Ok(part)
    }

    /// One request and as much of the file as it brings; returns the hash that is announced.
    pub fn attempt(
        &mut self,
        request: &Download,
        address: &Address,
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Option<String>, Trouble> {
        let start = self.length().map_err(Trouble::Final)?;
        if request.size == Some(start) {
            return Ok(None);
        }
        let limits = Limits {
            connect: request.patience.connect,
            silence: request.patience.silence,
        };
        let etag = self.read_note().etag;
        match open(address, start, etag.as_deref(), limits)? {
            Answer::Offer(offer) => self.receive(request, offer, report),
            Answer::Complete { announced } => Ok(announced),
            Answer::OutOfRange => {
                self.truncate(0).map_err(Trouble::Final)?;
                let reason = "the server has no such part of the file, which begins again";
                Err(Trouble::passing(reason))
            }
        }
    }

    fn receive(
        &mut self,
        request: &Download,
        mut offer: Offer,
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Option<String>, Trouble> {
        let most = *request.lengths().end();
        if let Some(length) = offer.length
            && (request.size.is_some() || length > most)
        {
            request
                .check_length(Found::Offered(length))
                .map_err(Trouble::Final)?;
        }
        let note = PartNote {
            address: request.address.clone(),
            etag: offer.etag,
        };
        self.truncate(offer.start)
            .and_then(|()| self.write_note(&note))
            .map_err(Trouble::Final)?;
        let mut done = offer.start;
        report(Progress::Begin {
            done,
            total: offer.length,
        });
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match offer.body.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Trouble::broken(error.into())),
            };
            self.file
                .write_all(&chunk[..count])
                .map_err(|error| Trouble::Final(io_error("write", &self.path)(error)))?;
            done += count as u64;
            if done > most {
                self.truncate(0).map_err(Trouble::Final)?;
                request
                    .check_length(Found::AtLeast(done))
                    .map_err(Trouble::Final)?;
            }
            report(Progress::Bytes(done));
        }
        match offer.length.or(request.size) {
            Some(length) if length != done => Err(Trouble::passing(format!(
                "the server sent {done} of {length} bytes"
            ))),
            _ => Ok(offer.announced),
        }
    }

    /// Checks the whole file and renames it into place.
    ///
    /// # Errors
    /// When it is another file than expected: it is removed.
    pub fn finish(
        self,
        request: &Download,
        announced: Option<String>,
    ) -> Result<Fetched, FetchError> {
        // Windows would keep a locked file from being read by its name.
        self.file
            .sync_all()
            .and_then(|()| self.file.unlock())
            .map_err(io_error("write", &self.path))?;
        let bytes = self.length()?;
        let sha256 = sha256(&self.path)?;
        let (expected, check) = match request.hash {
            Hash::Sha256(hash) => (Some(hash.to_string()), Check::Sha256),
            Hash::Prefix(digits) => (Some(digits.to_string()), Check::Prefix),
            Hash::Announced if announced.is_some() => (announced, Check::Announced),
            Hash::Announced | Hash::Unpublished => (None, Check::Unverified),
        };
        match expected {
            Some(expected) if !sha256.starts_with(&expected) => {
                self.remove()?;
                return Err(FetchError::Hash {
                    address: request.address.clone(),
                    expected,
                    found: sha256,
                });
            }
            Some(_) => {}
            None => {
                if let Err(error) = request.check_length(Found::Sent(bytes)) {
                    self.remove()?;
                    return Err(error);
                }
                if let Err(source) = list_weights(&self.path) {
                    self.remove()?;
                    return Err(FetchError::Content {
                        address: request.address.clone(),
                        source: Box::new(source),
                    });
                }
            }
        }
        fs::rename(&self.path, &request.target).map_err(io_error("rename", &self.path))?;
        remove(&self.note)?;
        sync_name(&request.target)?;
        Ok(Fetched {
            bytes,
            sha256,
            check,
        })
    }

    /// Where the file is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are there.
    pub fn length(&self) -> Result<u64, FetchError> {
        let metadata = self.file.metadata().map_err(io_error("read", &self.path))?;
        Ok(metadata.len())
    }

    /// Cuts the file off and goes on writing there.
    fn truncate(&mut self, length: u64) -> Result<(), FetchError> {
        self.file
            .set_len(length)
            .and_then(|()| self.file.seek(SeekFrom::Start(length)))
            .map_err(io_error("write", &self.path))?;
        Ok(())
    }

    /// The note of an earlier run; an empty one where there is none.
    fn read_note(&self) -> PartNote {
        read(&self.note, MOST_TEXT)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn write_note(&self, note: &PartNote) -> Result<(), FetchError> {
        let text = serde_json::to_vec(note)
            .map_err(|error| io_error("write", &self.note)(error.into()))?;
        fs::write(&self.note, text).map_err(io_error("write", &self.note))
    }

    /// Leaves nothing behind where nothing arrived.
    pub fn remove_if_empty(&self) -> Result<(), FetchError> {
        match self.length()? {
            0 => self.remove(),
            _ => Ok(()),
        }
    }

    fn remove(&self) -> Result<(), FetchError> {
        remove(&self.path)?;
        remove(&self.note)
    }
}
