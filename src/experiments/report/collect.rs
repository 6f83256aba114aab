use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dp_sims_model::naming::same_name;

use super::super::children::logged;
use super::super::folder::{EVALUATION, Record};
use super::super::interval::Interval;
use super::super::job::experiment_of;
use super::super::study::{Overrides, Study};
use super::{Report, ReportRow, ReportRun, Summary};
use crate::evaluate::{Comparison, Results, paper};

/// Reads all runs of a study.
pub(super) fn collect(study: &Study, folder: &Path) -> Result<Report> {
    let mut rows = Vec::new();
    let mut all: Vec<(String, Results)> = Vec::new();
    for row in study.resolve(&Overrides::default())? {
        let mut runs = Vec::new();
        for (seed, run_folder) in seeds(&folder.join(&row.name))? {
            let (run, results) = run(seed, &run_folder)?;
            runs.push(run);
            all.extend(results.map(|results| (format!("{} seed {seed}", row.name), results)));
        }
        let data = &row.experiment.data;
        rows.push(ReportRow {
            dataset: data.dataset.clone(),
            size: [data.height, data.width],
            name: row.name,
            title: row.title,
            paper: row.paper,
            runs,
            values: BTreeMap::new(),
        });
    }
    let values = ordered(&rows, &study.metrics);
    let mismatch = mismatch(&all);
    summarise(&mut rows, &values, mismatch.is_some());
    let printed = paper::figures()?
        .into_iter()
        .filter(|figure| study.table.is_some() && figure.table == study.table)
        .collect();
    Ok(Report {
        name: study.name.clone(),
        title: study.title.clone(),
        table: study.table,
        values,
        rows,
        mismatch,
        printed,
    })
}

/// Run folders of a row by seed.
fn seeds(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let mut seeds = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        let name = path.file_name().and_then(|name| name.to_str());
        let seed = name.and_then(|name| name.strip_prefix("seed-")?.parse().ok());
        seeds.extend(seed.map(|seed| (seed, path)));
    }
    seeds.sort();
    Ok(seeds)
}

fn run(seed: u64, folder: &Path) -> Result<(ReportRun, Option<Results>)> {
    let record = Record::read(folder)?.unwrap_or_default();
    let mut run = ReportRun {
        seed,
        training_seconds: Some(record.training_seconds).filter(|seconds| *seconds > 0.0),
        machine: Some(record.machine).filter(|machine| !machine.is_empty()),
        ..ReportRun::default()
    };
    let experiment = experiment_of(folder)?;
    let path = folder.join(EVALUATION).join("results.json");
    if !path.exists() {
        run.step = logged(folder).last().map(|logged| logged.step);
        run.state = match (&record.failure, run.step) {
            (Some(failure), _) => format!("failed, {}", failure.reason()),
            (None, Some(step)) => format!("trained up to step {step}, not evaluated"),
            (None, None) => "not run".to_string(),
        };
        return Ok((run, None));
    }
    let results = Results::read(&path)?;
    run.state = "evaluated".to_string();
    run.step = results.subject.step;
    run.images_seen = experiment.zip(run.step).map(|(experiment, step)| {
        step * (experiment.run.batch * experiment.run.accumulation) as u64
    });
    run.protocol = Some(results.protocol.name.clone());
    run.complete = Some(results.complete);
    run.images = Some(results.data.images);
    run.values = results
        .values
        .iter()
        .map(|(name, value)| (name.clone(), value.value))
        .collect();
    if let Some(timing) = &results.timing {
        run.values
            .insert("seconds".to_string(), timing.median_seconds);
    }
    Ok((run, Some(results)))
}

/// Names of all values, those first that the study asks for.
fn ordered(rows: &[ReportRow], metrics: &[String]) -> Vec<String> {
    let runs = rows.iter().flat_map(|row| &row.runs);
    let names: BTreeSet<&String> = runs.flat_map(|run| run.values.keys()).collect();
    let place = |name: &str| {
        let is_of = |metric: &String| {
            same_name(name, metric)
                || match metric.as_str() {
                    "lpips" => name.starts_with("lpips-") || name.starts_with("perceptual-"),
                    "timing" => name == "seconds",
                    _ => false,
                }
        };
        metrics.iter().position(is_of).unwrap_or(metrics.len())
    };
    let mut names: Vec<String> = names.into_iter().cloned().collect();
    names.sort_by_key(|name| place(name));
    names
}

/// Why results of one dataset do not mean the same, if they do not.
fn mismatch(all: &[(String, Results)]) -> Option<String> {
    let datasets: BTreeSet<&String> = all
        .iter()
        .map(|(_, results)| &results.data.dataset)
        .collect();
    datasets.into_iter().find_map(|dataset| {
        let of_it: Vec<_> = all
            .iter()
            .filter(|(_, results)| &results.data.dataset == dataset)
            .cloned()
            .collect();
        let problem = (of_it.len() > 1).then(|| Comparison::new(&of_it).err())??;
        Some(format!("{problem:#}"))
    })
}

/// Fills in the means of every row, and what they differ from.
fn summarise(rows: &mut [ReportRow], values: &[String], differ: bool) {
    // By dataset and value: the mean of the first row, none where that was not run.
    let mut first: BTreeMap<(String, &str), Option<f64>> = BTreeMap::new();
    for row in rows {
        for value in values {
            let found: Vec<f64> = row
                .evaluated()
                .filter_map(|run| run.values.get(value).copied())
                .collect();
            let own = Interval::of(&found);
            let mean = own.map(|own| own.mean);
            let key = (row.dataset.clone(), value.as_str());
            let is_first = !first.contains_key(&key);
            let of_first = *first.entry(key).or_insert(mean);
            let Some(own) = own else { continue };
            let is_whole = row.evaluated().all(|run| run.complete == Some(true));
            let paper = row.paper.as_ref().filter(|paper| {
                let dataset = paper.dataset.as_ref();
                is_whole && dataset.is_none_or(|dataset| *dataset == row.dataset)
            });
            let figure = paper.and_then(|paper| paper.values.get(value));
            let summary = Summary {
                own,
                to_first: of_first
                    .filter(|_| !differ && !is_first)
                    .map(|first| own.mean - first),
                to_paper: figure.map(|figure| own.mean - figure),
            };
            row.values.insert(value.clone(), summary);
        }
    }
}
