use anyhow::{Result, anyhow};
use clap::Args;

use super::RowArgs;
use crate::commands::{User, count};
use crate::experiments::{Study, plan};
use crate::train::Stop;

/// Arguments of `experiments plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    rows: RowArgs,
    /// Steps that are trained of every row; the first three do not count.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = count(1_000_000))]
    steps_timed: usize,
    /// Number of seeds of every row [default: those of the study].
    #[arg(long, value_name = "N", value_parser = count(1000))]
    seeds: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Times rows.
pub fn run(args: PlanArgs) -> Result<()> {
    if !(1..=1000).contains(&args.steps_timed) {
        return Err(anyhow!("--steps-timed must be from 1 to 1000")).user();
    }
    let overrides = args.rows.overrides().user()?;
    let mut rows = Vec::new();
    for name in &args.rows.studies {
        let study = Study::load(name).user()?;
        let seeds = args.seeds.unwrap_or(study.seeds.len());
        for row in study.resolve(&overrides).user()? {
            rows.push((study.name.clone(), seeds, row));
        }
    }
    let (program, machine) = args.rows.program(1)?;
    let stop = Stop::listen()?;
    let told = |row: &str| tracing::info!("timing {row}");
    let report = plan(&rows, args.steps_timed, &program, machine, &stop, &told)?;
    if args.json {
        let text = serde_json::to_string_pretty(&report)?;
        println!("{text}");
    } else {
        print!("{report}");
    }
    Ok(())
}
