//! What the queue keeps in a run folder beside what training and evaluation write, and where datasets
//! are.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::data::built_in;
use crate::runtime::files::write_whole;

/// The resolved experiment that a run is trained with.
pub(super) const EXPERIMENT: &str = "experiment.toml";
/// The [`Record`].
const RECORD: &str = "run.json";
/// What `dp-sims train` printed.
pub(super) const TRAIN_LOG: &str = "train.log";
/// What `dp-sims evaluate` printed.
pub(super) const EVALUATE_LOG: &str = "evaluate.log";
/// Folder of the results.
pub(super) const EVALUATION: &str = "evaluation";
/// The study as it was run, in the folder of all of its runs.
pub(super) const STUDY: &str = "study.toml";

/// Letters of the reason of a failure that are shown; `run.json` has all of it.
const REASON: usize = 160;

/// How a run went: `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the row.
    pub row: String,
    /// Seed.
    pub seed: u64,
    /// Seconds of training in place of a number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<f64>,
    /// Wall-clock seconds of all calls of `train` together, their starts included.
    pub training_seconds: f64,
    /// Wall-clock seconds of the last whole evaluation.
    pub evaluation_seconds: f64,
    /// When the call of `train` began that has not been counted yet, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_since: Option<f64>,
    /// Calls of `train`.
    pub trainings: u32,
    /// Backend, device and threads of the last call.
    pub machine: String,
    /// Why the last call failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureNote>,
}

/// Why a call failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureNote {
    /// `train` or `evaluate`.
    pub command: String,
    /// How it ended.
    pub status: String,
    /// The last lines that it printed.
    pub lines: Vec<String>,
}

impl FailureNote {
    /// The line that says why.
    pub fn reason(&self) -> String {
        let lines = self.lines.iter().rev();
        let said = lines.clone().find(|line| line.starts_with("error:"));
        let reason = said.or_else(|| lines.clone().find(|line| !line.trim().is_empty()));
        let reason = reason.map_or("nothing was printed", String::as_str);
        let shown: String = reason.chars().take(REASON).collect();
        let rest = if shown.len() < reason.len() {
            "…"
        } else {
            ""
        };
        format!("{} ended with {}: {shown}{rest}", self.command, self.status)
    }
}

impl Record {
    /// Takes note that a call of `train` begins.
    pub(super) fn begin_training(&mut self) {
        self.training_since = Some(since_1970(SystemTime::now()));
        self.trainings += 1;
    }

    /// Counts the seconds of the last call of `train`, which ended when it last wrote into its log:
    /// this program may have been killed before that and not have seen the end.
    pub(super) fn end_training(&mut self, folder: &Path) {
        let Some(since) = self.training_since.take() else {
            return;
        };
        let log = std::fs::metadata(folder.join(TRAIN_LOG));
        if let Ok(written) = log.and_then(|log| log.modified()) {
            self.training_seconds += (since_1970(written) - since).max(0.0);
        }
    }

    /// Reads the record of a run folder; none where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RECORD);
        if !path.exists() {
            return Ok(None);
        }
        let unreadable = || format!("cannot read {}", path.display());
        let text = crate::runtime::files::read(&path, crate::runtime::files::MOST_TEXT)
            .with_context(unreadable)?;
        serde_json::from_slice(&text)
            .map(Some)
            .with_context(unreadable)
    }

    /// Writes the record of a run folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        write_whole(&folder.join(RECORD), &text)
    }
}

fn since_1970(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// Root folders of datasets, as `--data` names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    any: Option<PathBuf>,
    named: Vec<(String, PathBuf)>,
}

impl Roots {
    /// Reads values of `--data`: `DIR` for every dataset, or `NAME=DIR` for one that is built in.
    ///
    /// # Errors
    /// When a built-in description is not valid.
    pub fn parse(values: &[String]) -> Result<Self> {
        let known: Vec<String> = built_in()?.into_iter().map(|one| one.name).collect();
        let mut roots = Self::default();
        for value in values {
            match value.split_once('=') {
                Some((name, folder)) if known.iter().any(|known| known == name) => {
                    roots.named.push((name.to_string(), PathBuf::from(folder)));
                }
                _ => roots.any = Some(PathBuf::from(value)),
            }
        }
        Ok(roots)
    }

    /// The root folder of a dataset; none for the procedural scenes.
    pub fn of(&self, dataset: &str) -> Option<&Path> {
        if dataset == "scenes" {
            return None;
        }
        let named = self.named.iter().find(|(name, _)| name == dataset);
        named
            .map(|(_, folder)| folder)
            .or(self.any.as_ref())
            .map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_for_all_datasets_or_for_one() {
        let values = ["/all", "ade20k=/ade", "/odd=name"].map(String::from);
        let roots = Roots::parse(&values).unwrap();
        assert_eq!(roots.of("ade20k"), Some(Path::new("/ade")));
        assert_eq!(roots.of("camvid"), Some(Path::new("/odd=name")));
        assert_eq!(roots.of("scenes"), None);
        assert_eq!(Roots::default().of("camvid"), None);
    }

    #[test]
    fn a_training_that_nobody_saw_end_lasted_until_its_log_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::default();
        record.end_training(folder.path());
        assert_eq!(record.training_seconds, 0.0);
        record.begin_training();
        let log = std::fs::File::create(folder.path().join(TRAIN_LOG)).unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(90);
        log.set_modified(later).unwrap();
        record.end_training(folder.path());
        record.end_training(folder.path());
        let seconds = record.training_seconds;
        assert!((90.0..91.0).contains(&seconds), "{seconds}");
        assert_eq!((record.trainings, record.training_since), (1, None));
    }

    #[test]
    fn a_record_reads_back_and_says_why_a_call_failed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), None);
        let record = Record {
            row: "a".to_string(),
            seed: 3,
            training_seconds: 1.5,
            failure: Some(FailureNote {
                command: "train".to_string(),
                status: "exit status: 2".to_string(),
                lines: ["warming up", "error: no weights", "  because of this"]
                    .map(String::from)
                    .to_vec(),
            }),
            ..Record::default()
        };
        record.write(folder.path()).unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), Some(record.clone()));
        let reason = record.failure.unwrap().reason();
        assert_eq!(reason, "train ended with exit status: 2: error: no weights");
        std::fs::write(folder.path().join(RECORD), "{").unwrap();
        assert!(Record::read(folder.path()).is_err());
    }
}
