use anyhow::{Result, anyhow, bail};

use super::DoctorArgs;
use crate::commands::User;
use crate::commands::device::guarded;
use crate::config;
use crate::runtime::naming::closest;
use crate::runtime::progress::progress_bar;
use crate::verify::{REMEDY, StepCase, Suite, Verification, cases, operation_names, verify};

/// Compares a device with the processor and prints a table.
pub(super) fn run(args: DoctorArgs) -> Result<()> {
    let step = if args.only.is_empty() {
        let experiment = args.experiment.as_deref().unwrap_or("quickstart");
        let experiment = config::load(experiment, &args.set).user()?;
        experiment.validate().user()?;
        Some(StepCase::new(experiment).user()?)
    } else {
        None
    };
    let only = match args.only.as_slice() {
        [all] if all == "all" => Vec::new(),
        names => known(names)?.to_vec(),
    };
    let device = args.backend.select().user()?;
    // To know whether the step has kernels that none of the operations has.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    dp_sims_backends::gpu::traffic::watch()?;
    let suite = Suite {
        short: args.short,
        only,
    };
    let step = step.as_ref();
    let bar = progress_bar("comparing", cases(&suite, step) as u64);
    let outcome = guarded(|| verify(device, &suite, step, |done| bar.set_position(done as u64)));
    bar.finish_and_clear();
    let verification = outcome.map_err(|problem| {
        anyhow!(
            "{} {} ended in the middle of the comparison: {problem}. {REMEDY}",
            device.kind,
            device.device
        )
    })?;
    if args.json {
        let text = serde_json::to_string_pretty(&verification)?;
        println!("{text}");
    } else {
        print!("{verification}");
    }
    judge(&verification)
}

/// Refuses names that no operation has.
fn known(only: &[String]) -> Result<&[String]> {
    let names = operation_names()?;
    let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) else {
        return Ok(only);
    };
    let hint = match closest(unknown, names.iter().copied()) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("there are {}", names.join("; ")),
    };
    Err(anyhow!("no operation is called {unknown:?}: {hint}")).user()
}

fn judge(verification: &Verification) -> Result<()> {
    if verification.is_equal() {
        return Ok(());
    }
    bail!(
        "{} {} does not compute what the processor computes: {}. {REMEDY}",
        verification.backend,
        verification.device,
        verification.wrong().join(", ")
    )
}
