mod plan;
mod report;
mod run;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use dp_sims_backends::available;
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use super::{BackendArgs, User, steps};
use crate::config::{Origins, load, schema};
use crate::experiments::{Catalogue, Overrides, Program, Roots};

/// Arguments of `experiments`.
#[derive(Debug, Args)]
pub struct ExperimentsArgs {
    #[command(subcommand)]
    command: ExperimentsCommand,
}

#[derive(Debug, Subcommand)]
enum ExperimentsCommand {
    /// List the built-in experiments and studies: what they show, their row in the paper, their cost.
    List(ListArgs),
    /// Print an experiment with all its values, and where each comes from.
    Show(ShowArgs),
    /// Print the JSON schema of experiment files, by which editors complete and check them.
    Schema,
    /// Tell how long rows would take on this machine, by training a few steps of each. What a run would
    /// take on other machines is computed by `dp-sims plan`.
    Plan(plan::PlanArgs),
    /// Train and evaluate rows with several seeds; the same call goes on where it was interrupted.
    Run(run::RunArgs),
    /// Set the rows of a study side by side with the paper's.
    Report(report::ReportArgs),
}

/// Arguments of `experiments list`.
#[derive(Debug, Args)]
struct ListArgs {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Arguments of `experiments show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// Built-in experiment or path of an experiment file.
    #[arg(value_name = "NAME | FILE.toml")]
    experiment: String,
    /// Change a setting, such as `--set run.batch=8`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// What `plan` and `run` do with every row.
#[derive(Debug, Args)]
struct RowArgs {
    /// Studies or experiments: built-in names (see `experiments list`) or paths of files. An experiment
    /// is a study of one row.
    #[arg(value_name = "NAME | FILE.toml", required = true)]
    studies: Vec<String>,
    /// Root folder of the dataset, or NAME=DIR for one built-in dataset of several; may be repeated.
    #[arg(long, value_name = "DIR | NAME=DIR")]
    data: Vec<String>,
    /// Folder of pre-trained weight files [default: dp-sims/weights in the user's cache].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// Total number of steps of every row.
    #[arg(long, value_name = "N", value_parser = steps())]
    steps: Option<u64>,
    /// Change a setting of every row, such as `--set run.batch=8`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    backend: BackendArgs,
}

impl RowArgs {
    fn overrides(&self) -> anyhow::Result<Overrides> {
        Ok(Overrides {
            settings: self.set.clone(),
            steps: self.steps,
            roots: Roots::parse(&self.data)?,
        })
    }

    /// This program with the backend that was asked for and a share of the threads, and where it runs.
    fn program(&self, at_once: usize) -> Result<(Program, String)> {
        let selected = self.backend.select().user()?;
        let path =
            std::env::current_exe().context("the system does not tell where this program is")?;
        let threads = (rayon::current_num_threads() / at_once.max(1)).max(1);
        let device = available()
            .into_iter()
            .find(|info| info.backend == selected.kind && info.index == selected.device)
            .map_or_else(String::new, |info| match info.name.as_str() {
                "processor" => processor(),
                name => name.to_string(),
            });
        let plural = if threads == 1 { "" } else { "s" };
        let machine = format!(
            "{} {} ({device}), {threads} thread{plural}",
            selected.kind, selected.device
        );
        let program = Program {
            path,
            selected,
            threads,
            weights: self.weights.clone(),
        };
        Ok((program, machine))
    }
}

/// What the processor calls itself.
fn processor() -> String {
    let cpu = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(cpu);
    let brand = system.cpus().first().map(|cpu| cpu.brand().trim());
    brand
        .filter(|brand| !brand.is_empty())
        .unwrap_or("processor")
        .to_string()
}

/// Runs a command on experiments.
pub fn run(args: ExperimentsArgs) -> Result<()> {
    match args.command {
        ExperimentsCommand::List(args) => list(&args),
        ExperimentsCommand::Show(args) => show(&args),
        ExperimentsCommand::Schema => {
            println!("{:#}", schema());
            Ok(())
        }
        ExperimentsCommand::Plan(args) => plan::run(args),
        ExperimentsCommand::Run(args) => run::run(args),
        ExperimentsCommand::Report(args) => report::run(args),
    }
}

fn list(args: &ListArgs) -> Result<()> {
    let catalogue = Catalogue::read()?;
    if args.json {
        let text = serde_json::to_string_pretty(&catalogue)?;
        println!("{text}");
    } else {
        print!("{catalogue}");
    }
    Ok(())
}

fn show(args: &ShowArgs) -> Result<()> {
    let experiment = load(&args.experiment, &args.set).user()?;
    experiment.validate().user()?;
    let origins = Origins::of(&args.experiment, &args.set).user()?;
    print!("{}", origins.annotated(&experiment)?);
    Ok(())
}
