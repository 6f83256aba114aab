use std::path::PathBuf;

use clap::Args;

use super::{Failure, failed, mistake};
use crate::evaluate::{Comparison, Results};

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Files of `dp-sims evaluate`, or the folders they are in.
    #[arg(value_name = "RESULTS.json | DIR", num_args = 2.., required = true)]
    results: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Puts results side by side.
pub fn run(args: CompareArgs) -> Result<(), Failure> {
    let results = args
        .results
        .iter()
        .map(|path| Ok((path.display().to_string(), Results::read(path)?)))
        .collect::<anyhow::Result<Vec<_>>>()
        .map_err(mistake)?;
    let comparison = Comparison::new(&results).map_err(mistake)?;
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&comparison).map_err(failed)?
        );
    } else {
        print!("{}", comparison.table());
    }
    Ok(())
}
