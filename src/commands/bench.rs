//! Timing the training step and the generator.

mod timed;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use dp_sims_backends::{DeviceInfo, Selected, available};
use serde::Serialize;

use super::{BackendArgs, User};
use crate::bench::{SIZES_HEADING, network_sizes};
use crate::runtime::memory::use_large_pages;

/// Arguments of `bench`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// Print parameters and multiply-adds of every network beside the published figures.
    #[arg(long)]
    count: bool,
    /// Print one JSON array.
    #[arg(long, requires = "count")]
    json: bool,
    #[command(subcommand)]
    command: Option<BenchCommand>,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Time a training step: the camvid-e8 experiment with random weights on procedural scenes.
    Step(timed::StepArgs),
    /// Time the generator alone, as it is used after training, with 151 classes.
    Generator(timed::GeneratorArgs),
}

/// Times what was asked for, or counts all networks, and prints what it found.
pub fn run(args: BenchArgs) -> Result<()> {
    if args.count {
        return count(args.json);
    }
    use_large_pages();
    match args.command {
        Some(BenchCommand::Step(args)) => timed::step(args),
        Some(BenchCommand::Generator(args)) => timed::generator(args),
        None => Err(anyhow!(
            "nothing to do: give `step`, `generator` or `--count`"
        ))
        .user(),
    }
}

fn count(json: bool) -> Result<()> {
    let sizes = network_sizes();
    if json {
        println!("{}", serde_json::to_string_pretty(&sizes)?);
        return Ok(());
    }
    println!("{SIZES_HEADING}");
    for size in sizes {
        println!("{size}");
    }
    Ok(())
}

/// The chosen backend with its device, which is named on standard error.
///
/// # Errors
/// When it cannot be used.
pub fn device(args: &BackendArgs) -> Result<(Selected, DeviceInfo)> {
    let selected = args.select().user()?;
    let info = available()
        .into_iter()
        .find(|info| info.backend == selected.kind && info.index == selected.device)
        .with_context(|| format!("{} device {} has gone", selected.kind, selected.device))?;
    tracing::info!("timing on {} {} ({})", info.backend, info.index, info.name);
    Ok((selected, info))
}

/// Prints a report as text or as JSON.
///
/// # Errors
/// When it cannot be JSON.
pub fn print<R: Serialize + std::fmt::Display>(report: &R, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
