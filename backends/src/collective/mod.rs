//! Ranks: copies of a training run that compute on parts of a batch and agree on everything else.
//!
//! Every rank is a thread with a device. What ranks agree on goes through burn's own collective
//! operations (`burn-collective`) between the threads of a process, and through [`Between`] between processes. A
//! thread becomes a rank with [`Group::join`]; inside [`Group::run`], operations that depend on the whole batch,
//! such as the statistics of batch norm, are those of all ranks together.
//!
//! Every rank calls the same operations in the same order. There is no time limit here: a rank that waits
//! for one that is gone waits for ever where nobody tells it, and that is the program's business.

#[cfg(not(feature = "distributed"))]
#[path = "absent.rs"]
mod engine;
#[cfg(feature = "distributed")]
mod engine;
mod mean;
#[cfg(all(test, feature = "flex", feature = "distributed"))]
mod tests;

use std::cell::Cell;
use std::fmt;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
pub use mean::mean_over_ranks;
use thiserror::Error;

thread_local! {
    /// The group of the work that this thread does at the moment.
    static CURRENT: Cell<Option<Group>> = const { Cell::new(None) };
}

/// What adding up is called in errors.
const ADD: &str = "add up their tensors";

/// Why ranks could not agree.
#[derive(Clone, Debug, Error)]
#[error("ranks cannot {action}: {reason}")]
pub struct CollectiveFailure {
    /// What was tried.
    action: &'static str,
    /// Why it failed.
    reason: String,
}

impl CollectiveFailure {
    /// Unwinds to whoever catches panics of this rank, where an operation has no other way to fail. That is no fault
    /// of the program, so nothing is printed here.
    pub(crate) fn unwind(&self) -> ! {
        std::panic::resume_unwind(Box::new(self.to_string()))
    }
}

/// How the processes of a group add up what they have.
pub trait Between: fmt::Debug + Send + Sync {
    /// Puts sums over all processes in the place of the numbers, the same bits in every process.
    ///
    /// # Errors
    /// Says which process is missing, and why.
    fn sum(&self, numbers: &mut [f32]) -> Result<(), String>;
}

/// Where a rank is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the rank, from 0.
    pub rank: usize,
    /// Ranks in all.
    pub ranks: usize,
    /// Number of the rank among those of its process, from 0.
    pub thread: usize,
    /// Ranks of its process.
    pub threads: usize,
}

/// A rank among others.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    place: Place,
    between: Option<&'static dyn Between>,
}

impl Group {
    /// Makes this thread a rank; waits until those of its process are there. There is one group of a backend in
    /// a process at a time.
    ///
    /// # Errors
    /// When the ranks of this process do not name the same group, or the feature `distributed` is not compiled
    /// in.
    pub fn join<B: Backend>(
        place: Place,
        between: Option<&'static dyn Between>,
        device: &B::Device,
    ) -> Result<Self, CollectiveFailure> {
        if place.threads > 1 {
            engine::register::<B>(place, device)?;
        }
        Ok(Self { place, between })
    }

    /// Number of this rank, from 0.
    pub fn rank(self) -> usize {
        self.place.rank
    }

    /// Ranks in all.
    pub fn ranks(self) -> usize {
        self.place.ranks
    }

    /// Does work as one of the group: the group is the [`current`] one of this thread meanwhile.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        /// Puts back what was there, after a panic as well.
        struct Guard(Option<Group>);
        impl Drop for Guard {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _guard = Guard(CURRENT.replace(Some(self)));
        work()
    }

