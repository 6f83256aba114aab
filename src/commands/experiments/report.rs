use std::path::PathBuf;

use clap::Args;

use crate::commands::{Failure, failed, mistake};
use crate::experiments::Report;

/// Arguments of `experiments report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folder of a study, as `experiments run` writes it.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Writes the report of a study into its folder.
pub fn run(args: ReportArgs) -> Result<(), Failure> {
    let report = Report::read(&args.folder).map_err(mistake)?;
    report.write(&args.folder).map_err(failed)?;
    if args.json {
        let text = serde_json::to_string_pretty(&report).map_err(failed)?;
        println!("{text}");
    } else {
        print!("{}", report.text());
        println!("report in {}", args.folder.join("report.html").display());
    }
    Ok(())
}
