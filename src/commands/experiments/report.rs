use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::commands::User;
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
pub fn run(args: ReportArgs) -> Result<()> {
    let report = Report::read(&args.folder).user()?;
    report.write(&args.folder)?;
    if args.json {
        let text = serde_json::to_string_pretty(&report)?;
        println!("{text}");
    } else {
        print!("{}", report.text());
        println!("report in {}", args.folder.join("report.html").display());
    }
    Ok(())
}
