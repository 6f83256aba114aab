//! How long rows would take on this machine, found out by training a few steps of each.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::children::{Logged, Program, logged};
use super::folder::{EXPERIMENT, TRAIN_LOG};
use super::study::Row;
use crate::config::{Experiment, MAX_STEPS};
use crate::runtime::columns::write_columns;
use crate::runtime::units::{duration, memory};
use crate::train::Stop;

/// Time between two looks at a process.
const POLL: Duration = Duration::from_millis(100);

/// Steps at the beginning that are left out, of ten or more; a third of fewer.
const LEFT_OUT: usize = 3;

/// Steps between events that would disturb the measurement.
const NEVER: u64 = MAX_STEPS;

/// What all rows would take.
#[derive(Debug, Serialize)]
pub struct PlanReport {
    /// Backend, device and threads.
    pub machine: String,
    /// Steps that were timed per row, those included that are left out.
    pub steps_timed: usize,
    /// The rows.
    pub rows: Vec<PlanRow>,
    /// Hours of all rows that could be timed, one after the other.
    pub hours: f64,
}

/// What a row would take.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PlanRow {
    /// Study.
    pub study: String,
    /// Row.
    pub row: String,
    /// Steps in total.
    pub steps: u64,
    /// Seeds.
    pub seeds: usize,
    /// Median seconds of a step.
    pub step_seconds: Option<f64>,
    /// Largest resident memory of the process in bytes.
    pub memory_bytes: Option<u64>,
    /// Hours of training with all seeds.
    pub hours: Option<f64>,
    /// Why there is no time.
    pub problem: Option<String>,
}

/// Times rows of studies, given with their number of seeds; a row that is the same experiment as an
/// earlier one is timed once. `told` hears of every row before it is timed. Asked to stop, gives back
/// the rows so far.
///
/// # Errors
/// When no process can be started or the temporary folder cannot be written. What is wrong with a row
/// is in its `problem`.
pub fn plan(
    rows: &[(String, usize, Row)],
    steps: usize,
    program: &Program,
    machine: String,
    stop: &Stop,
    told: &dyn Fn(&str),
) -> Result<PlanReport> {
    let mut timed: Vec<(Experiment, PlanRow)> = Vec::new();
    let mut report = PlanReport {
        machine,
        steps_timed: steps,
        rows: Vec::new(),
        hours: 0.0,
    };
    for (study, seeds, row) in rows {
        let experiment = measured(&row.experiment, steps);
        let known = timed.iter().find(|(other, _)| *other == experiment);
        let mut found = match known {
            Some((_, found)) => found.clone(),
            None => {
                told(&format!("{study}: {}", row.name));
                let Some(found) = time(&experiment, steps, program, stop)? else {
                    break;
                };
                timed.push((experiment, found.clone()));
                found
            }
        };
        found.study.clone_from(study);
        found.row.clone_from(&row.name);
        found.steps = row.experiment.run.steps;
        found.seeds = *seeds;
        found.hours = found.step_seconds.map(|seconds| {
            let all = found.steps as f64 * seconds;
            row.seconds.unwrap_or(all).min(all) * *seeds as f64 / 3600.0
        });
        report.hours += found.hours.unwrap_or(0.0);
        report.rows.push(found);
    }
    Ok(report)
}

/// The experiment with as little around its steps as possible, and what does not change their time left
/// out of the comparison with others.
fn measured(experiment: &Experiment, steps: usize) -> Experiment {
    let mut experiment = experiment.clone();
    experiment.name = "plan".to_string();
    experiment.about = Default::default();
    let run = &mut experiment.run;
    (run.preview_rows, run.preview_samples, run.seed) = (1, 1, 0);
    (run.preview_every, run.checkpoint_every) = (NEVER, NEVER);
    run.steps = steps as u64 + 1;
    experiment.ema.refresh_batches = 1;
    experiment
}

