//! The threads that compute on the processor.

use std::any::Any;

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// Stack of a thread: as much as the first thread of a program has on Linux.
const STACK: usize = 8 << 20;

/// Runs all of the program's work, as one of the threads that compute.
///
/// A thread of its own would fall asleep at every operation that is shared among the others, and be
/// woken at the end of it: some thousand times in a training step, where maps are small. With one
/// thread nothing is shared, and the caller works.
///
/// A job for the pool from another thread is done by the threads that are left while `work` waits for
/// it, so that waiting is safe.
pub fn run_among<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // Fails where a pool is there already, which will do.
    let _ = ThreadPoolBuilder::new()
        .stack_size(STACK)
        .thread_name(|index| format!("compute-{index}"))
        .build_global();
    if rayon::current_num_threads() == 1 {
        return work();
    }
    rayon::scope(|_| work())
}

/// Runs work as one of so many threads of its own, apart from those of the program: of several devices, each has its
/// part of the processor, and none waits for the threads of another.
///
/// # Errors
/// When the threads cannot be started.
pub fn run_apart<T: Send>(
    threads: usize,
    name: &str,
    work: impl FnOnce() -> T + Send,
) -> Result<T, ThreadPoolBuildError> {
    let name = name.to_string();
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .stack_size(STACK)
        .thread_name(move |index| format!("{name}-compute-{index}"))
        .build()?;
    Ok(pool.install(work))
}

/// The words of a panic, or others where it has none.
pub fn words_of(panic: &(dyn Any + Send), otherwise: &str) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or(otherwise).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use rayon::prelude::*;

    use super::*;

    #[test]
    fn work_waits_for_jobs_of_other_threads() {
        let sum = run_among(|| {
            let (send, receive) = channel();
            std::thread::spawn(move || send.send((0..1000).into_par_iter().sum::<u64>()));
            receive.recv()
        });
        assert_eq!(sum, Ok(499_500));
    }

    #[test]
    fn work_apart_has_threads_of_its_own() {
        for threads in [1, 3] {
            let found = run_apart(threads, "rank-0", || {
                (0..100).into_par_iter().for_each(|_| ());
                (
                    rayon::current_num_threads(),
                    std::thread::current().name().map(str::to_string),
                )
            });
            let (count, name) = found.unwrap();
            assert_eq!(count, threads);
            assert!(name.unwrap().starts_with("rank-0-compute-"));
        }
    }

    #[test]
    fn work_runs_in_the_pool_if_it_has_several_threads() {
        let is_inside = run_among(|| rayon::current_thread_index().is_some());
        assert_eq!(is_inside, rayon::current_num_threads() > 1);
    }
}
