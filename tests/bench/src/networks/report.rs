use std::fmt;
use std::time::Instant;

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use dp_sims::bench::{GENERATOR_CLASSES, Machine, ProbeSizes, Settings, Speeds, Timing, line};
use dp_sims::runtime::memory::peak;
use dp_sims::runtime::progress::progress_bar;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use super::network::TimedNetwork;
use super::passes::{Pass, passes};

/// Speed of networks one by one, as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworksReport {
    /// `networks`.
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
    /// Width of the generators' last block.
    pub base_width: usize,
    /// Backbone whose features the discriminator is given.
    pub backbone: String,
    /// Classes of generators and discriminators, void included.
    pub classes: usize,
    /// Timed repetitions of each pass.
    pub repeats: usize,
    /// Speed of a matrix product on the same device, in the same process.
    pub matmul_gflop_per_second: f64,
    /// Speed of memory in an addition on the same device, in the same process, in GB/s.
    pub memory_gigabytes_per_second: f64,
    /// Largest resident memory of the process in bytes, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The networks, in the order in which they ran.
    pub networks: Vec<NetworkSpeed>,
}

/// Speed of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpeed {
    /// Name.
    pub name: String,
    /// Weights and biases, without buffers.
    pub parameters: u64,
    /// Multiply-adds of a forward pass of the batch, dense as published figures count them.
    pub nominal_macs: u64,
    /// Multiply-adds that a forward pass executes.
    pub executed_macs: u64,
    /// A forward pass without a graph.
    pub forward: PassSpeed,
    /// A forward pass with a graph and the way back: to the input alone in a frozen backbone, to
    /// weights and inputs in others.
    pub forward_backward: PassSpeed,
}

/// Time and speed of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassSpeed {
    /// Median and spread.
    #[serde(flatten)]
    pub timing: Timing,
    /// Dense work over the median time, in GFLOP/s.
    pub nominal_gflop_per_second: f64,
    /// Executed work over the median time, in GFLOP/s.
    pub gflop_per_second: f64,
    /// Speed of the executed work as a share of the matrix product's.
    pub matmul_share: f64,
}

/// Times each network by itself, as a training step runs it: trained ones in training mode, frozen
/// ones as they are.
///
/// # Errors
/// When a setting is out of range or the device fails.
pub fn networks<B: AutodiffBackend>(
    settings: &Settings,
    subjects: &[TimedNetwork],
    machine: Machine,
    sizes: ProbeSizes,
    device: &B::Device,
) -> Result<NetworksReport> {
    let before = Speeds::measure::<B::InnerBackend>(sizes, device)?;
    let runs = 2 * (1 + settings.repeats) * subjects.len();
    let bar = progress_bar("timing", runs as u64);
    let mut timings = Vec::with_capacity(subjects.len());
    for &subject in subjects {
        subject.check(settings)?;
        bar.set_message(subject.name());
        let [forward, both] = passes::<B>(subject, settings, device)?;
        let forward = time(settings.repeats, &bar, forward)?;
        let both = time(settings.repeats, &bar, both)?;
        timings.push((subject, forward, both));
    }
    bar.finish_and_clear();
    let peak_memory_bytes = peak();
    let speeds = before.best(Speeds::measure::<B::InnerBackend>(sizes, device)?);
    let speed_of = |(subject, forward, both): (TimedNetwork, Timing, Timing)| {
        let (macs, parameters) = subject.cost(settings);
        let speed = |timing: Timing, passes: u64| {
            let per_second = |macs: u64| 2.0 * (passes * macs) as f64 / timing.median_seconds / 1e9;
            PassSpeed {
                timing,
                nominal_gflop_per_second: per_second(macs.nominal),
                gflop_per_second: per_second(macs.executed),
                matmul_share: per_second(macs.executed) / speeds.matmul,
            }
        };
        NetworkSpeed {
            name: subject.name().to_string(),
            parameters,
            nominal_macs: macs.nominal,
            executed_macs: macs.executed,
            forward: speed(forward, 1),
            forward_backward: speed(both, subject.passes()),
        }
    };
    Ok(NetworksReport {
        bench: "networks".to_string(),
        machine,
        height: settings.size.height,
        width: settings.size.width,
        batch: settings.batch,
        base_width: settings.base_width,
        backbone: TimedNetwork::Backbone(settings.backbone).name().to_string(),
        classes: GENERATOR_CLASSES,
        repeats: settings.repeats,
        matmul_gflop_per_second: speeds.matmul,
        memory_gigabytes_per_second: speeds.memory,
        peak_memory_bytes,
        networks: timings.into_iter().map(speed_of).collect(),
    })
}