/// Trains some steps in a process of its own and ends it; none when asked to stop.
fn time(
    experiment: &Experiment,
    steps: usize,
    program: &Program,
    stop: &Stop,
) -> Result<Option<PlanRow>> {
    let folder = tempfile::tempdir()
        .context("cannot make a temporary folder; name another place with TMPDIR")?;
    let folder = folder.path();
    std::fs::write(folder.join(EXPERIMENT), toml::to_string(experiment)?)?;
    let mut arguments = vec![folder.join(EXPERIMENT).into()];
    arguments.extend(["--no-tui", "--stop-at-eof", "--out"].map(Into::into));
    arguments.push(folder.into());
    let call = program.start("train", arguments, &folder.join(TRAIN_LOG))?;
    let mut call = call.context("the temporary folder is in use")?;
    loop {
        let found = logged(folder);
        if found.last().is_some_and(|last| last.step >= steps as u64) {
            call.end();
            return Ok(Some(measurement(&found, steps)));
        }
        if let Some(status) = call.ended()? {
            // It may have written its last steps since.
            let found = logged(folder);
            if found.last().is_some_and(|last| last.step >= steps as u64) {
                return Ok(Some(measurement(&found, steps)));
            }
            let note = call.failure(status);
            let problem = problem(&note.lines).unwrap_or_else(|| note.reason());
            return Ok(Some(PlanRow {
                problem: Some(problem),
                ..PlanRow::default()
            }));
        }
        if stop.reason().is_some() {
            call.end();
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

fn measurement(found: &[Logged], steps: usize) -> PlanRow {
    let left_out = LEFT_OUT.min(steps / 3) as u64;
    let kept = found
        .iter()
        .filter(|logged| logged.step > left_out && logged.step <= steps as u64);
    let mut seconds: Vec<f64> = kept.map(|logged| logged.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    PlanRow {
        step_seconds: seconds.get(seconds.len() / 2).copied(),
        memory_bytes: found.iter().map(|logged| logged.memory).max(),
        ..PlanRow::default()
    }
}

/// The error among the last lines of a log with its causes, in one line.
fn problem(lines: &[String]) -> Option<String> {
    let first = lines.iter().position(|line| line.starts_with("error:"))?;
    let text: Vec<&str> = lines[first..]
        .iter()
        .map(|line| line.trim().trim_start_matches("error: "))
        .collect();
    Some(text.join(" "))
}

impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; {} steps timed", self.machine, self.steps_timed)?;
        let heading = ["study", "row", "s/step", "steps x seeds", "hours", "memory"];
        let mut rows = vec![heading.map(String::from)];
        rows.extend(self.rows.iter().map(|row| {
            let none = || "–".to_string();
            [
                row.study.clone(),
                row.row.clone(),
                row.step_seconds.map_or_else(none, |s| format!("{s:.2}")),
                format!("{} x {}", row.steps, row.seeds),
                row.hours.map_or_else(none, |hours| format!("{hours:.2}")),
                row.memory_bytes.map_or_else(none, memory),
            ]
        }));
        write_columns(f, &rows)?;
        // Rows that lack the same are named together.
        let mut problems: Vec<(&str, Vec<String>)> = Vec::new();
        for row in &self.rows {
            let Some(problem) = &row.problem else {
                continue;
            };
            let name = format!("{} {}", row.study, row.row);
            match problems.iter_mut().find(|(other, _)| other == problem) {
                Some((_, names)) => names.push(name),
                None => problems.push((problem, vec![name])),
            }
        }
        for (problem, names) in problems {
            writeln!(f, "cannot be run: {}: {problem}", names.join(", "))?;
        }
        let missing = self.rows.iter().filter(|row| row.problem.is_some()).count();
        let without = match missing {
            0 => String::new(),
            count => format!(", without the {count} that cannot be run"),
        };
        writeln!(
            f,
            "together {} of training{without}; evaluation, previews and checkpoints come on top",
            duration(3600.0 * self.hours)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_are_left_out() {
        let step = |step: u64, seconds: f64| Logged {
            step,
            seconds,
            memory: 100 - step,
        };
        let mut found: Vec<_> = (1..=3).map(|number| step(number, 9.0)).collect();
        found.extend((4..=10).map(|number| step(number, number as f64)));
        found.push(step(11, 100.0));
        let row = measurement(&found, 10);
        assert_eq!((row.step_seconds, row.memory_bytes), (Some(7.0), Some(99)));
        assert_eq!(measurement(&found[..1], 1).step_seconds, Some(9.0));
    }

    #[test]
    fn what_is_missing_is_told_with_its_row() {
        let lines = ["checking", "error: no weights", "  because of this"].map(String::from);
        let row = PlanRow {
            study: "s".to_string(),
            row: "a".to_string(),
            problem: problem(&lines),
            ..PlanRow::default()
        };
        let timed = PlanRow {
            step_seconds: Some(1.5),
            hours: Some(2.25),
            memory_bytes: Some(1 << 30),
            ..row.clone()
        };
        let report = PlanReport {
            machine: "flex 0".to_string(),
            steps_timed: 10,
            rows: vec![
                row,
                PlanRow {
                    problem: None,
                    ..timed
                },
            ],
            hours: 2.25,
        };
        let text = report.to_string();
        for part in [
            "cannot be run: s a: no weights because of this",
            "together 2h 15m of training, without the 1 that",
            "1.50",
            "1.00 GiB",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
