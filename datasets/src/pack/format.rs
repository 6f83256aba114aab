use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{RandomFile, damaged};
use crate::check::Report;
use crate::description::Description;
use crate::error::DatasetError;
use crate::resize::check_size;
use crate::size::Size;
use crate::split::Split;

/// First bytes of every packed split; the last one is the version of the format.
const MAGIC: &[u8; 8] = b"DPSPACK\x01";
/// Bytes before the header: magic, length of the header, its CRC-32C, and nothing.
const FIXED: u64 = 24;
/// Index and records start at multiples of this.
const PAGE: u64 = 4096;
/// Records start at multiples of this behind the first one.
const RECORD_STEP: u64 = 64;

/// What a packed split says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// State of the files that were packed.
    pub fingerprint: String,
    /// The dataset.
    pub description: Description,
    /// The split.
    pub split: Split,
    /// Height and width of every sample.
    pub size: Size,
    /// Whether records have instance numbers.
    pub instances: bool,
    /// Names of the samples.
    pub names: Vec<String>,
    /// What the check of the split found.
    pub report: Report,
}

/// Where things are in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of the header.
    head_len: u64,
    records: usize,
    record_len: usize,
}

/// Everything in front of the index.
pub(super) struct Prefix {
    /// The header.
    pub head: Head,
    /// Where the rest is.
    pub layout: Layout,
    /// The bytes themselves.
    pub bytes: Vec<u8>,
}

impl Prefix {
    /// The bytes in front of the index of a new file.
    pub fn new(head: Head) -> Result<Self, serde_json::Error> {
        let text = serde_json::to_vec(&head)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(crc32c::crc32c(&text).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&text);
        let layout = Layout::new(&head, text.len() as u64);
        Ok(Self {
            head,
            layout,
            bytes,
        })
    }

    /// Reads and checks what stands in front of the index.
    ///
    /// # Errors
    /// When the file is no packed split, is damaged, or is shorter than its header says.
    pub fn read(file: &RandomFile, path: &Path) -> Result<Self, DatasetError> {
        let wrong = |problem: &str| damaged(path, problem.to_string());
        let len = file.len()?;
        let mut bytes = vec![0; FIXED as usize];
        if len < FIXED {
            return Err(wrong("it is too short for a packed split"));
        }
        file.read(0, &mut bytes)?;
        if bytes[..8] != MAGIC[..] {
            return Err(wrong("it is no packed split, or one of another version"));
        }
        let number = |range: std::ops::Range<usize>| {
            let mut word = [0; 8];
            word[..range.len()].copy_from_slice(&bytes[range]);
            u64::from_le_bytes(word)
        };
        let (head_len, head_sum) = (number(8..16), number(16..20));
        // No header is longer than its file: nothing is taken that is not there.
        if head_len > len - FIXED {
            return Err(wrong("its header is cut off"));
        }
        bytes.resize((FIXED + head_len) as usize, 0);
        file.read(FIXED, &mut bytes[FIXED as usize..])?;
        let text = &bytes[FIXED as usize..];
        if u64::from(crc32c::crc32c(text)) != head_sum {
            return Err(wrong("its header has a wrong checksum"));
        }
        let head: Head = serde_json::from_slice(text)
            .map_err(|error| damaged(path, format!("its header is not valid: {error}")))?;
        head.validate().map_err(|problem| damaged(path, problem))?;
        let layout = Layout::new(&head, head_len);
        if layout.len().is_none_or(|needed| needed > len) {
            return Err(wrong("records are cut off"));
        }
        Ok(Self {
            head,
            layout,
            bytes,
        })
    }
}

impl Head {
    /// Checks that the parts fit together.
    fn validate(&self) -> Result<(), String> {
        let problem = |error: &dyn std::fmt::Display| format!("its header is not valid: {error}");
        self.description
            .validate()
            .map_err(|error| problem(&error))?;
        check_size(self.size).map_err(|error| problem(&error))?;
        let classes = self.description.classes.len() + 1;
        let report = &self.report;
        let presence = report.presence.iter().flat_map(|set| set.iter());
        if self.names.is_empty()
            || report.presence.len() != self.names.len()
            || [report.pixels.len(), report.images.len()] != [classes; 2]
            || presence.map(usize::from).any(|class| class >= classes)
        {
            return Err(problem(&"its lists have different lengths"));
        }
        Ok(())
    }
}

impl Layout {
    fn new(head: &Head, head_len: u64) -> Self {
        let bytes = if head.instances { 6 } else { 4 };
        Self {
            head_len,
            records: head.names.len(),
            // Sides of at most 65,535 pixels keep this below 2^35.
            record_len: bytes * head.size.pixels(),
        }
    }

    /// Bytes of the whole file; `None` where they are more than a file can have.
    pub fn len(&self) -> Option<u64> {
        let records = self.record_stride().checked_mul(self.records as u64)?;
        self.records_start().checked_add(records)
    }

    /// Where the index starts.
    pub fn index_start(&self) -> u64 {
        (FIXED + self.head_len).next_multiple_of(PAGE)
    }

    /// Bytes of the index: eight for every record.
    pub fn index_len(&self) -> usize {
        8 * self.records
    }

    /// Where the entry of a record in the index is.
    pub fn entry_start(&self, record: usize) -> u64 {
        self.index_start() + 8 * record as u64
    }

    /// Bytes of a record.
    pub fn record_len(&self) -> usize {
        self.record_len
    }

    /// Where a record starts.
    pub fn record_start(&self, record: usize) -> u64 {
        self.records_start() + self.record_stride() * record as u64
    }

    fn records_start(&self) -> u64 {
        (self.index_start() + self.index_len() as u64).next_multiple_of(PAGE)
    }

    fn record_stride(&self) -> u64 {
        (self.record_len as u64).next_multiple_of(RECORD_STEP)
    }
}

/// An entry of the index: the checksum of a record and a mark that it was written.
pub(super) fn entry(sum: u32) -> [u8; 8] {
    let mut entry = [1; 8];
    entry[..4].copy_from_slice(&sum.to_le_bytes());
    entry
}

/// The checksum in an entry of the index, `None` where the record was not written.
pub(super) fn sum(entry: &[u8]) -> Option<u32> {
    match *entry {
        [a, b, c, d, 1, 1, 1, 1] => Some(u32::from_le_bytes([a, b, c, d])),
        _ => None,
    }
}
