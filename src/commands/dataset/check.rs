//! `dataset check`: all faults of a dataset at once, and a report to look at.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use dp_sims_dataset_tools::check::{Depth, SplitSurvey, Summary, page, survey};
use dp_sims_datasets::Split;
use serde::Serialize;

use super::SourceArgs;
use crate::commands::User;
use crate::data::{built_in, checks_folder, refuse_among_inputs};
use crate::runtime::files::write_whole;
use crate::runtime::progress::progress_bar;

mod text;

/// Arguments of `dataset check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Split to check: train, validation or test; may be repeated [default: every described split].
    #[arg(long, value_name = "SPLIT")]
    split: Vec<Split>,
    /// File of the report with charts and pictures; replaced if it is there.
    #[arg(long, value_name = "FILE.html", default_value = "dataset-report.html")]
    out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Read only the headers of photos, as `train` does before it starts.
    #[arg(long)]
    headers: bool,
    /// Number of threads [default: one per processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    dataset: &'a str,
    root: &'a Path,
    report: &'a Path,
    clean: bool,
    splits: Vec<SplitJson<'a>>,
}

#[derive(Serialize)]
struct SplitJson<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    /// Whether `train` will take the result instead of reading the label maps again.
    remembered: bool,
}

/// Checks splits of a dataset.
pub(super) fn run(args: CheckArgs) -> Result<()> {
    let (description, root) = args.source.open().user()?;
    refuse_among_inputs(&args.out, &description, Some(&root), false).user()?;
    let mut splits = args.split.clone();
    splits.sort_unstable();
    splits.dedup();
    if splits.is_empty() {
        let described = |split: &Split| description.files(*split).is_some();
        splits = Split::all().filter(described).collect();
    }
    let known = built_in()?;
    let depth = match args.headers {
        true => Depth::Headers,
        false => Depth::Pixels,
    };
    let threads = args.workers.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool
        .context("cannot start so many threads: use fewer --workers")
        .user()?;

    let mut surveys: Vec<(SplitSurvey, bool)> = Vec::new();
    for split in splits {
        let bar = progress_bar(split.name(), 0);
        let progress = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let look = || survey(&description, &root, split, &known, depth, &progress);
        let found = pool.install(look).user()?;
        bar.finish_and_clear();
        // Without the cache `train` only takes longer.
        let remembered = found.remember(&checks_folder()).unwrap_or_else(|error| {
            tracing::warn!("{error}: `train` will read the label maps again");
            false
        });
        surveys.push((found, remembered));
    }
    let (surveys, remembered): (Vec<SplitSurvey>, Vec<bool>) = surveys.into_iter().unzip();
    let page = page(&description.name, &root, &surveys);
    write_whole(&args.out, page.as_bytes())
        .with_context(|| {
            let out = args.out.display();
            format!("cannot write the report {out}: give another --out")
        })
        .user()?;

    let faults: u64 = surveys.iter().map(|survey| survey.faults.count).sum();
    if args.json {
        let splits = surveys.iter().zip(remembered);
        let json = Json {
            dataset: &description.name,
            root: &root,
            report: &args.out,
            clean: faults == 0,
            splits: splits
                .map(|(survey, remembered)| SplitJson {
                    summary: survey.summary(),
                    remembered,
                })
                .collect(),
        };
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        println!("{} in {}", description.name, root.display());
        for (survey, remembered) in surveys.iter().zip(remembered) {
            print!("\n{}", text::split(survey, remembered));
        }
        println!("\nreport: {}", args.out.display());
    }
    match faults {
        0 => Ok(()),
        1 => Err(anyhow!("the dataset has 1 fault")).user(),
        _ => Err(anyhow!("the dataset has {faults} faults")).user(),
    }
}
