mod built_in;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dp_sims_model::naming::same_name;
use serde::{Deserialize, Serialize};

use super::folder::Roots;
use crate::config::{About, Experiment, Metric, experiment_names, load};
use crate::evaluate::Protocol;
use crate::evaluate::paper::{self, Figure};
use crate::runtime::naming::hint;

use built_in::BUILT_IN;
pub use built_in::study_names;

/// Rows that are trained with the same seeds and judged alike: a study file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Name, which is also that of its folder.
    pub name: String,
    /// Title of its report.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Experiment that rows are made of, by name or path; a path is relative to the study's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Settings of every row, as `--set` takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// Seeds of every row.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
    /// Protocol of the evaluation; that of the dataset without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// What is measured, as `evaluate --metrics` names it; all of the protocol where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// Images that are judged; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Table of the paper that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// The rows.
    pub rows: Vec<StudyRow>,
}

/// A row of a study.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRow {
    /// Name, which is also that of its folder.
    pub name: String,
    /// Title in the report; the name without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Experiment that it is made of, instead of the study's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Settings on top of the study's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// Seconds of training in place of a number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The same row in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<PaperRow>,
}

/// Names a row of `experiments/paper.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperRow {
    /// Table; that of the study without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Name of the row.
    pub row: String,
    /// Dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Backbone, where the table has the row twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<String>,
}

/// What the command line changes about every row.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Settings on top of the row's.
    pub settings: Vec<String>,
    /// Steps in total.
    pub steps: Option<u64>,
    /// Where datasets are.
    pub roots: Roots,
}

/// A row with all that it stands for.
#[derive(Clone, Debug)]
pub struct Row {
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// Seconds of training in place of a number of steps.
    pub seconds: Option<f64>,
    /// The same row in the paper.
    pub paper: Option<Figure>,
    /// The experiment, named after the row; its seed is that of the experiment.
    pub experiment: Experiment,
}

fn one_seed() -> Vec<u64> {
    vec![1]
}

