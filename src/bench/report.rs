use std::collections::BTreeMap;
use std::fmt;

use dp_sims_backends::BackendKind;
use serde::Serialize;

use super::networks::{Measured, Operation, Settings};

/// Outcome of a benchmark, as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What was timed: `step` or `generator`.
    pub bench: &'static str,
    /// Backend.
    pub backend: BackendKind,
    /// Number of the device.
    pub device: usize,
    /// What the driver calls it.
    pub device_name: String,
    /// Threads of the processor.
    pub threads: usize,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// Images at once.
    pub batch: usize,
    /// Width of the generator's last block.
    pub base_width: usize,
    /// Classes, void included.
    pub classes: usize,
    /// Timed repetitions.
    pub repeats: usize,
    /// Median time of a repetition in seconds.
    pub median_seconds: f64,
    /// Fastest repetition in seconds.
    pub fastest_seconds: f64,
    /// Slowest repetition in seconds.
    pub slowest_seconds: f64,
    /// Images per second at the median.
    pub images_per_second: f64,
    /// Work of a repetition in 10⁹ floating-point operations, two per multiply-add.
    pub gflop: f64,
    /// Work over the median time.
    pub gflop_per_second: f64,
    /// Speed of a matrix product on the same device, in the same process.
    pub matmul_gflop_per_second: f64,
    /// Speed as a share of the matrix product's.
    pub matmul_share: f64,
    /// Trained and frozen parameters by network, without buffers.
    pub parameters: BTreeMap<&'static str, u64>,
    /// Largest resident memory of the process in bytes, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The operations of one repetition, the longest first, with `--profile`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
}

/// Operations that the text shows.
const SHOWN: usize = 20;

/// Where a benchmark ran.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Backend.
    pub backend: BackendKind,
    /// Number of the device.
    pub device: usize,
    /// What the driver calls it.
    pub device_name: String,
    /// Threads of the processor.
    pub threads: usize,
}

impl Report {
    /// Works out the figures. `measured` holds at least one time.
    pub fn new(
        bench: &'static str,
        classes: usize,
        settings: &Settings,
        machine: Machine,
        measured: &Measured,
    ) -> Self {
        let mut sorted = measured.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let median = median(&sorted);
        let gflop = 2.0 * measured.macs as f64 / 1e9;
        Self {
            bench,
            backend: machine.backend,
            device: machine.device,
            device_name: machine.device_name,
            threads: machine.threads,
            height: settings.size.height,
            width: settings.size.width,
            batch: settings.batch,
            base_width: settings.base_width,
            classes,
            repeats: sorted.len(),
            median_seconds: median,
            fastest_seconds: sorted.first().copied().unwrap_or(f64::NAN),
            slowest_seconds: sorted.last().copied().unwrap_or(f64::NAN),
            images_per_second: settings.batch as f64 / median,
            gflop,
            gflop_per_second: gflop / median,
            matmul_gflop_per_second: measured.matmul_speed,
            matmul_share: gflop / median / measured.matmul_speed,
            parameters: measured.parameters.clone(),
            peak_memory_bytes: measured.peak_memory_bytes,
            operations: measured.operations.clone(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.bench {
            "step" => "training step",
            other => other,
        };
        let mut line = |label: &str, value: String| writeln!(f, "{label:<18}{value}");
        line("bench", what.to_string())?;
        let Self {
            backend,
            device,
            device_name,
            threads,
            ..
        } = self;
        line(
            "device",
            format!("{backend} {device} ({device_name}), {threads} threads"),
        )?;
        line(
            "images",
            format!("[{}, 3, {}, {}]", self.batch, self.height, self.width),
        )?;
        line("base width", self.base_width.to_string())?;
        line("classes", format!("{} with void", self.classes))?;
        line(
            "time",
            format!(
                "{:.4} s, the median of {} ({:.4} to {:.4})",
                self.median_seconds, self.repeats, self.fastest_seconds, self.slowest_seconds
            ),
        )?;
        line("images a second", format!("{:.2}", self.images_per_second))?;
        line("work", format!("{:.1} GFLOP", self.gflop))?;
        line("speed", format!("{:.1} GFLOP/s", self.gflop_per_second))?;
        line(
            "matmul",
            format!("{:.1} GFLOP/s", self.matmul_gflop_per_second),
        )?;
        line(
            "share of matmul",
            format!("{:.1} %", 100.0 * self.matmul_share),
        )?;
        if let Some(bytes) = self.peak_memory_bytes {
            line("peak memory", format!("{} MiB", bytes >> 20))?;
        }
        let all: f64 = self
            .operations
            .iter()
            .map(|operation| operation.seconds)
            .sum();
        for (place, operation) in self.operations.iter().take(SHOWN).enumerate() {
            if place == 0 {
                writeln!(
                    f,
                    "\n{:<26}{:>7}{:>9}{:>8}",
                    "operation", "calls", "ms", "share"
                )?;
            }
            let Operation {
                name,
                calls,
                seconds,
            } = operation;
            let share = 100.0 * seconds / all;
            writeln!(
                f,
                "{name:<26}{calls:>7}{:>9.1}{share:>6.1} %",
                1e3 * seconds
            )?;
        }
        Ok(())
    }
}

/// Median of sorted values, the mean of the two in the middle for an even number of them.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => 0.5 * (sorted[middle - 1] + sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use dp_sims_datasets::Size;

    use super::*;

    fn report() -> Report {
        let settings = Settings {
            size: Size::new(64, 96),
            batch: 4,
            base_width: 32,
            repeats: 4,
            profile: true,
        };
        let machine = Machine {
            backend: BackendKind::Flex,
            device: 0,
            device_name: "processor".to_string(),
            threads: 2,
        };
        let seconds = vec![3.0, 1.0, 2.0, 4.0];
        let measured = Measured {
            seconds,
            macs: 50_000_000_000,
            matmul_speed: 100.0,
            parameters: [("generator", 7)].into(),
            peak_memory_bytes: Some(3 << 20),
            operations: vec![Operation {
                name: "conv2d",
                calls: 5,
                seconds: 0.25,
            }],
        };
        Report::new("step", 12, &settings, machine, &measured)
    }

    #[test]
    fn figures_follow_from_the_median() {
        let report = report();
        assert_eq!(report.median_seconds, 2.5);
        assert_eq!([report.fastest_seconds, report.slowest_seconds], [1.0, 4.0]);
        assert_eq!(report.images_per_second, 1.6);
        assert_eq!(report.gflop, 100.0);
        assert_eq!(report.gflop_per_second, 40.0);
        assert_eq!(report.matmul_share, 0.4);
        assert_eq!(median(&[1.0, 5.0, 6.0]), 5.0);
    }

    #[test]
    fn json_and_text_carry_the_figures() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["backend"], "flex");
        assert_eq!(json["matmul_share"], 0.4);
        assert_eq!(json["parameters"]["generator"], 7);
        assert_eq!(json["operations"][0]["calls"], 5);
        let text = report().to_string();
        for part in [
            "[4, 3, 64, 96]",
            "2.5000 s, the median of 4",
            "40.0 %",
            "3 MiB",
            "conv2d                          5    250.0 100.0 %",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
