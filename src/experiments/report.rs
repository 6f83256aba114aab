//! The rows of a study side by side with the paper's.

mod collect;
mod page;
mod pictures;
mod plot;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::folder::STUDY;
use super::interval::Interval;
use super::study::Study;
use crate::evaluate::paper::Figure;
use crate::runtime::files::write_whole;
use crate::runtime::units::number;

/// What the runs of a study have found: `report.json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Name of the study.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Table of the paper that it is about.
    pub table: Option<u32>,
    /// Names of the values, in the order in which they are shown.
    pub values: Vec<String>,
    /// The rows, in the order of the study.
    pub rows: Vec<ReportRow>,
    /// Why numbers of different runs do not all mean the same; they are not set against each other then.
    pub mismatch: Option<String>,
    /// The table as the paper prints it.
    pub printed: Vec<Figure>,
}

/// A row.
#[derive(Debug, Serialize)]
pub struct ReportRow {
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// Dataset.
    pub dataset: String,
    /// Height and width of its images in pixels.
    pub size: [usize; 2],
    /// The same row in the paper.
    pub paper: Option<Figure>,
    /// Its runs, by seed.
    pub runs: Vec<ReportRun>,
    /// Means over the runs that were evaluated, by value.
    pub values: BTreeMap<String, Summary>,
}

/// A run.
#[derive(Debug, Default, Serialize)]
pub struct ReportRun {
    /// Seed.
    pub seed: u64,
    /// `evaluated`, or what is missing.
    pub state: String,
    /// Steps that were trained.
    pub step: Option<u64>,
    /// Real images that were shown.
    pub images_seen: Option<u64>,
    /// Wall-clock seconds of training.
    pub training_seconds: Option<f64>,
    /// Backend, device and threads.
    pub machine: Option<String>,
    /// Protocol.
    pub protocol: Option<String>,
    /// Whether every image that the protocol asks for was used.
    pub complete: Option<bool>,
    /// Images that were judged.
    pub images: Option<usize>,
    /// Values by name; shares in percent.
    pub values: BTreeMap<String, f64>,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Mean over seeds with its 95 % interval.
    #[serde(flatten)]
    pub own: Interval,
    /// Difference to the mean of the first row of the same dataset.
    pub to_first: Option<f64>,
    /// Difference to the figure of the paper, where that is of the same dataset and the whole protocol.
    pub to_paper: Option<f64>,
}

