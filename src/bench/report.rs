use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::machine::{Machine, line};
use super::measure::{Launches, Measured, Operation};
use super::parts::Part;
use super::settings::Settings;
use super::table::{write_launches, write_operations, write_parts, write_shaped};
use super::timing::Timing;

/// Outcome of timing the generator or the training step, as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was timed: `step` or `generator`.
    pub bench: String,
    /// Where.
    #[serde(flatten)]
    pub machine: Machine,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// Images at once.
    pub batch: usize,
    /// Width of the generator's last block.
    pub base_width: usize,
    /// Frozen network below the discriminator; none in `generator`.
    pub backbone: Option<String>,
    /// Classes, void included.
    pub classes: usize,
    /// Timed repetitions.
    pub repeats: usize,
    /// Median and spread of a repetition.
    #[serde(flatten)]
    pub timing: Timing,
    /// Time of every repetition in seconds, in the order in which they ran.
    pub seconds: Vec<f64>,
    /// Images per second at the median.
    pub images_per_second: f64,
    /// Multiply-adds of a repetition, dense as published figures count them.
    pub nominal_macs: u64,
    /// Multiply-adds that a repetition executes.
    pub executed_macs: u64,
    /// Dense work of a repetition in 10⁹ floating-point operations, two per multiply-add.
    pub nominal_gflop: f64,
    /// Dense work over the median time.
    pub nominal_gflop_per_second: f64,
    /// Executed work of a repetition in 10⁹ floating-point operations.
    pub gflop: f64,
    /// Executed work over the median time.
    pub gflop_per_second: f64,
    /// Speed of a matrix product on the same device, in the same process.
    pub matmul_gflop_per_second: f64,
    /// Speed of the executed work as a share of the matrix product's.
    pub matmul_share: f64,
    /// Speed of memory in an addition on the same device, in the same process, in GB/s.
    pub memory_gigabytes_per_second: f64,
    /// Trained and frozen parameters by network, without buffers.
    pub parameters: BTreeMap<String, u64>,
    /// Largest resident memory of the process in bytes, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Time by part of one more repetition, in which the device was waited for at the end of each.
    pub parts: Vec<Part>,
    /// The operations of one more repetition, the longest first, with `--profile`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
    /// The same by shapes as well, those operations whose shapes are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shaped: Vec<Operation>,
    /// What one more repetition asks of a GPU, with `--profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launches: Option<Launches>,
}

impl Report {
    /// Works out the figures. `measured` holds at least one time.
    pub fn new(
        bench: &str,
        classes: usize,
        settings: &Settings,
        machine: Machine,
        measured: Measured,
    ) -> Self {
        let timing = Timing::of(&measured.seconds);
        let median = timing.median_seconds;
        let gflop = |macs: u64| 2.0 * macs as f64 / 1e9;
        let (nominal, executed) = (gflop(measured.macs.nominal), gflop(measured.macs.executed));
        Self {
            bench: bench.to_string(),
            machine,
            height: settings.size.height,
            width: settings.size.width,
            batch: settings.batch,
            base_width: settings.base_width,
            backbone: (bench == "step").then(|| settings.backbone.name().to_string()),
            classes,
            repeats: measured.seconds.len(),
            timing,
            images_per_second: settings.batch as f64 / median,
            nominal_macs: measured.macs.nominal,
            executed_macs: measured.macs.executed,
            nominal_gflop: nominal,
            nominal_gflop_per_second: nominal / median,
            gflop: executed,
            gflop_per_second: executed / median,
            matmul_gflop_per_second: measured.speeds.matmul,
            matmul_share: executed / median / measured.speeds.matmul,
            memory_gigabytes_per_second: measured.speeds.memory,
            seconds: measured.seconds,
            parameters: measured.parameters,
            peak_memory_bytes: measured.peak_memory_bytes,
            parts: measured.parts,
            operations: measured.operations,
            shaped: measured.shaped,
            launches: measured.launches,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.bench.as_str() {
            "step" => "training step",
            other => other,
        };
        line(f, "bench", what)?;
        line(f, "device", &self.machine)?;
        let Self {
            batch,
            height,
            width,
            ..
        } = self;
        line(f, "images", format!("[{batch}, 3, {height}, {width}]"))?;
        line(f, "base width", self.base_width)?;
        if let Some(backbone) = &self.backbone {
            line(f, "backbone", backbone)?;
        }
        line(f, "classes", format!("{} with void", self.classes))?;
        let (timing, repeats) = (self.timing, self.repeats);
        line(f, "time", format!("{timing}, the median of {repeats}"))?;
        line(
            f,
            "images per second",
            format!("{:.2}", self.images_per_second),
        )?;
        for (label, gflop, speed) in [
            (
                "nominal work",
                self.nominal_gflop,
                self.nominal_gflop_per_second,
            ),
            ("executed work", self.gflop, self.gflop_per_second),
        ] {
            line(f, label, format!("{gflop:.1} GFLOP, {speed:.1} GFLOP/s"))?;
        }
        line(
            f,
            "matmul",
            format!(
                "{:.1} GFLOP/s, of which executed work reaches {:.1} %",
                self.matmul_gflop_per_second,
                100.0 * self.matmul_share
            ),
        )?;
        let memory = self.memory_gigabytes_per_second;
        line(f, "memory", format!("{memory:.1} GB/s"))?;
        if let Some(bytes) = self.peak_memory_bytes {
            line(f, "peak memory", format!("{} MiB", bytes >> 20))?;
        }
        write_parts(f, &self.parts)?;
        write_operations(f, &self.operations)?;
        write_shaped(f, &self.shaped)?;
        self.launches
            .as_ref()
            .map_or(Ok(()), |launches| write_launches(f, launches))
    }
}

#[cfg(test)]
mod tests {
    use dp_sims_datasets::Size;

