use std::fmt;

use dp_sims_backends::conformance::Verdict;
use dp_sims_backends::{BackendKind, DeviceInfo, Selected, available};
use serde::Serialize;

use super::StepCase;

/// One operation, term or network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the operation, or of the part of the step.
    pub name: String,
    /// How often it was compared.
    pub cases: usize,
    /// Relative error of the worst case, or infinite: then it is `null` in JSON.
    pub error: f64,
    /// What the error may be.
    pub bound: f64,
    /// Which case is the worst.
    pub worst: String,
}

impl Row {
    /// A row of one case.
    pub(super) fn new(name: String, error: f64, bound: f64, worst: String) -> Self {
        Self {
            name,
            cases: 1,
            error,
            bound,
            worst,
        }
    }

    pub(super) fn of_operation(verdict: &Verdict) -> Self {
        let worst = format!("{} of {}, {}", verdict.value, verdict.sizes, verdict.layout);
        Self::new(
            verdict.operation.to_string(),
            verdict.error,
            verdict.bound,
            worst,
        )
    }

    /// Counts another case, and is about it if it is worse.
    pub(super) fn take(&mut self, other: Self) {
        let cases = self.cases + other.cases;
        if other.error / other.bound > self.error / self.bound || other.error > self.error {
            *self = other;
        }
        self.cases = cases;
    }

    /// Whether the device is right.
    pub fn is_equal(&self) -> bool {
        self.error <= self.bound
    }
}

/// A device beside the processor.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// Version of the program.
    pub version: &'static str,
    /// Backend that was tested.
    pub backend: BackendKind,
    /// Number of the device.
    pub device: usize,
    /// What the driver calls it.
    pub device_name: String,
    /// Name and version of its driver, where it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The step that was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<ComparedStep>,
    /// Whether every row is equal.
    pub passed: bool,
    /// Every operation and every part of the step.
    pub rows: Vec<Row>,
    /// Kernels of the step that are in no operation that was compared, where launches are written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncovered: Option<Vec<String>>,
}

/// A training step that was compared.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedStep {
    /// Name of the experiment.
    pub experiment: String,
    /// Images of the step.
    pub batch: usize,
    /// Images of a step of the experiment.
    pub full_batch: usize,
    /// Height and width of the images.
    pub size: [usize; 2],
}

impl Verification {
    pub(super) fn new(device: Selected, step: Option<&StepCase>, rows: Vec<Row>) -> Self {
        let info = info_of(device);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            backend: device.kind,
            device: device.device,
            device_name: info.name,
            driver: info.driver,
            step: step.map(|step| ComparedStep {
                experiment: step.name().to_string(),
                batch: step.batch(),
                full_batch: step.full_batch(),
                size: step.size(),
            }),
            passed: rows.iter().all(Row::is_equal),
            rows,
            uncovered: None,
        }
    }

    /// Whether the device computes what the processor computes.
    pub fn is_equal(&self) -> bool {
        self.passed
    }

    /// Names of what is wrong.
    pub fn wrong(&self) -> Vec<&str> {
        let wrong = self.rows.iter().filter(|row| !row.is_equal());
        wrong.map(|row| row.name.as_str()).collect()
    }
}

/// What is known of a device.
pub(super) fn info_of(device: Selected) -> DeviceInfo {
    let known = available();
    let mut found = known
        .into_iter()
        .filter(|info| (info.backend, info.index) == (device.kind, device.device));
    found.next().unwrap_or(DeviceInfo {
        backend: device.kind,
        index: device.device,
        name: "unknown".to_string(),
        driver: String::new(),
        is_cpu: false,
    })
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.device_name;
        writeln!(f, "{} {} ({name}) beside flex", self.backend, self.device)?;
        if let Some(step) = &self.step {
            let ([height, width], batch) = (step.size, step.batch);
            let name = &step.experiment;
            writeln!(
                f,
                "one step of {name} on {batch} images of {height}x{width}"
            )?;
            if batch < step.full_batch {
                let all = step.full_batch;
                writeln!(
                    f,
                    "({batch} images in place of {all}, as the memory allows)"
                )?;
            }
        }
        let longest = self.rows.iter().map(|row| row.name.len()).max();
        let width = longest.unwrap_or_default().max(9);
        let heading = ["operation", "cases", "error", "bound"];
        let [name, cases, error, bound] = heading;
        writeln!(f, "\n{name:<width$} {cases:>6} {error:>9} {bound:>8}")?;
        for row in &self.rows {
            let (cases, error, bound) = (row.cases, row.error, row.bound);
            write!(
                f,
                "{:<width$} {cases:>6} {error:>9.1e} {bound:>8.0e}",
                row.name
            )?;
            if !row.is_equal() {
                write!(f, "  WRONG: {}", row.worst)?;
            }
            writeln!(f)?;
        }
        for kernel in self.uncovered.iter().flatten() {
            writeln!(f, "compared within the step alone: kernel {kernel}")?;
        }
        match self.wrong().len() {
            0 => writeln!(f, "\nall {} are equal", self.rows.len()),
            wrong => writeln!(f, "\n{wrong} of {} are wrong", self.rows.len()),
        }
    }
}
