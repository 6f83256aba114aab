use std::fmt;

use anyhow::Result;
use dp_sims_model::cost::Convention;
use serde::Serialize;

use super::{Hardware, Share, Traffic};
use crate::bench::line;
use crate::config::Experiment;
use crate::runtime::columns::write_columns;
use crate::runtime::units::{duration, memory};
use crate::train::{Estimate, StepWork};

/// Floating-point operations of a multiply-add.
const FLOP: f64 = 2.0;

/// Most images of a pass that are looked for.
const MOST: usize = 4096;

/// What a run would take on some hardware. Bytes are those of one device, operations those of all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HardwarePlan {
    /// Name of the experiment.
    pub experiment: String,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
    /// Classes, void included.
    pub classes: usize,
    /// Steps.
    pub steps: u64,
    /// Images of a step on all devices.
    pub batch_total: usize,
    /// Images of all steps.
    pub images: u64,
    /// Photos of the training split, where its folder was named.
    pub photos: Option<usize>,
    /// The devices.
    pub hardware: Hardware,
    /// What each does of a step.
    pub share: Share,
    /// Operations of a step by network.
    pub work: Vec<WorkRow>,
    /// Operations of a step.
    pub step_flop: f64,
    /// Operations of all steps.
    pub total_flop: f64,
    /// What devices add up in a step.
    pub traffic: Traffic,
    /// Bytes that each sends in a step.
    pub sent_bytes: u64,
    /// Seconds of a step for its operations.
    pub compute_seconds: f64,
    /// Seconds of a step for its traffic, where the bandwidth is known; none of it beside the operations.
    pub traffic_seconds: Option<f64>,
    /// Hours of all steps.
    pub hours: f64,
    /// Hours of all devices together.
    pub gpu_hours: f64,
    /// Price of those, where that of one is known.
    pub cost: Option<f64>,
    /// Memory of one device.
    pub memory: Estimate,
    /// Bytes of that in all.
    pub memory_bytes: u64,
    /// Whether it has as much.
    pub fits: bool,
    /// Images of a pass that a device has room for, at most 4096.
    pub largest_batch: usize,
}

/// Operations of a step that a network takes, in floating-point operations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkRow {
    /// `G step` or `D step`.
    pub step: &'static str,
    /// The network.
    pub network: &'static str,
    /// In forward passes.
    pub forward_flop: f64,
    /// In backward passes.
    pub backward_flop: f64,
}

impl HardwarePlan {
    /// Of an experiment for so many classes, void included, and photos, where those are known.
    ///
    /// # Errors
    /// When the devices cannot share the images of a step equally.
    pub fn new(
        experiment: &Experiment,
        classes: usize,
        photos: Option<usize>,
        hardware: Hardware,
    ) -> Result<Self> {
        let run = &experiment.run;
        let share = Share::of(run, hardware.gpus)?;
        let batch_total = run.batch * run.accumulation;
        let gpus = hardware.gpus as f64;
        let flop = |macs: u64| FLOP * macs as f64 * batch_total as f64;
        let work = StepWork::of(experiment, classes, Convention::Executed);
        let step_flop = flop(work.macs());
        let traffic = Traffic::of(experiment, classes, &share, hardware.gpus);
        let sent_bytes = traffic.sent(hardware.gpus);
        let compute_seconds = step_flop / (gpus * 1e12 * hardware.tflops);
        let traffic_seconds = hardware
            .bandwidth
            .map(|gigabytes| sent_bytes as f64 / (1e9 * gigabytes));
        let step_seconds = compute_seconds + traffic_seconds.unwrap_or(0.0);
        let hours = run.steps as f64 * step_seconds / 3600.0;
        let memory = Estimate::of(&share.experiment(experiment), classes);
        let room = hardware.memory_gib * (1u64 << 30) as f64;
        Ok(Self {
            experiment: experiment.name.clone(),
            height: experiment.data.height,
            width: experiment.data.width,
            classes,
            steps: run.steps,
            batch_total,
            images: run.steps * batch_total as u64,
            photos,
            hardware,
            share,
            work: work
                .networks
                .iter()
                .map(|row| WorkRow {
                    step: row.step,
                    network: row.network,
                    forward_flop: flop(row.forward),
                    backward_flop: flop(row.backward),
                })
                .collect(),
            step_flop,
            total_flop: run.steps as f64 * step_flop,
            traffic,
            sent_bytes,
            compute_seconds,
            traffic_seconds,
            hours,
            gpu_hours: gpus * hours,
            cost: hardware.price.map(|price| price * gpus * hours),
            memory_bytes: memory.device() as u64,
            fits: memory.device() <= room,
            memory,
            largest_batch: largest_batch(experiment, classes, room),
        })
    }
}

