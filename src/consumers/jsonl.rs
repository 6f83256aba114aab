//! `log.jsonl`: one JSON object per step.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::append::AppendFile;
use crate::events::{Consumer, TrainEvent};

/// Writes every [`StepEvent`](crate::events::StepEvent) as one line of JSON.
///
/// Each line reaches the operating system as soon as its step is reported. A value that is not finite
/// is written as `null`.
#[derive(Debug)]
pub struct JsonLog {
    path: PathBuf,
    file: AppendFile,
}

/// The only field needed to find the place where a resumed run goes on.
#[derive(Deserialize)]
struct LoggedStep {
    step: u64,
}

impl JsonLog {
    /// Opens or creates the log at `path` for a run that has finished `finished_steps` steps.
    ///
    /// Lines of later steps are cut off, and so is a last line that an interrupted run left
    /// incomplete, so that a resumed run leaves each step in the log once.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written, or a line other than the last is not an object
    /// with a `step`: the message names file and line.
    pub fn open(path: &Path, finished_steps: u64) -> anyhow::Result<Self> {
        let length = match open(path)? {
            Some(file) => kept_length(file, path, finished_steps)?,
            None => 0,
        };
        Ok(Self {
            path: path.to_owned(),
            file: AppendFile::open(path, length)?,
        })
    }
}

/// The whole lines of the log at `path` that belong to later steps than `finished_steps`, and that
/// [`JsonLog::open`] cuts off; none where there is no log.
///
/// # Errors
///
/// Those of [`JsonLog::open`].
pub fn later_lines(path: &Path, finished_steps: u64) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("cannot read {}", path.display());
    let Some(mut reader) = open(path)? else {
        return Ok(Vec::new());
    };
    let length = kept_length(&mut reader, path, finished_steps)?;
    reader
        .seek(SeekFrom::Start(length))
        .with_context(unreadable)?;
    let mut lines = Vec::new();
    reader.read_to_end(&mut lines).with_context(unreadable)?;
    let whole = lines.iter().rposition(|&byte| byte == b'\n');
    lines.truncate(whole.map_or(0, |last| last + 1));
    Ok(lines)
}

/// Seconds of the steps up to `last_step` that the log at `path` holds; none where there is no log.
///
/// # Errors
///
/// When the file cannot be read.
pub fn logged_seconds(path: &Path, last_step: u64) -> anyhow::Result<f64> {
    #[derive(Deserialize)]
    struct Timed {
        step: u64,
        seconds: f64,
    }
    let Some(reader) = open(path)? else {
        return Ok(0.0);
    };
    let mut sum = 0.0;
    for line in reader.lines() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        // A line whose writer was killed counts for nothing.
        if let Ok(timed) = serde_json::from_str::<Timed>(&line)
            && timed.step <= last_step
        {
            sum += timed.seconds;
        }
    }
    Ok(sum)
}

/// The log at `path`; none where there is none.
fn open(path: &Path) -> anyhow::Result<Option<BufReader<File>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Number of leading bytes that hold the steps up to `finished_steps`.
fn kept_length(mut reader: impl BufRead, path: &Path, finished_steps: u64) -> anyhow::Result<u64> {
    let mut length = 0;
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let bytes = reader
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if !line.ends_with(b"\n") {
            // The end of the file, or a line whose writer was killed.
            break;
        }
        match serde_json::from_slice::<LoggedStep>(&line) {
            Ok(logged) if logged.step > finished_steps => break,
            Ok(_) => length += bytes as u64,
            Err(error) => bail!(
                "line {number} of {} is not a log entry ({error}): correct it or move the file \
                 away",
                path.display()
            ),
        }
    }
    Ok(length)
}

impl Consumer for JsonLog {
    fn on_event(&mut self, event: &TrainEvent) -> anyhow::Result<()> {
        match event {
            TrainEvent::Step(step) => {
                let mut line = serde_json::to_vec(step)?;
                line.push(b'\n');
                self.file.append(&line)?;
            }
            TrainEvent::WentBack { step } => *self = Self::open(&self.path, *step)?,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Loss, Network, StepEvent, Term};

    fn step(step: u64) -> StepEvent {
        StepEvent {
            step,
            total_steps: 9,
            images_seen: 4 * step,
            losses: [(Loss(Network::Generator, Term::Total), 0.1 * step as f64)].into(),
            seconds: 1.5,
            ..StepEvent::default()
        }
    }

    fn write(path: &Path, finished_steps: u64, steps: std::ops::RangeInclusive<u64>) {
        let mut log = JsonLog::open(path, finished_steps).unwrap();
        for number in steps {
            log.on_event(&TrainEvent::Step(step(number))).unwrap();
        }
    }

    fn read(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What the line of a step says.
    fn line(number: u64) -> serde_json::Value {
        serde_json::to_value(step(number)).unwrap()
    }

    #[test]
    fn a_resumed_run_logs_each_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        write(&path, 0, 1..=5);
        write(&path, 3, 4..=6);
        let expected: Vec<_> = (1..=6).map(line).collect();
        assert_eq!(read(&path), expected);
    }

    #[test]
    fn a_run_that_goes_back_logs_each_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = JsonLog::open(&path, 0).unwrap();
        let mut tell = |event: TrainEvent| log.on_event(&event).unwrap();
        (1..=5).for_each(|number| tell(TrainEvent::Step(step(number))));
        tell(TrainEvent::WentBack { step: 2 });
        assert_eq!(read(&path), [line(1), line(2)]);
        (3..=4).for_each(|number| tell(TrainEvent::Step(step(number))));
        let expected: Vec<_> = (1..=4).map(line).collect();
        assert_eq!(read(&path), expected);
    }

    #[test]
    fn a_torn_last_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        write(&path, 0, 1..=2);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"step\":3,\"tot"].concat()).unwrap();
        let later = later_lines(&path, 1).unwrap();
        assert!(whole.ends_with(&later) && later.starts_with(b"{\"step\":2,"));
        assert!(later_lines(&path, 2).unwrap().is_empty());
        write(&path, 2, 3..=3);
        assert_eq!(read(&path), [line(1), line(2), line(3)]);
    }

    #[test]
    fn seconds_are_those_of_whole_lines_up_to_a_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        assert_eq!(logged_seconds(&path, 9).unwrap(), 0.0);
        write(&path, 0, 1..=4);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"step\":5,\"sec"].concat()).unwrap();
        assert_eq!(logged_seconds(&path, 3).unwrap(), 4.5);
        assert_eq!(logged_seconds(&path, 9).unwrap(), 6.0);
    }

    #[test]
    fn a_foreign_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        write(&path, 0, 1..=1);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("hello\n");
        std::fs::write(&path, &text).unwrap();
        let error = JsonLog::open(&path, 1).unwrap_err().to_string();
        assert!(error.starts_with("line 2 of "), "{error}");
        assert!(error.contains("log.jsonl"), "{error}");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            text,
            "nothing is lost"
        );
    }

    #[test]
    fn values_that_are_not_finite_become_null() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = JsonLog::open(&path, 0).unwrap();
        let event = StepEvent {
            accuracy_fake: f64::NAN,
            ..step(1)
        };
        log.on_event(&TrainEvent::Step(event)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value["accuracy_fake"].is_null());
        assert_eq!(value["images_seen"], 4);
    }

    #[test]
    fn a_folder_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = JsonLog::open(folder.path(), 0).unwrap_err();
        assert!(format!("{error:#}").contains(&folder.path().display().to_string()));
    }
}
