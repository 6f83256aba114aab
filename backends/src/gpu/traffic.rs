//! What a program asks of a GPU: kernels, and transfers between its memory and that of the machine.

use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cubecl::config::profiling::ProfilingLogLevel;
use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
use tempfile::TempPath;

static UPLOADS: AtomicU64 = AtomicU64::new(0);
static UPLOADED_BYTES: AtomicU64 = AtomicU64::new(0);
static DOWNLOADS: AtomicU64 = AtomicU64::new(0);
static LAUNCHES: OnceLock<TempPath> = OnceLock::new();

/// How a kernel's launch is written into the log of cubecl.
const LAUNCH: &str = "Executing ";

/// How long the log must not have grown to be complete: it is written by another thread.
const SETTLED: Duration = Duration::from_millis(300);

/// What was asked for since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Kernels launched, by name.
    pub launches: BTreeMap<String, u64>,
    /// Transfers to the device, those of kernels' arguments aside.
    pub uploads: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Transfers from the device.
    pub downloads: u64,
}

impl Traffic {
    /// What was asked for after `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let launches = self.launches.iter().filter_map(|(name, &count)| {
            let before = earlier.launches.get(name).copied().unwrap_or_default();
            (count > before).then(|| (name.clone(), count - before))
        });
        Self {
            launches: launches.collect(),
            uploads: self.uploads - earlier.uploads,
            uploaded_bytes: self.uploaded_bytes - earlier.uploaded_bytes,
            downloads: self.downloads - earlier.downloads,
        }
    }
}

/// Has every launch written down from now on. To be called once, before a GPU is used; it costs time.
///
/// # Errors
/// When there is no room for a temporary file.
pub fn watch() -> io::Result<()> {
    let path = tempfile::NamedTempFile::new()?.into_temp_path();
    let mut config = CubeClRuntimeConfig::default();
    config.profiling.logger.level = ProfilingLogLevel::Minimal;
    config.profiling.logger.file = Some(path.to_path_buf());
    CubeClRuntimeConfig::set(config);
    let _ = LAUNCHES.set(path);
    Ok(())
}

/// What was asked for so far, if somebody [`watch`]es. The device must have finished.
///
/// # Errors
/// When the log cannot be read.
pub fn taken() -> io::Result<Option<Traffic>> {
    let Some(path) = LAUNCHES.get() else {
        return Ok(None);
    };
    let mut length = None;
    loop {
        let now = std::fs::metadata(path)?.len();
        if length == Some(now) {
            break;
        }
        length = Some(now);
        std::thread::sleep(SETTLED);
    }
    let mut launches = BTreeMap::new();
    for line in std::fs::read_to_string(path)?.lines() {
        if let Some((_, name)) = line.split_once(LAUNCH) {
            *launches.entry(name.to_string()).or_default() += 1;
        }
    }
    Ok(Some(Traffic {
        launches,
        uploads: UPLOADS.load(Ordering::Relaxed),
        uploaded_bytes: UPLOADED_BYTES.load(Ordering::Relaxed),
        downloads: DOWNLOADS.load(Ordering::Relaxed),
    }))
}

/// Counts a transfer to the device.
pub(super) fn uploaded(bytes: usize) {
    UPLOADS.fetch_add(1, Ordering::Relaxed);
    UPLOADED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}

/// Counts a transfer from the device.
pub(super) fn downloaded() {
    DOWNLOADS.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_later_is_counted() {
        let traffic = |launches: &[(&str, u64)], uploads| Traffic {
            launches: launches
                .iter()
                .map(|(name, count)| (name.to_string(), *count))
                .collect(),
            uploads,
            uploaded_bytes: 4 * uploads,
            downloads: 1,
        };
        let earlier = traffic(&[("a", 2), ("b", 1)], 3);
        let later = traffic(&[("a", 5), ("b", 1), ("c", 1)], 4);
        let mut expected = traffic(&[("a", 3), ("c", 1)], 1);
        expected.downloads = 0;
        assert_eq!(later.since(&earlier), expected);
    }
}