/// The most images of one pass whose memory is within `room` bytes.
fn largest_batch(experiment: &Experiment, classes: usize, room: f64) -> usize {
    let mut own = experiment.clone();
    own.run.accumulation = 1;
    let mut fits = |batch: usize| {
        own.run.batch = batch;
        Estimate::of(&own, classes).device() <= room
    };
    let (mut fit, mut not) = (0, MOST + 1);
    while not - fit > 1 {
        let middle = usize::midpoint(fit, not);
        if fits(middle) {
            fit = middle;
        } else {
            not = middle;
        }
    }
    fit
}

impl fmt::Display for HardwarePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hardware, share, ..
        } = self;
        line(f, "experiment", &self.experiment)?;
        let (height, width) = (self.height, self.width);
        line(
            f,
            "images",
            format!("[{}, 3, {height}, {width}] a step", self.batch_total),
        )?;
        line(f, "classes", format!("{} with void", self.classes))?;
        let mut steps = format!("{}, {:.4} M images", self.steps, self.images as f64 / 1e6);
        if let Some(photos) = self.photos {
            let epochs = self.images as f64 / photos.max(1) as f64;
            steps += &format!(", {epochs:.1} epochs of {photos} photos");
        }
        line(f, "steps", steps)?;
        let gpus = hardware.gpus;
        let (images, passes, batch) = (share.images, share.passes, share.batch);
        let shares =
            format!("{gpus}, each with {images} images a step, in passes of {batch}: {passes}");
        line(f, "devices", shares)?;
        let step = self.step_flop / 1e12;
        line(
            f,
            "operations",
            format!(
                "{step:.3} TFLOP a step, {:.4} EFLOP in all",
                self.total_flop / 1e18
            ),
        )?;
        let seconds = self.compute_seconds + self.traffic_seconds.unwrap_or(0.0);
        let sustained = hardware.tflops;
        line(
            f,
            "step",
            format!("{seconds:.3} s at {sustained} TFLOP/s sustained by each device"),
        )?;
        let time = format!(
            "{}, {:.1} device hours",
            duration(3600.0 * self.hours),
            self.gpu_hours
        );
        line(f, "time", time)?;
        if let (Some(price), Some(cost)) = (hardware.price, self.cost) {
            line(
                f,
                "money",
                format!("{cost:.0} at {price} per device and hour"),
            )?;
        }
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let Traffic {
            gradient_bytes,
            statistics_bytes,
        } = self.traffic;
        let parts = format!(
            "{} of gradients, {} of statistics",
            megabytes(gradient_bytes),
            megabytes(statistics_bytes)
        );
        line(f, "added up", format!("{parts} a step"))?;
        if gpus > 1 {
            let sent = format!("{} by each device a step", megabytes(self.sent_bytes));
            line(
                f,
                "sent",
                match (hardware.bandwidth, self.traffic_seconds) {
                    (Some(bandwidth), Some(seconds)) => {
                        format!(
                            "{sent}: {:.1} ms at {bandwidth} GB/s in a ring",
                            1e3 * seconds
                        )
                    }
                    _ => format!("{sent}; --bandwidth tells its time"),
                },
            )?;
        }
        let given = hardware.memory_gib;
        let verdict = if self.fits { "fits" } else { "does not fit" };
        let needed = memory(self.memory_bytes);
        line(
            f,
            "memory",
            format!("about {needed} of {given} GiB on each device: {verdict}"),
        )?;
        let most = match self.largest_batch {
            0 => "not even one image".to_string(),
            MOST => format!("{MOST} images or more"),
            1 => "1 image".to_string(),
            most => format!("{most} images"),
        };
        line(f, "room for", format!("{most} a pass"))?;
        self.write_work(f)?;
        self.write_memory(f)
    }
}