    /// The sum of the ranks' tensors, which are all of one shape; on every rank the same bits.
    ///
    /// Two threads of a process, and any number of processes, add up in one order; burn adds up more threads in an
    /// order of its own. Between processes, tensors go through the memory of the machine.
    ///
    /// # Errors
    /// When shapes differ, or the connection to another process fails.
    pub fn sum<B: Backend, const D: usize>(
        self,
        tensor: Tensor<B, D>,
    ) -> Result<Tensor<B, D>, CollectiveFailure> {
        let Place {
            thread, threads, ..
        } = self.place;
        let among_threads = |own| match threads {
            1 => Ok(own),
            _ => engine::sum(thread, own),
        };
        let own = among_threads(tensor)?;
        let Some(between) = self.between else {
            return Ok(own);
        };
        if thread > 0 {
            return among_threads(own.zeros_like());
        }
        let (shape, device) = (own.dims(), own.device());
        let failure = |reason| CollectiveFailure {
            action: ADD,
            reason,
        };
        let data = own
            .try_into_data()
            .map_err(|error| failure(format!("{error:?}")))?;
        let mut numbers: Vec<f32> = data.iter().collect();
        between.sum(&mut numbers).map_err(failure)?;
        among_threads(Tensor::from_data(TensorData::new(numbers, shape), &device))
    }

    /// The mean of the ranks' tensors; see [`sum`](Self::sum).
    ///
    /// # Errors
    /// Those of [`sum`](Self::sum).
    pub fn mean<B: Backend, const D: usize>(
        self,
        tensor: Tensor<B, D>,
    ) -> Result<Tensor<B, D>, CollectiveFailure> {
        Ok(self.sum(tensor)? / self.ranks() as f64)
    }

    /// The ranks' numbers by rank, as they are but for the sign of a zero; on every rank the same bits.
    ///
    /// # Shapes
    /// - numbers: `[L]`, the same on every rank
    /// - output: `[ranks, L]`
    ///
    /// # Errors
    /// Those of [`sum`](Self::sum), which each rank gives zeros for the others' numbers.
    pub fn gather<B: Backend>(
        self,
        numbers: Tensor<B, 1>,
    ) -> Result<Tensor<B, 2>, CollectiveFailure> {
        let Place { rank, ranks, .. } = self.place;
        let [length] = numbers.dims();
        let all = Tensor::zeros([ranks, length], &numbers.device());
        let own = numbers.reshape([1, length]);
        self.sum(all.slice_assign([rank..rank + 1, 0..length], own))
    }

    /// Waits for the ranks of this process, which is nobody where it is the only one.
    ///
    /// # Errors
    /// When they do not do the same.
    pub fn wait<B: Backend>(self, device: &B::Device) -> Result<(), CollectiveFailure> {
        match self.place.threads {
            1 => Ok(()),
            _ => engine::sum(self.place.thread, Tensor::<B, 1>::zeros([1], device)).map(|_| ()),
        }
    }

    /// Leaves the group.
    ///
    /// # Errors
    /// When burn's collective has not heard of this rank.
    pub fn leave<B: Backend>(self) -> Result<(), CollectiveFailure> {
        match self.place.threads {
            1 => Ok(()),
            _ => engine::finish::<B>(self.place.thread),
        }
    }
}

/// The group as one of which this thread works at the moment; none where it works alone.
pub fn current() -> Option<Group> {
    CURRENT.get()
}

/// Ranks whose work the current work is a part of; 1 where this thread works alone.
pub fn ranks() -> usize {
    current().map_or(1, Group::ranks)
}

/// The backward pass of a loss. As one of a group, it waits for the others of its process first.
///
/// burn-autodiff ends every backward pass with a look at the graphs of all threads, each of which is locked as
/// long as it runs backward. A rank that waits, in its backward pass, for one that is not there yet because
/// it waits for that look would wait for ever. Between processes nothing is locked.
///
/// # Panics
/// As [`mean_over_ranks`].
pub fn backward<B: AutodiffBackend>(loss: Tensor<B, 1>) -> B::Gradients {
    if let Some(group) = current()
        && let Err(failure) = group.wait::<B::InnerBackend>(&loss.device())
    {
        failure.unwind();
    }
    loss.backward()
}
