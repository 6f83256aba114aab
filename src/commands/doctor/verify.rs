use anyhow::anyhow;

use super::DoctorArgs;
use crate::commands::device::guarded;
use crate::commands::{Failure, failed, mistake};
use crate::config;
use crate::runtime::progress::progress_bar;
use crate::verify::{REMEDY, StepCase, Suite, Verification, cases, verify};

/// Compares a device with the processor and prints a table.
pub(super) fn run(args: DoctorArgs) -> Result<(), Failure> {
    let experiment = args.experiment.as_deref().unwrap_or("quickstart");
    let experiment = config::load(experiment, &args.set).map_err(mistake)?;
    experiment.validate().map_err(mistake)?;
    let step = StepCase::new(experiment).map_err(mistake)?;
    let device = args.backend.select().map_err(mistake)?;
    // To know whether the step has kernels that none of the operations has.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    dp_sims_backends::gpu::traffic::watch().map_err(failed)?;
    let (suite, step) = (Suite::Whole, Some(&step));
    let bar = progress_bar("comparing", cases(suite, step) as u64);
    let outcome = guarded(|| verify(device, suite, step, |done| bar.set_position(done as u64)));
    bar.finish_and_clear();
    let verification = outcome.map_err(|problem| {
        failed(anyhow!(
            "{} {} ended in the middle of the comparison: {problem}. {REMEDY}",
            device.kind,
            device.device
        ))
    })?;
    if args.json {
        let text = serde_json::to_string_pretty(&verification).map_err(failed)?;
        println!("{text}");
    } else {
        print!("{verification}");
    }
    judge(&verification)
}

fn judge(verification: &Verification) -> Result<(), Failure> {
    if verification.is_equal() {
        return Ok(());
    }
    Err(failed(anyhow!(
        "{} {} does not compute what the processor computes: {}. {REMEDY}",
        verification.backend,
        verification.device,
        verification.wrong().join(", ")
    )))
}
