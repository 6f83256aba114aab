//! Memory of this process.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Asks the system for the memory of this process.
pub struct Memory {
    system: System,
    pid: Option<Pid>,
}

impl Memory {
    /// Ready to ask.
    pub fn new() -> Self {
        Self {
            system: System::new(),
            pid: sysinfo::get_current_pid().ok(),
        }
    }

    /// Resident memory in bytes, 0 where the system does not tell.
    pub fn resident(&mut self) -> u64 {
        let Some(pid) = self.pid else { return 0 };
        let what = ProcessRefreshKind::nothing().with_memory();
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        self.system.process(pid).map_or(0, sysinfo::Process::memory)
    }
}

/// Has memory that is freed stay with the process, where the C library is glibc; elsewhere does
/// nothing.
///
/// Left alone, glibc takes every large tensor from the system and gives it back: the system clears
/// its pages each time, which took a quarter of the time of the generator on a processor. Resident
/// memory stays at its peak, as it does in a training run anyway.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` takes two integers, may be called at any time, and refuses what it does not
    // know.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        // Minus one, and not the largest threshold, turns it off: that would be 2 GiB.
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// Largest resident memory of this process so far in bytes; none where the system does not tell.
pub fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}