/// Times repetitions of a pass, after one that is not timed.
fn time(repeats: usize, bar: &ProgressBar, mut pass: Pass) -> Result<Timing> {
    let mut seconds = Vec::with_capacity(repeats);
    for repeat in 0..=repeats {
        let started = Instant::now();
        pass()?;
        if repeat > 0 {
            seconds.push(started.elapsed().as_secs_f64());
        }
        bar.inc(1);
    }
    Ok(Timing::of(&seconds))
}

impl fmt::Display for NetworksReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "bench", "networks")?;
        line(f, "device", &self.machine)?;
        let Self {
            batch,
            height,
            width,
            ..
        } = self;
        line(f, "images", format!("[{batch}, 3, {height}, {width}]"))?;
        line(f, "base width", self.base_width)?;
        line(f, "backbone", &self.backbone)?;
        line(f, "classes", format!("{} with void", self.classes))?;
        line(f, "time", format!("the median of {}", self.repeats))?;
        let matmul = self.matmul_gflop_per_second;
        line(f, "matmul", format!("{matmul:.1} GFLOP/s"))?;
        let memory = self.memory_gigabytes_per_second;
        line(f, "memory", format!("{memory:.1} GB/s"))?;
        if let Some(bytes) = self.peak_memory_bytes {
            line(f, "peak memory", format!("{} MiB", bytes >> 20))?;
        }
        writeln!(
            f,
            "\n{:<47}{:<10}{:<36}{:>7}{:>9}",
            "network", "pass", "time", "GFLOP/s", "matmul"
        )?;
        for network in &self.networks {
            let [nominal, executed] =
                [network.nominal_macs, network.executed_macs].map(|macs| macs as f64 / 1e9);
            let millions = network.parameters as f64 / 1e6;
            let sizes = format!("  {millions:.2} M, {nominal:.2} GMAC, {executed:.2} executed");
            for (what, pass, speed) in [
                (network.name.as_str(), "forward", network.forward),
                (sizes.as_str(), "and back", network.forward_backward),
            ] {
                writeln!(
                    f,
                    "{what:<47}{pass:<10}{:<36}{:>7.1}{:>7.1} %",
                    speed.timing.to_string(),
                    speed.gflop_per_second,
                    100.0 * speed.matmul_share
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use dp_sims_backends::FlexAutodiff;
    use dp_sims_model::backbones::BackboneKind;

    use super::*;
    use crate::testing::{some_machine, tiny};

    #[test]
    fn networks_are_timed_one_by_one() {
        let sizes = ProbeSizes {
            matmul: 8,
            channels: 2,
            side: 4,
            elements: 100,
        };
        let settings = Settings {
            repeats: 1,
            ..tiny()
        };
        let subjects = [
            TimedNetwork::DpSimsGenerator,
            TimedNetwork::OasisGenerator,
            TimedNetwork::DpSimsDiscriminator,
            TimedNetwork::Backbone(BackboneKind::ConvnextPicoScenes),
        ];
        let device = Default::default();
        let report =
            networks::<FlexAutodiff>(&settings, &subjects, some_machine(), sizes, &device).unwrap();
        assert_eq!(report.networks.len(), subjects.len());
        for (subject, network) in subjects.iter().zip(&report.networks) {
            let (macs, parameters) = subject.cost(&settings);
            assert_eq!(network.name, subject.name());
            assert_eq!(
                (network.executed_macs, network.parameters),
                (macs.executed, parameters)
            );
            assert!(network.nominal_macs >= network.executed_macs, "{subject}");
            let (one, both) = (network.forward, network.forward_backward);
            for (pass, times) in [(one, 1), (both, subject.passes())] {
                let work = 2e-9 * (times * macs.executed) as f64;
                let speed = work / pass.timing.median_seconds;
                assert!(
                    (pass.gflop_per_second / speed - 1.0).abs() < 1e-9,
                    "{subject}"
                );
            }
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["bench"], "networks");
        assert!(
            json["networks"][0]["forward"]["median_seconds"]
                .as_f64()
                .unwrap()
                > 0.0
        );
        let again: NetworksReport = serde_json::from_value(json).unwrap();
        assert_eq!(again.networks.len(), report.networks.len());
        let text = report.to_string();
        assert!(text.contains("\nconvnext_pico_scenes     "), "{text}");
        assert!(text.contains(" executed"), "{text}");
    }
}