impl HardwarePlan {
    fn write_work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tera = |flop: f64| format!("{:.3}", flop / 1e12);
        let heading = ["TFLOP of a step", "forward", "backward", "share"].map(String::from);
        let rows = self.work.iter().map(|row| {
            let both = row.forward_flop + row.backward_flop;
            let name = format!("{}: {}", row.step, row.network);
            let share = format!("{:.1} %", 100.0 * both / self.step_flop);
            [name, tera(row.forward_flop), tera(row.backward_flop), share]
        });
        let rows: Vec<_> = [heading].into_iter().chain(rows).collect();
        writeln!(f)?;
        write_columns(f, &rows)
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nmemory of a device, estimated at its peak in {}",
            self.memory.peak
        )?;
        let rows = self.memory.rows();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(what, bytes)| [what.to_string(), memory(bytes as u64)])
            .collect();
        write_columns(f, &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn plan(settings: &[&str], hardware: Hardware) -> HardwarePlan {
        let settings: Vec<_> = settings.iter().map(|text| text.to_string()).collect();
        let experiment = load("ade20k", &settings).unwrap();
        HardwarePlan::new(&experiment, 151, Some(20_210), hardware).unwrap()
    }

    const EIGHT: Hardware = Hardware {
        gpus: 8,
        memory_gib: 80.0,
        tflops: 60.0,
        price: Some(2.0),
        bandwidth: Some(100.0),
    };

    /// Notes L38: 200 TFLOP a step and 12.6 EFLOP in all, roughly and dense; 58 hours of a device with
    /// 60 TFLOP/s, which eight of them share.
    #[test]
    fn the_run_of_the_paper_takes_what_its_figures_say() {
        let plan = plan(&[], EIGHT);
        assert!(
            (130e12..220e12).contains(&plan.step_flop),
            "{} FLOP",
            plan.step_flop
        );
        assert_eq!(plan.images, 63_000 * 64);
        let seconds = plan.step_flop / (8.0 * 60e12);
        assert!((plan.compute_seconds / seconds - 1.0).abs() < 1e-12);
        let traffic = plan.traffic_seconds.unwrap();
        assert_eq!(traffic, plan.sent_bytes as f64 / 1e11);
        let hours = 63_000.0 * (seconds + traffic) / 3600.0;
        assert!((plan.hours / hours - 1.0).abs() < 1e-12);
        assert!((plan.cost.unwrap() / (16.0 * hours) - 1.0).abs() < 1e-12);
        let rows: f64 = plan
            .work
            .iter()
            .map(|row| row.forward_flop + row.backward_flop)
            .sum();
        assert!((rows / plan.step_flop - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_largest_batch_fits_and_the_next_does_not() {
        let most = plan(&[], EIGHT).largest_batch;
        let fits = |batch: usize| {
            let setting = format!("run.batch={batch}");
            let one = Hardware { gpus: 1, ..EIGHT };
            plan(&[&setting, "run.accumulation=1"], one).fits
        };
        assert!(most > 0 && fits(most) && !fits(most + 1), "{most}");
        let small = Hardware {
            memory_gib: 0.5,
            ..EIGHT
        };
        let text = plan(&[], small).to_string();
        assert!(
            text.contains("does not fit") && text.contains("not even one image"),
            "{text}"
        );
    }

    #[test]
    fn text_carries_the_figures() {
        let text = plan(&[], EIGHT).to_string();
        for part in [
            "[64, 3, 256, 256] a step",
            "63000, 4.0320 M images, 199.5 epochs of 20210 photos",
            "8, each with 8 images a step, in passes of 8: 1",
            "at 60 TFLOP/s sustained",
            "at 2 per device and hour",
            "at 100 GB/s in a ring",
            "G step: contrastive network",
            "weights and optimizers",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