impl Report {
    /// Reads the runs of a study from its folder.
    ///
    /// # Errors
    /// When there is no study in the folder, or one of its files cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(STUDY);
        let text = crate::runtime::files::read_text(&path).with_context(|| {
            format!(
                "{} is no folder of `dp-sims experiments run`: it has no {STUDY}",
                folder.display()
            )
        })?;
        let study = Study::parse(&text, &path.to_string_lossy())?;
        collect::collect(&study, folder)
    }

    /// Writes `report.html`, `report.md`, `report.json` and `results.csv`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let pictures = pictures::collect(self, folder);
        let page = page::page(self, &pictures)?;
        for (name, text) in [
            ("report.html", page),
            ("report.md", tables::markdown(self)),
            ("report.json", serde_json::to_string_pretty(self)?),
            ("results.csv", tables::csv(self)),
        ] {
            write_whole(&folder.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// The table as text, for a terminal.
    pub fn text(&self) -> String {
        tables::markdown(self)
    }

    /// Rows by dataset, in the order of the study.
    fn groups(&self) -> Vec<(&str, Vec<&ReportRow>)> {
        let mut groups: Vec<(&str, Vec<&ReportRow>)> = Vec::new();
        for row in &self.rows {
            match groups
                .iter_mut()
                .find(|(dataset, _)| *dataset == row.dataset)
            {
                Some((_, rows)) => rows.push(row),
                None => groups.push((&row.dataset, vec![row])),
            }
        }
        groups
    }
}

impl ReportRow {
    /// Runs that were evaluated.
    fn evaluated(&self) -> impl Iterator<Item = &ReportRun> {
        self.runs.iter().filter(|run| !run.values.is_empty())
    }

    /// What there is to say instead of numbers; none where there are some.
    fn missing(&self) -> Option<String> {
        if self.evaluated().next().is_some() {
            return None;
        }
        // Runs that lack the same are named together.
        let mut states: Vec<(&str, Vec<String>)> = Vec::new();
        for run in &self.runs {
            let seed = run.seed.to_string();
            match states.iter_mut().find(|(state, _)| *state == run.state) {
                Some((_, seeds)) => seeds.push(seed),
                None => states.push((&run.state, vec![seed])),
            }
        }
        let states: Vec<String> = states
            .into_iter()
            .map(|(state, seeds)| format!("seed {}: {state}", seeds.join(", ")))
            .collect();
        Some(if states.is_empty() {
            "not run".to_string()
        } else {
            states.join("; ")
        })
    }

    /// The difference of the paper's figure to that of the first row of the group, for a value.
    fn in_paper(&self, first: &ReportRow, value: &str) -> Option<(f64, Option<f64>)> {
        let own = *self.paper.as_ref()?.values.get(value)?;
        let of_first = first
            .paper
            .as_ref()
            .filter(|paper| Some(&paper.dataset) == self.paper.as_ref().map(|own| &own.dataset))
            .and_then(|paper| paper.values.get(value));
        let is_first = std::ptr::eq(self, first);
        Some((own, of_first.filter(|_| !is_first).map(|first| own - first)))
    }

    /// The one thing that all runs have in common, or all of them.
    fn of_runs<T: PartialEq + ToString>(&self, get: impl Fn(&ReportRun) -> Option<T>) -> String {
        let mut found: Vec<String> = Vec::new();
        for value in self.runs.iter().filter_map(get) {
            let text = value.to_string();
            if !found.contains(&text) {
                found.push(text);
            }
        }
        if found.is_empty() {
            return "–".to_string();
        }
        found.join(", ")
    }
}

/// What the paper's values are called in headings.
fn paper_heading(value: &str) -> String {
    match value {
        "parameters-m" => "parameters [M]".to_string(),
        "gflops" => "GFLOPs".to_string(),
        "imagenet-top1" => "ImageNet top-1 [%]".to_string(),
        "steps" => "steps".to_string(),
        "upsampling-steps" => "upsampling steps".to_string(),
        "generation-seconds" => "generation [s]".to_string(),
        "upsampling-seconds" => "upsampling [s]".to_string(),
        other => crate::evaluate::heading(other),
    }
}

/// Decimals of a number as [`number`] writes it.
fn decimals(value: f64) -> usize {
    let text = number(value);
    text.split_once('.')
        .map_or(0, |(_, decimals)| decimals.len())
}

/// A difference with its sign, in the decimals of what it is a difference of.
fn signed(difference: f64, of: f64) -> String {
    let sign = if difference < 0.0 { "−" } else { "+" };
    if of != 0.0 && of.abs() < 0.01 {
        return format!("{sign}{}", number(difference.abs()));
    }
    format!("{sign}{:.*}", decimals(of), difference.abs())
}

/// A difference between figures of the paper, in their decimals.
fn signed_printed(difference: f64) -> String {
    let sign = if difference < 0.0 { "−" } else { "+" };
    let text = format!("{:.3}", difference.abs());
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}{text}")
}

/// A figure as the paper prints it.
fn printed(name: &str, figure: f64) -> String {
    match name {
        "steps" | "upsampling-steps" | "parameters-m" => figure.to_string(),
        _ => format!("{figure:?}"),
    }
}

/// A mean with its interval; a single value says so.
fn with_interval(own: &Interval) -> String {
    let mean = number(own.mean);
    match own.half_width {
        Some(half) if own.mean.abs() < 0.01 => format!("{mean} ± {}", number(half)),
        Some(half) => format!("{mean} ± {half:.*}", decimals(own.mean)),
        None => format!("{mean} (n = 1)"),
    }
}

#[cfg(test)]
mod tests;
