use std::fmt;

use dp_sims_backends::{BackendKind, DeviceInfo};
use serde::{Deserialize, Serialize};

/// Where a benchmark ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Backend.
    pub backend: BackendKind,
    /// Number of the device.
    pub device: usize,
    /// What the driver calls it.
    pub device_name: String,
    /// Threads of the processor.
    pub threads: usize,
}

impl Machine {
    /// This machine, with the device that computes.
    pub fn of(device: &DeviceInfo) -> Self {
        Self {
            backend: device.backend,
            device: device.index,
            device_name: device.name.clone(),
            threads: rayon::current_num_threads(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            backend,
            device,
            device_name,
            threads,
        } = self;
        write!(f, "{backend} {device} ({device_name}), {threads} threads")
    }
}

/// A line of a report.
///
/// # Errors
/// When it cannot be written.
pub fn line(f: &mut fmt::Formatter<'_>, label: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{label:<18}{value}")
}

#[cfg(test)]
pub(super) fn some_machine() -> Machine {
    Machine {
        backend: BackendKind::Flex,
        device: 0,
        device_name: "processor".to_string(),
        threads: 2,
    }
}
