//! Work on devices whose drivers may fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, bail};
use dp_sims_backends::{BackendKind, Selected, Task};

use crate::runtime::threads::words_of;

/// Runs work that drivers may end with an error or a panic: a GPU without room for a tensor does.
///
/// # Errors
/// What the work or the driver says.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match caught(work) {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(reason) => Err(reason),
    }
}

/// Runs the work of a command. On a GPU a panic is a failure of the device; `remedy` is what takes less of
/// its memory, a key or a flag.
///
/// # Errors
/// Those of the work, and a device that fails.
pub(super) fn run_on<T: Task<Output = Result<()>>>(
    selected: Selected,
    task: T,
    remedy: &str,
) -> Result<()> {
    run_on_all(selected, &[], task, remedy)
}

/// [`run_on`] with the devices of the backend that work with the selected one.
///
/// # Errors
/// Those of [`run_on`].
pub(super) fn run_on_all<T: Task<Output = Result<()>>>(
    selected: Selected,
    others: &[usize],
    task: T,
    remedy: &str,
) -> Result<()> {
    if matches!(selected.kind, BackendKind::Flex | BackendKind::Ndarray) {
        return selected.run_on(others, task);
    }
    caught(|| selected.run_on(others, task)).unwrap_or_else(|reason| {
        let Selected { kind, device } = selected;
        bail!(failure(kind, device, &reason, remedy))
    })
}

fn failure(kind: BackendKind, device: usize, reason: &str, remedy: &str) -> String {
    format!(
        "{kind} device {device} failed: {reason}. If it has too little memory, {remedy}; `dp-sims doctor` \
         tests the device"
    )
}

/// The outcome of work, or the words of its panic.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words_of(&*panic, "the driver failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_panics_is_a_failure_with_a_remedy() {
        assert_eq!(guarded(|| Ok(3)), Ok(3));
        assert_eq!(
            guarded::<u8>(|| anyhow::bail!("no kernel")),
            Err("no kernel".to_string())
        );
        let reason = guarded::<u8>(|| panic!("no room for {} bytes", 7)).unwrap_err();
        assert_eq!(reason, "no room for 7 bytes");
        let text = failure(BackendKind::Wgpu, 0, &reason, "lower `run.batch`");
        assert!(
            text.starts_with("wgpu device 0 failed: no room for 7 bytes."),
            "{text}"
        );
        assert!(text.contains("lower `run.batch`"), "{text}");
        assert_eq!(
            guarded::<u8>(|| std::panic::panic_any(1)),
            Err("the driver failed".to_string())
        );
    }
}
