//! Time by operation.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn_flex::FlexTensor;

static IS_ON: AtomicBool = AtomicBool::new(false);
static TIMES: Mutex<Times> = Mutex::new(BTreeMap::new());

/// Calls and time by name and shapes.
type Times = BTreeMap<(&'static str, String), (u64, Duration)>;

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls and time of an operation of the backend.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationTime {
    /// Name, as burn's backend traits call it.
    pub name: &'static str,
    /// Shapes of the operands, for operations whose time depends on them most; else empty.
    pub shapes: String,
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

/// Stops, and returns what was measured by name and shapes, the longest first.
pub fn stop() -> Vec<OperationTime> {
    IS_ON.store(false, Ordering::Relaxed);
    let taken = std::mem::take(&mut *lock());
    let mut times: Vec<_> = taken
        .into_iter()
        .map(|((name, shapes), (calls, time))| OperationTime {
            name,
            shapes,
            calls,
            seconds: time.as_secs_f64(),
        })
        .collect();
    times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    times
}

fn lock() -> std::sync::MutexGuard<'static, Times> {
    // A thread that panicked while it held the lock has at worst lost its own time.
    TIMES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Takes the time until it is dropped. Costs one load where nobody measures.
pub(super) struct Timer(Option<(&'static str, String, Instant)>);

impl Timer {
    pub(super) fn new(name: &'static str) -> Self {
        Self::with_shapes(name, String::new)
    }

    /// The same for an operation whose shapes are told apart; they are asked for if somebody measures.
    pub(super) fn with_shapes(name: &'static str, shapes: impl FnOnce() -> String) -> Self {
        if !IS_ON.load(Ordering::Relaxed) || IS_INSIDE.replace(true) {
            return Self(None);
        }
        Self(Some((name, shapes(), Instant::now())))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((name, shapes, started)) = self.0.take() {
            let elapsed = started.elapsed();
            IS_INSIDE.set(false);
            let mut times = lock();
            let (calls, time) = times.entry((name, shapes)).or_default();
            *calls += 1;
            *time += elapsed;
        }
    }
}

/// The shape of a tensor, and whether its elements lie in another order than that of its axes.
pub(super) fn shape(tensor: &FlexTensor) -> String {
    let layout = tensor.layout();
    let is_strided = layout.contiguous_offsets().is_none();
    let order = if is_strided { " strided" } else { "" };
    format!("{:?}{order}", layout.shape().as_slice())
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
        drop(Timer::with_shapes("outer", || "2x3".to_string()));
        let times = stop();
        drop(Timer::new("after"));
        let named = |name| times.iter().find(|time| time.name == name);
        let calls = |shapes| {
            let mut outer = times.iter().filter(|time| time.name == "outer");
            outer.find(|time| time.shapes == shapes).unwrap().calls
        };
        assert_eq!((calls(""), calls("2x3")), (3, 1));
        for name in ["before", "inner", "after"] {
            assert_eq!(named(name), None);
        }
        assert_eq!(stop(), []);
    }
}
