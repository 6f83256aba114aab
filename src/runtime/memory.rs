//! Memory of this process.

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

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

/// Memory of this machine in bytes, swap included, or what this process may take of it, whichever is
/// less.
pub fn total() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(memory);
    let whole = system.total_memory().saturating_add(system.total_swap());
    match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 => {
            whole.min(limits.total_memory.saturating_add(limits.free_swap))
        }
        _ => whole,
    }
}

/// Has memory that is freed stay with the process, where the C library is glibc; elsewhere does
/// nothing. To be called before there are other threads.
///
/// Left alone, glibc takes every large tensor from the system and gives it back: the system clears
/// its pages each time, which took a quarter of the time of the generator on a processor. Resident
/// memory stays at its peak, as it does in a training run anyway.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (option, value) in [
        (libc::M_MMAP_MAX, 0),
        // Minus one, and not the largest threshold, turns it off: that would be 2 GiB.
        (libc::M_TRIM_THRESHOLD, -1),
        // One heap, which `use_large_pages` reaches; the others are mappings of their own.
        (libc::M_ARENA_MAX, 1),
    ] {
        // SAFETY: `mallopt` takes two integers, may be called at any time, and refuses what it does
        // not know.
        unsafe { libc::mallopt(option, value) };
    }
}

/// Has the system put large pages behind what the process allocates from now on, after
/// [`keep_freed`] and where the C library is glibc; elsewhere does nothing.
///
/// In pages of 4 KiB, a processor spends up to a tenth of its time on finding out where they are. The
/// first touch of a large page may be dear (`book/src/decisions/0022-large-pages.md`): for work that
/// takes a while.
pub fn use_large_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // Advice is for addresses, and the heap keeps its addresses: a block as large as it may get,
        // none of which is touched, stands for all that is allocated in its place later.
        let [page, pages] = [libc::_SC_PAGESIZE, libc::_SC_PHYS_PAGES].map(|name| {
            // SAFETY: `sysconf` takes an integer and has no conditions.
            unsafe { libc::sysconf(name) }
        });
        let (Ok(page), Ok(pages)) = (usize::try_from(page), usize::try_from(pages)) else {
            return;
        };
        let length = pages / 4 * 3 * page;
        // SAFETY: `malloc` takes any length.
        let block = unsafe { libc::malloc(length + page) };
        if block.is_null() {
            return;
        }
        // SAFETY: a page is left beyond the length, so that its end, rounded up, is inside the block.
        let whole_pages = unsafe { block.add(block.align_offset(page)) };
        // SAFETY: these are whole pages of a block that is allocated, and the advice changes no content.
        unsafe { libc::madvise(whole_pages, length, libc::MADV_HUGEPAGE) };
        // SAFETY: the block is one of `malloc`, and nothing refers to it any more.
        unsafe { libc::free(block) };
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