impl Study {
    /// Reads a study: a built-in name, that of an experiment, or the path of either as a TOML file. An
    /// experiment is a study of one row.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid; names the key.
    pub fn load(name_or_path: &str) -> Result<Self> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(text, name);
        }
        if experiment_names().any(|name| name == name_or_path) {
            return Self::of_experiment(name_or_path);
        }
        let text =
            crate::runtime::files::read_text(Path::new(name_or_path)).with_context(|| {
                let names: Vec<_> = study_names().chain(experiment_names()).collect();
                format!(
                    "cannot read `{name_or_path}`: give one of {} or the path of a TOML file{}",
                    names.join(", "),
                    hint(name_or_path, study_names().chain(experiment_names()))
                )
            })?;
        let table: toml::Table = text
            .parse()
            .with_context(|| format!("`{name_or_path}` is not valid TOML"))?;
        if table.contains_key("rows") {
            Self::parse(&text, name_or_path)
        } else {
            Self::of_experiment(name_or_path)
        }
    }

    /// Reads the text of a study that is at `place`.
    ///
    /// # Errors
    /// Names the key that is wrong.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let invalid = || format!("study `{place}` is not valid");
        let mut study: Self = toml::from_str(text).with_context(invalid)?;
        let folder = Path::new(place).parent().unwrap_or(Path::new(""));
        let own = study.base.as_mut();
        for base in own
            .into_iter()
            .chain(study.rows.iter_mut().filter_map(|row| row.base.as_mut()))
        {
            if !experiment_names().any(|name| name == base) {
                let path = folder.join(&*base);
                // The study is copied into the folder of its runs, from where it reads the same file.
                *base = absolute(&path)?;
            }
        }
        study.check().with_context(invalid)?;
        Ok(study)
    }

    fn of_experiment(name_or_path: &str) -> Result<Self> {
        let experiment = load(name_or_path, &[])?;
        let about = experiment.about.clone();
        let base = if experiment_names().any(|name| name == name_or_path) {
            name_or_path.to_string()
        } else {
            absolute(Path::new(name_or_path))?
        };
        let dataset = experiment.data.dataset.clone();
        let study = Self {
            name: experiment.name.clone(),
            title: about.shows.unwrap_or_default(),
            base: None,
            settings: Vec::new(),
            seeds: vec![experiment.run.seed],
            protocol: None,
            metrics: Vec::new(),
            limit: None,
            table: about.table,
            rows: vec![StudyRow {
                name: experiment.name,
                base: Some(base),
                paper: about.row.map(|row| PaperRow {
                    table: about.table,
                    row,
                    dataset: Some(dataset),
                    backbone: (about.table == Some(5))
                        .then(|| experiment.backbone.network.name().to_string()),
                }),
                ..StudyRow::default()
            }],
        };
        study
            .check()
            .with_context(|| format!("experiment `{name_or_path}`"))?;
        Ok(study)
    }

    /// Checks what can be checked without data or weights; rows are resolved.
    fn check(&self) -> Result<()> {
        check_name("name", &self.name)?;
        ensure!(!self.rows.is_empty(), "key `rows`: there is no row");
        for (index, row) in self.rows.iter().enumerate() {
            check_name("rows.name", &row.name)?;
            let earlier = &self.rows[..index];
            ensure!(
                earlier.iter().all(|other| other.name != row.name),
                "key `rows.name`: there are two rows `{}`",
                row.name
            );
        }
        self.check_seeds().context("key `seeds`")?;
        ensure!(self.limit != Some(0), "key `limit`: must be at least 1");
        for metric in &self.metrics {
            let known: Result<Metric, _> = metric.parse();
            known.map_err(|error| anyhow::anyhow!("key `metrics`: {error}"))?;
        }
        if let Some(protocol) = &self.protocol {
            Protocol::load(protocol).context("key `protocol`")?;
        }
        self.resolve(&Overrides::default())?;
        Ok(())
    }

    /// Checks the seeds.
    ///
    /// # Errors
    /// When there is none, one is there twice, or one is too large for TOML.
    pub fn check_seeds(&self) -> Result<()> {
        check_seeds(&self.seeds)
    }

    /// Makes what the command line changes about every row a part of the study.
    pub fn fix(&mut self, overrides: &Overrides) {
        let steps = overrides.steps.map(|steps| format!("run.steps={steps}"));
        for row in &mut self.rows {
            row.settings.extend(overrides.settings.iter().cloned());
            row.settings.extend(steps.clone());
        }
    }

    /// The rows with their experiments.
    ///
    /// # Errors
    /// Names the row and the key that is wrong.
    pub fn resolve(&self, overrides: &Overrides) -> Result<Vec<Row>> {
        let rows = self.rows.iter();
        rows.map(|row| {
            self.resolve_row(row, overrides)
                .with_context(|| format!("row `{}`", row.name))
        })
        .collect()
    }

    fn resolve_row(&self, row: &StudyRow, overrides: &Overrides) -> Result<Row> {
        let base = row.base.as_ref().or(self.base.as_ref());
        let base = base.context("key `base`: neither the row nor the study names an experiment")?;
        let settings = [&self.settings, &row.settings, &overrides.settings]
            .into_iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>();
        let mut experiment = load(base, &settings)?;
        if let Some(steps) = overrides.steps {
            experiment.run.steps = steps;
        }
        if let Some(root) = overrides.roots.of(&experiment.data.dataset) {
            experiment.data.root = Some(root.to_path_buf());
        }
        if experiment.name != row.name {
            experiment.name = row.name.clone();
            experiment.about = About::default();
        }
        experiment.validate()?;
        if let Some(seconds) = row.seconds {
            ensure!(
                seconds.is_finite() && seconds > 0.0,
                "key `seconds`: {seconds} is not a number above 0"
            );
        }
        let paper = row.paper.as_ref().map(|paper| self.figure(paper));
        let title = if row.title.is_empty() {
            &row.name
        } else {
            &row.title
        };
        Ok(Row {
            name: row.name.clone(),
            title: title.clone(),
            seconds: row.seconds,
            paper: paper.transpose()?,
            experiment,
        })
    }

    /// The figure that a row of the paper names.
    fn figure(&self, paper: &PaperRow) -> Result<Figure> {
        let table = paper.table.or(self.table);
        let mut found: Vec<Figure> = paper::figures()?
            .into_iter()
            .filter(|figure| {
                figure.table == table
                    && figure.row == paper.row
                    && figure.dataset == paper.dataset
                    && paper.backbone.as_ref().is_none_or(|name| {
                        let known = figure.backbone.as_ref();
                        known.is_some_and(|known| same_name(known, name))
                    })
            })
            .collect();
        let named = || {
            let place = table.map_or("no table".to_string(), |table| format!("Table {table}"));
            let dataset = paper.dataset.as_deref().unwrap_or("no dataset");
            format!("`{}` of {place}, {dataset}", paper.row)
        };
        ensure!(
            !found.is_empty(),
            "key `paper`: experiments/paper.toml has no row {}",
            named()
        );
        ensure!(
            found.len() == 1,
            "key `paper`: experiments/paper.toml has {} rows {}: name the `backbone` too",
            found.len(),
            named()
        );
        Ok(found.remove(0))
    }
}

/// The path from the root of the file system, as text.
///
/// # Errors
/// When the folder it lies in has a name that is not UTF-8.
fn absolute(path: &Path) -> Result<String> {
    let path = std::path::absolute(path).unwrap_or(path.to_path_buf());
    let text = path.to_str();
    let text = text.with_context(|| format!("{path:?} is not UTF-8: rename the folder"))?;
    Ok(text.to_string())
}

fn check_seeds(seeds: &[u64]) -> Result<()> {
    ensure!(!seeds.is_empty(), "there is no seed");
    for (index, seed) in seeds.iter().enumerate() {
        ensure!(!seeds[..index].contains(seed), "seed {seed} is there twice");
        ensure!(
            i64::try_from(*seed).is_ok(),
            "seed {seed} is larger than {}",
            i64::MAX
        );
    }
    Ok(())
}

/// Checks that a name can be that of a folder on every system.
fn check_name(key: &str, name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure!(
        !name.is_empty()
            && name.len() <= 100
            && name.chars().all(allowed)
            && !name.starts_with('.')
            && !name.ends_with('.'),
        "key `{key}`: `{name}` is not a name of up to 100 letters, digits, `-`, `_` and `.` that neither \
         begins nor ends with `.`"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
