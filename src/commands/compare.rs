mod methods;
mod panel;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use self::panel::PanelArgs;
use super::device::run_on;
use super::{BackendArgs, User};
use crate::evaluate::{Comparison, Results};

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Files of `dp-sims evaluate`, or the folders they are in. With --panel also run folders,
    /// checkpoints, model files, and folders of images that have the names of their label maps.
    #[arg(value_name = "RESULTS.json | DIR", num_args = 1.., required = true)]
    results: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long, conflicts_with = "panel")]
    json: bool,
    #[command(flatten)]
    panel: PanelArgs,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Puts results side by side, or images.
pub fn run(args: CompareArgs) -> Result<()> {
    if args.panel.is_wanted() {
        let selected = args.backend.select().user()?;
        let job = panel::Job::open(args.panel, &args.results).user()?;
        return run_on(selected, job, "lower --noises");
    }
    let read = || {
        ensure!(
            args.results.len() > 1,
            "give at least two results to compare, or --panel for a picture"
        );
        args.results
            .iter()
            .map(|path| Ok((path.display().to_string(), Results::read(path)?)))
            .collect::<anyhow::Result<Vec<_>>>()
    };
    let results = read().user()?;
    let comparison = Comparison::new(&results).user()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        print!("{}", comparison.table());
    }
    Ok(())
}
