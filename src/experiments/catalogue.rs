use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::study::{Study, study_names};
use crate::config::{Experiment, experiment_names, load};
use crate::runtime::columns::write_columns;

/// What is built in: `experiments list`.
#[derive(Debug, Serialize)]
pub struct Catalogue {
    /// Experiments.
    pub experiments: Vec<Entry>,
    /// Studies.
    pub studies: Vec<StudyEntry>,
}

/// An experiment.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// What it shows.
    pub shows: Option<String>,
    /// Table of the paper.
    pub table: Option<u32>,
    /// Row of that table.
    pub row: Option<String>,
    /// Dataset.
    pub dataset: String,
    /// Steps in total.
    pub steps: u64,
    /// Images of a step.
    pub batch_total: usize,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
}

/// A study.
#[derive(Debug, Serialize)]
pub struct StudyEntry {
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// Table of the paper.
    pub table: Option<u32>,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// Seeds.
    pub seeds: Vec<u64>,
}

impl Catalogue {
    /// Reads all that is built in.
    ///
    /// # Errors
    /// When something of it is not valid.
    pub fn read() -> Result<Self> {
        let experiments = experiment_names()
            .map(|name| Ok(Entry::of(load(name, &[])?)))
            .collect::<Result<_>>()?;
        let studies = study_names()
            .map(|name| {
                let study = Study::load(name)?;
                Ok(StudyEntry {
                    name: study.name,
                    title: study.title,
                    table: study.table,
                    rows: study.rows.into_iter().map(|row| row.name).collect(),
                    seeds: study.seeds,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            experiments,
            studies,
        })
    }
}

impl Entry {
    fn of(experiment: Experiment) -> Self {
        let Experiment {
            name,
            about,
            run,
            data,
            ..
        } = experiment;
        Self {
            name,
            shows: about.shows,
            table: about.table,
            row: about.row,
            dataset: data.dataset,
            steps: run.steps,
            batch_total: run.batch * run.accumulation,
            height: data.height,
            width: data.width,
        }
    }

    fn place(&self) -> String {
        match (self.table, &self.row) {
            (Some(table), Some(row)) => format!("Table {table}, {row}"),
            (Some(table), None) => format!("Table {table}"),
            (None, Some(row)) => row.clone(),
            (None, None) => "–".to_string(),
        }
    }
}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = [
            "experiment",
            "paper",
            "dataset",
            "steps x batch x size",
            "shows",
        ];
        let mut rows = vec![heading.map(String::from)];
        rows.extend(self.experiments.iter().map(|entry| {
            let Entry {
                steps,
                batch_total,
                height,
                width,
                ..
            } = entry;
            [
                entry.name.clone(),
                entry.place(),
                entry.dataset.clone(),
                format!("{steps} x {batch_total} x {height}x{width}"),
                entry.shows.clone().unwrap_or_default(),
            ]
        }));
        write_columns(f, &rows)?;
        writeln!(f)?;
        let mut rows = vec![["study", "rows x seeds", "title"].map(String::from)];
        rows.extend(self.studies.iter().map(|study| {
            let count = format!("{} x {}", study.rows.len(), study.seeds.len());
            [study.name.clone(), count, study.title.clone()]
        }));
        write_columns(f, &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_experiment_with_what_its_file_says() {
        let catalogue = Catalogue::read().unwrap();
        assert_eq!(catalogue.experiments.len(), experiment_names().count());
        let text = catalogue.to_string();
        let line = |start: &str| {
            let mut lines = text.lines();
            lines.find(|line| line.starts_with(start)).unwrap()
        };
        let row = line("table5-wo-sigmoid-convnext-l ");
        for part in [
            "Table 5, w/o sigmoid",
            "ade20k",
            "63000 x 64 x 256x256",
            "batch norm",
        ] {
            assert!(row.contains(part), "{part} is missing in {row}");
        }
        assert!(line("cityscapes ").contains("256x512"));
        assert!(line("table5-scenes").contains("6 x 3"));
        let json = serde_json::to_value(&catalogue).unwrap();
        assert_eq!(json["experiments"][0]["name"], "quickstart");
        assert_eq!(json["experiments"][0]["table"], serde_json::Value::Null);
    }
}