    use super::super::machine::some_machine;
    use super::super::measure::Macs;
    use super::super::settings::BACKBONE;
    use super::super::speed::Speeds;
    use super::*;

    fn report() -> Report {
        let settings = Settings {
            size: Size::new(64, 96),
            batch: 4,
            base_width: 32,
            backbone: BACKBONE,
            repeats: 4,
            profile: true,
        };
        let part = |name: &str, seconds| Part {
            name: name.to_string(),
            seconds,
        };
        let operation = |shapes: &str, calls, seconds| Operation {
            name: "conv2d".to_string(),
            shapes: shapes.to_string(),
            calls,
            macs: 0,
            seconds,
        };
        let measured = Measured {
            seconds: vec![3.0, 1.0, 2.0, 4.0],
            macs: Macs {
                nominal: 100_000_000_000,
                executed: 50_000_000_000,
            },
            speeds: Speeds {
                matmul: 100.0,
                memory: 30.0,
            },
            parameters: [("generator".to_string(), 7)].into(),
            peak_memory_bytes: Some(3 << 20),
            parts: vec![part("G step: generator", 1.5), part("other", 0.5)],
            launches: None,
            operations: vec![operation("", 5, 0.25)],
            shaped: vec![operation("[4, 32, 16, 16] to 8, 3x3", 2, 0.125)],
        };
        Report::new("step", 12, &settings, some_machine(), measured)
    }

    #[test]
    fn figures_follow_from_the_median() {
        let report = report();
        assert_eq!(report.timing.median_seconds, 2.5);
        assert_eq!(report.images_per_second, 1.6);
        assert_eq!([report.gflop, report.nominal_gflop], [100.0, 200.0]);
        assert_eq!(report.gflop_per_second, 40.0);
        assert_eq!(report.nominal_gflop_per_second, 80.0);
        assert_eq!(report.matmul_share, 0.4);
    }

    #[test]
    fn json_has_flat_keys_and_reads_back_the_same() {
        let json = serde_json::to_value(report()).unwrap();
        for (key, expected) in [
            ("backend", serde_json::json!("flex")),
            ("backbone", "efficientnet_lite1".into()),
            ("fastest_seconds", 1.0.into()),
            ("matmul_share", 0.4.into()),
            ("executed_macs", 50_000_000_000_u64.into()),
            ("memory_gigabytes_per_second", 30.0.into()),
        ] {
            assert_eq!(json[key], expected, "{key}");
        }
        assert_eq!(json["parameters"]["generator"], 7);
        assert_eq!(json["parts"][1]["seconds"], 0.5);
        assert_eq!(json["operations"][0]["calls"], 5);
        let again: Report = serde_json::from_value(json).unwrap();
        assert_eq!(again, report());
    }

    #[test]
    fn text_carries_the_figures() {
        let text = report().to_string();
        for part in [
            "[4, 3, 64, 96]",
            "2.5000 s (1.0000 to 4.0000), the median of 4",
            "nominal work      200.0 GFLOP, 80.0 GFLOP/s",
            "of which executed work reaches 40.0 %",
            "30.0 GB/s",
            "3 MiB",
            "G step: generator              1500.0   75.0 %  ##############################\n",
            "together                       2000.0\n",
            "conv2d                          250.0  100.0 %        5",
            "conv2d  [4, 32, 16, 16] to 8, 3x3",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
