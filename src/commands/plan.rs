//! What a run would take on other machines.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use super::bench::print;
use super::{User, count, steps};
use crate::config::load;
use crate::data::{self, training_photos};
use crate::plan::{Hardware, HardwarePlan};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Built-in experiment or path of an experiment file. (`experiments plan` takes studies, and times their
    /// rows on this machine.)
    #[arg(value_name = "EXPERIMENT.toml | NAME")]
    experiment: String,
    /// Root folder of the dataset, for its classes and the number of its photos.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Total number of steps.
    #[arg(long, value_name = "N", value_parser = steps())]
    steps: Option<u64>,
    /// Change a setting of the experiment, such as `--set run.batch=8`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Devices that share the images of a step.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = count(65_536))]
    gpus: usize,
    /// Memory of a device in GiB.
    #[arg(long, default_value_t = 80.0, value_name = "GIB")]
    memory: f64,
    /// Operations per second that a device sustains in training, in 10^12: a fraction of the peak that its
    /// data sheet names.
    #[arg(long, default_value_t = 60.0, value_name = "TFLOPS")]
    tflops: f64,
    /// Price of a device for an hour.
    #[arg(long, value_name = "PRICE")]
    price: Option<f64>,
    /// Bandwidth between two devices in GB/s, for the time of adding up gradients in a ring.
    #[arg(long, value_name = "GBYTE_PER_S")]
    bandwidth: Option<f64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Computes what the run takes and prints it.
pub fn run(args: PlanArgs) -> Result<()> {
    let hardware = hardware(&args).user()?;
    let mut experiment = load(&args.experiment, &args.set).user()?;
    if let Some(steps) = args.steps {
        experiment.run.steps = steps;
    }
    if let Some(folder) = &args.data {
        data::place(&mut experiment.data, folder).user()?;
    }
    experiment.validate().user()?;
    let classes = data::classes(&experiment.data).user()?;
    let photos = training_photos(&experiment.data).user()?;
    let plan = HardwarePlan::new(&experiment, classes, photos, hardware).user()?;
    print(&plan, args.json)
}

/// The devices, with every number checked.
fn hardware(args: &PlanArgs) -> Result<Hardware> {
    for (flag, value) in [
        ("--memory", Some(args.memory)),
        ("--tflops", Some(args.tflops)),
        ("--price", args.price),
        ("--bandwidth", args.bandwidth),
    ] {
        let Some(value) = value else { continue };
        let is_free = flag == "--price" && value == 0.0;
        ensure!(
            value.is_finite() && (value > 0.0 || is_free),
            "{flag} {value}: give a number above 0"
        );
    }
    Ok(Hardware {
        gpus: args.gpus,
        memory_gib: args.memory,
        tflops: args.tflops,
        price: args.price,
        bandwidth: args.bandwidth,
    })
}
