//! Time and multiply-adds by operation.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn_flex::FlexTensor;

/// What is known of an operation of a name and shapes.
#[derive(Clone, Copy, Default)]
struct Sum {
    calls: u64,
    macs: u64,
    time: Duration,
}

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
    static SUMS: RefCell<BTreeMap<(&'static str, String), Sum>> = const { RefCell::new(BTreeMap::new()) };
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
    /// Multiply-adds of all calls, of convolutions, products and attention; else 0. A convolution counts
    /// by its definition, however it is computed.
    pub macs: u64,
    /// Time of all calls in seconds, by the clock.
    pub seconds: f64,
}

/// Begins to take the time of every operation of [`Cpu`](super::Cpu) that this thread asks for. An operation
/// that calls others counts as one.
pub fn start() {
    SUMS.with_borrow_mut(BTreeMap::clear);
    IS_ON.set(true);
}

/// Stops, and returns what was measured by name and shapes, the longest first.
pub fn stop() -> Vec<OperationTime> {
    IS_ON.set(false);
    let mut times: Vec<_> = SUMS
        .take()
        .into_iter()
        .map(|((name, shapes), sum)| OperationTime {
            name,
            shapes,
            calls: sum.calls,
            macs: sum.macs,
            seconds: sum.time.as_secs_f64(),
        })
        .collect();
    times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    times
}

/// Takes the time until it is dropped. Costs one look where nobody measures.
pub(super) struct Timer(Option<Running>);

struct Running {
    name: &'static str,
    shapes: String,
    macs: u64,
    started: Instant,
}

impl Timer {
    pub(super) fn new(name: &'static str) -> Self {
        Self::with_shapes(name, String::new)
    }

    /// The same for an operation whose shapes are told apart; they are asked for if somebody measures.
    pub(super) fn with_shapes(name: &'static str, shapes: impl FnOnce() -> String) -> Self {
        Self::with_macs(name, || (shapes(), 0))
    }

    /// The same for an operation that multiplies: its shapes, empty if they are not told apart, and its
    /// multiply-adds.
    pub(super) fn with_macs(name: &'static str, known: impl FnOnce() -> (String, usize)) -> Self {
        if !IS_ON.get() || IS_INSIDE.replace(true) {
            return Self(None);
        }
        let (shapes, macs) = known();
        Self(Some(Running {
            name,
            shapes,
            macs: macs as u64,
            started: Instant::now(),
        }))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            let elapsed = running.started.elapsed();
            IS_INSIDE.set(false);
            SUMS.with_borrow_mut(|sums| {
                let sum = sums.entry((running.name, running.shapes)).or_default();
                sum.calls += 1;
                sum.macs += running.macs;
                sum.time += elapsed;
            });
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

    #[test]
    fn outer_operations_are_counted_while_it_is_on() {
        drop(Timer::new("before"));
        start();
        for _ in 0..3 {
            let _outer = Timer::new("outer");
            drop(Timer::new("inner"));
        }
        drop(Timer::with_macs("outer", || ("2x3".to_string(), 6)));
        std::thread::spawn(|| drop(Timer::new("elsewhere")))
            .join()
            .unwrap();
        let times = stop();
        drop(Timer::new("after"));
        let named = |name| times.iter().find(|time| time.name == name);
        let counts = |shapes| {
            let mut outer = times.iter().filter(|time| time.name == "outer");
            let outer = outer.find(|time| time.shapes == shapes).unwrap();
            (outer.calls, outer.macs)
        };
        assert_eq!([counts(""), counts("2x3")], [(3, 0), (1, 6)]);
        for name in ["before", "inner", "after", "elsewhere"] {
            assert_eq!(named(name), None);
        }
        assert_eq!(stop(), []);
    }
}
