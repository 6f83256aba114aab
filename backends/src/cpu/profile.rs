//! Time by operation.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static IS_ON: AtomicBool = AtomicBool::new(false);
static TIMES: Mutex<BTreeMap<&'static str, (u64, Duration)>> = Mutex::new(BTreeMap::new());

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls and time of an operation of the backend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperationTime {
    /// Name, as burn's backend traits call it.
    pub name: &'static str,
    /// Calls.
    pub calls: u64,
    /// Time of all calls in seconds, by the clock.
    pub seconds: f64,
}

/// Begins to take the time of every operation of [`Cpu`](super::Cpu) in this process. An operation
/// that calls others counts as one.
pub fn start() {
    lock().clear();
    IS_ON.store(true, Ordering::Relaxed);
}

/// Stops, and returns what was measured, the longest first.
pub fn stop() -> Vec<OperationTime> {
    IS_ON.store(false, Ordering::Relaxed);
    let taken = std::mem::take(&mut *lock());
    let mut times: Vec<_> = taken
        .into_iter()
        .map(|(name, (calls, time))| OperationTime {
            name,
            calls,
            seconds: time.as_secs_f64(),
        })
        .collect();
    times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    times
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<&'static str, (u64, Duration)>> {
    // A thread that panicked while it held the lock has at worst lost its own time.
    TIMES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Takes the time until it is dropped. Costs one load where nobody measures.
pub(super) struct Timer(Option<(&'static str, Instant)>);

impl Timer {
    pub(super) fn new(name: &'static str) -> Self {
        if !IS_ON.load(Ordering::Relaxed) || IS_INSIDE.replace(true) {
            return Self(None);
        }
        Self(Some((name, Instant::now())))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((name, started)) = self.0.take() {
            IS_INSIDE.set(false);
            let mut times = lock();
            let (calls, time) = times.entry(name).or_default();
            *calls += 1;
            *time += started.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests run operations in the meantime, so only names of this one are looked at.
    #[test]
    fn outer_operations_are_counted_while_it_is_on() {
        drop(Timer::new("before"));
        start();
        for _ in 0..3 {
            let _outer = Timer::new("outer");
            drop(Timer::new("inner"));
        }
        let times = stop();
        drop(Timer::new("after"));
        let named = |name| times.iter().find(|time| time.name == name);
        assert_eq!(named("outer").unwrap().calls, 3);
        assert!(named("outer").unwrap().seconds >= 0.0);
        for name in ["before", "inner", "after"] {
            assert_eq!(named(name), None);
        }
        assert_eq!(stop(), []);
    }
}
