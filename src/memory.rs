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

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}
