//! Whether a device trains as the processor does: every operation, and one training step of an
//! experiment.

mod report;
mod step;
mod trust;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::backend::AutodiffBackend;
use dp_sims_backends::conformance::{Outcome, Verdict, compare};
use dp_sims_backends::{BackendChoice, BackendKind, Selected, Task, select};

pub use dp_sims_backends::conformance::Suite;
pub use report::{Row, Verification};
pub use step::StepCase;
pub use trust::{Trust, trust};

use step::StepOutcome;

/// What to do about a device that is wrong.
pub const REMEDY: &str = "Use another device or backend (`--backend flex` is the reference), build \
                          without the feature `autotune`, or update the driver; and report it with \
                          the output of `dp-sims doctor --verify --json`";

/// What is computed on each of two devices.
struct Computation<'a> {
    suite: &'a Suite,
    step: Option<&'a StepCase>,
    /// Told how many cases are done.
    done: &'a mut dyn FnMut(usize),
}

/// What a device computed.
struct Computed {
    operations: Vec<Outcome>,
    step: Option<StepOutcome>,
    /// Kernels of the step that no operation launched, where launches are written down.
    uncovered: Option<Vec<String>>,
}

impl Task for Computation<'_> {
    type Output = Result<Computed>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let before = launches()?;
        let operations = self.suite.run::<B>(device, |done| (self.done)(done));
        let between = launches()?;
        let step = self.step.map(|step| step.run::<B>(device)).transpose()?;
        let after = launches()?;
        (self.done)(operations.len() + usize::from(step.is_some()));
        let uncovered = match (before, between, after) {
            (Some(before), Some(between), Some(after)) => {
                Some(uncovered(&before, &between, &after))
            }
            _ => None,
        };
        Ok(Computed {
            operations,
            step,
            uncovered,
        })
    }
}

/// How often kernels were launched, by name.
type Launches = BTreeMap<String, u64>;

/// Kernels launched so far, if launches are written down.
fn launches() -> Result<Option<Launches>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    let launches = dp_sims_backends::gpu::traffic::taken()?.map(|traffic| traffic.launches);
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    let launches = None;
    Ok(launches)
}

/// Kernels that were launched after `between` and not from `before` until then.
fn uncovered(before: &Launches, between: &Launches, after: &Launches) -> Vec<String> {
    let count = |launches: &Launches, name| launches.get(name).copied().unwrap_or_default();
    let late = after.iter().filter(|&(name, &all)| {
        let until_then = count(between, name);
        all > until_then && until_then == count(before, name)
    });
    late.map(|(name, _)| name.clone()).collect()
}

/// Number of cases that [`verify`] computes on both devices together.
pub fn cases(suite: &Suite, step: Option<&StepCase>) -> usize {
    struct Count<'a>(&'a Suite);
    impl Task for Count<'_> {
        type Output = usize;

        fn run<B: AutodiffBackend>(self, _device: &B::Device) -> usize {
            self.0.count::<B>()
        }
    }
    let operations = reference().map_or(0, |reference| reference.run(Count(suite)));
    2 * (operations + usize::from(step.is_some()))
}

/// Names of all operations that [`verify`] can compute.
///
/// # Errors
/// When flex is not compiled in.
pub fn operation_names() -> Result<Vec<&'static str>> {
    struct Names;
    impl Task for Names {
        type Output = Vec<&'static str>;

        fn run<B: AutodiffBackend>(self, _device: &B::Device) -> Self::Output {
            Suite::default().operations::<B>()
        }
    }
    Ok(reference()?.run(Names))
}

/// The backend that others are compared with: flex, which the parity tests hold to PyTorch.
///
/// # Errors
/// When it is not compiled in.
fn reference() -> Result<Selected> {
    select(BackendChoice::Named(BackendKind::Flex), 0)
        .context("a device is compared with flex on the processor")
}

/// Computes operations and one step on a device and on the processor, and compares.
///
/// Takes the time of the processor and the device one after the other; on a GPU most of it is the
/// compilation of kernels. `done` is told how many of the [`cases`] are done.
///
/// # Errors
/// When flex is not compiled in, or a device fails.
pub fn verify(
    device: Selected,
    suite: &Suite,
    step: Option<&StepCase>,
    mut done: impl FnMut(usize),
) -> Result<Verification> {
    let computed = |selected: Selected, done: &mut dyn FnMut(usize)| {
        selected.run(Computation { suite, step, done })
    };
    let expected =
        computed(reference()?, &mut done).context("the processor cannot compute a step")?;
    let all = expected.operations.len() + usize::from(step.is_some());
    let found = computed(device, &mut |count| done(all + count))
        .with_context(|| format!("{} cannot compute a step", device.kind))?;
    let mut rows = operations(compare(&found.operations, &expected.operations));
    if let (Some(found), Some(expected)) = (&found.step, &expected.step) {
        rows.extend(found.compare(expected));
    }
    Ok(Verification {
        uncovered: found.uncovered,
        ..Verification::new(device, step, rows)
    })
}

/// One row for every operation: its worst case.
fn operations(verdicts: Vec<Verdict>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut places = BTreeMap::new();
    for verdict in verdicts {
        let case = Row::of_operation(&verdict);
        let place = *places.entry(verdict.operation).or_insert(rows.len());
        match rows.get_mut(place) {
            None => rows.push(case),
            Some(row) => row.take(case),
        }
    }
    rows
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use dp_sims_backends::conformance::Layout;

    use super::*;

    fn verdict(operation: &'static str, error: f64) -> Verdict {
        Verdict {
            operation,
            sizes: "1x2x3x4".to_string(),
            layout: Layout::Transposed,
            value: "result".to_string(),
            error,
            bound: 1e-5,
        }
    }

    #[test]
    fn an_operation_has_the_verdict_of_its_worst_case() {
        let rows = operations(vec![
            verdict("exp", 1e-7),
            verdict("log", 0.5),
            verdict("exp", 2e-7),
            verdict("log", 1e-8),
        ]);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (row.name.as_str(), row.cases, row.error, row.is_equal()))
            .collect();
        assert_eq!(shown, [("exp", 2, 2e-7, true), ("log", 2, 0.5, false)]);
        assert_eq!(rows[1].worst, "result of 1x2x3x4, transposed");
    }

    #[test]
    fn kernels_that_the_step_alone_launches_are_named() {
        let launches = |counts: &[(&str, u64)]| {
            let counts = counts.iter();
            counts
                .map(|(name, count)| (name.to_string(), *count))
                .collect()
        };
        let before = launches(&[("a", 1), ("early", 2)]);
        let between = launches(&[("a", 2), ("early", 2), ("b", 5)]);
        let after = launches(&[("a", 3), ("early", 3), ("b", 6), ("late", 1)]);
        assert_eq!(uncovered(&before, &between, &after), ["early", "late"]);
        assert!(uncovered(&before, &after, &after).is_empty());
    }

    /// ndarray shares no kernel with flex, and computes the same step.
    #[test]
    fn another_backend_of_the_processor_passes() {
        let step = StepCase::tiny();
        let device = select(BackendChoice::Named(BackendKind::Ndarray), 0).unwrap();
        let mut last = 0;
        let suite = &Suite::short();
        let verification = verify(device, suite, Some(&step), |done| last = done).unwrap();
        assert!(verification.is_equal(), "{verification}");
        assert_eq!(last, cases(suite, Some(&step)));
        let names: Vec<_> = verification.rows.iter().map(|row| &row.name[..]).collect();
        for name in [
            "conv2d",
            "spectral_norm",
            "step: g_total",
            "step: gradients of discriminator",
        ] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
    }
}
