use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::RowArgs;
use crate::commands::User;
use crate::config::Metric;
use crate::experiments::{Job, Judging, Outcome, Overrides, Queue, Study, runs};
use crate::runtime::files::write_whole;
use crate::runtime::lock::FolderLock;
use crate::train::Stop;

/// Arguments of `experiments run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    rows: RowArgs,
    /// Folder of the runs, DIR/ROW/seed-S; of several studies DIR/NAME/ROW/seed-S
    /// [default: runs/experiments/NAME].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seeds of every row [default: those of the study].
    #[arg(long, value_name = "S,...", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Runs at once, which share the threads.
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// What to measure, as `evaluate` takes it [default: that of the study, or all that the protocol
    /// defines].
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    metrics: Vec<Metric>,
    /// Protocol of the evaluation [default: that of the study, or of the dataset].
    #[arg(long, value_name = "NAME | FILE.toml")]
    protocol: Option<String>,
    /// Judge the first N label maps only [default: that of the study].
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Segmentation network of `dp-sims train-segmenter`; measures mIoU and accuracy as well.
    #[arg(long, value_name = "DIR")]
    segmenter: Option<PathBuf>,
}

/// A study with its folder, which nobody else works in.
struct Place {
    study: Study,
    folder: PathBuf,
    _lock: FolderLock,
}

/// Works a queue of runs off.
pub fn run(args: RunArgs) -> Result<()> {
    let overrides = args.rows.overrides().user()?;
    let (program, machine) = args.rows.program(args.jobs)?;
    let places = args.places(&overrides).user()?;
    let mut jobs = Vec::new();
    for place in &places {
        jobs.extend(args.jobs_of(place, &overrides).user()?);
    }
    for place in &places {
        place.write_study()?;
    }
    let stop = Stop::listen()?;
    let queue = Queue {
        jobs,
        program,
        at_once: args.jobs,
        machine,
    };
    let outcome = queue.run(&stop)?;
    settle(&outcome, &places)
}

/// Says how it ended.
fn settle(outcome: &Outcome, places: &[Place]) -> Result<()> {
    let Outcome {
        skipped, finished, ..
    } = outcome;
    println!("{} finished, {skipped} done before", runs(*finished));
    for place in places {
        let folder = place.folder.display();
        println!("dp-sims experiments report {folder}");
    }
    if outcome.interrupted {
        bail!("interrupted: the same command goes on");
    }
    if outcome.failed.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = outcome
        .failed
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    bail!(
        "{} failed: {}; their folders have the reasons in run.json, and the same command tries \
         them again",
        runs(names.len()),
        names.join(", ")
    )
}

impl RunArgs {
    /// The studies with what the command line changes, and their folders.
    fn places(&self, overrides: &Overrides) -> Result<Vec<Place>> {
        ensure!((1..=64).contains(&self.jobs), "--jobs must be from 1 to 64");
        ensure!(self.limit != Some(0), "--limit must be at least 1");
        let mut places: Vec<Place> = Vec::new();
        for name in &self.rows.studies {
            let mut study = Study::load(name)?;
            if !self.seeds.is_empty() {
                study.seeds.clone_from(&self.seeds);
                study.check_seeds().context("--seeds")?;
            }
            if !self.metrics.is_empty() {
                study.metrics = self.metrics.iter().map(Metric::to_string).collect();
            }
            if self.protocol.is_some() {
                study.protocol.clone_from(&self.protocol);
            }
            study.limit = self.limit.or(study.limit);
            study.fix(overrides);
            let folder = match &self.out {
                None => Path::new("runs/experiments").join(&study.name),
                Some(out) if self.rows.studies.len() == 1 => out.clone(),
                Some(out) => out.join(&study.name),
            };
            ensure!(
                places.iter().all(|place| place.folder != folder),
                "`{name}` is named twice"
            );
            let lock = FolderLock::take(&folder, "dp-sims experiments run")?;
            places.push(Place {
                study,
                folder,
                _lock: lock,
            });
        }
        Ok(places)
    }

    /// Every row with every seed, all rows with the first seed first.
    fn jobs_of(&self, place: &Place, overrides: &Overrides) -> Result<Vec<Job>> {
        let Place { study, folder, .. } = place;
        let mut metrics = study.metrics.clone();
        if self.segmenter.is_some() && !metrics.is_empty() {
            for metric in [Metric::Miou, Metric::Accuracy].map(|metric| metric.to_string()) {
                if !metrics.contains(&metric) {
                    metrics.push(metric);
                }
            }
        }
        let judging = Judging {
            protocol: study.protocol.clone(),
            metrics,
            limit: study.limit,
            segmenter: self.segmenter.clone(),
        };
        let rows = study.resolve(overrides)?;
        let mut jobs = Vec::new();
        for &seed in &study.seeds {
            for row in &rows {
                let mut experiment = row.experiment.clone();
                experiment.run.seed = seed;
                let job = Job {
                    row: row.name.clone(),
                    seed,
                    seconds: row.seconds,
                    folder: folder.join(&row.name).join(format!("seed-{seed}")),
                    experiment,
                    judging: judging.clone(),
                };
                // Before anything is begun: what does not fit is a mistake of this call.
                job.state()?;
                jobs.push(job);
            }
        }
        Ok(jobs)
    }
}

impl Place {
    /// Writes down what is run, for the report.
    fn write_study(&self) -> Result<()> {
        let text = toml::to_string(&self.study)?;
        write_whole(&self.folder.join("study.toml"), text.as_bytes())
    }
}
