//! Trains and evaluates jobs, some at once, each in a process of its own.

mod pace;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::children::{Call, Program, logged};
use super::display::Display;
use super::folder::{FailureNote, Record};
use super::job::{Job, State};
use crate::runtime::units::duration;
use crate::train::Stop;

use pace::Pace;

/// Time between two looks at the processes.
const POLL: Duration = Duration::from_millis(100);

/// Time between two looks at the progress.
const LOOK: Duration = Duration::from_secs(2);

/// Jobs, and how they are worked off.
pub struct Queue {
    /// The jobs, in the order in which they are begun.
    pub jobs: Vec<Job>,
    /// The program that does the work.
    pub program: Program,
    /// Jobs at once.
    pub at_once: usize,
    /// Backend, device and threads, for the record.
    pub machine: String,
}

/// How a queue ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Jobs of which nothing was left to do.
    pub skipped: usize,
    /// Jobs that were finished.
    pub finished: usize,
    /// Names of the jobs that failed, and why.
    pub failed: Vec<(String, String)>,
    /// Whether it was asked to stop before all was done.
    pub interrupted: bool,
}

/// A job that is being worked on.
struct Running {
    index: usize,
    call: Call,
    record: Record,
}

impl Queue {
    /// Works all jobs off; one that fails does not keep the others from being done. Asked to stop,
    /// has training end with checkpoints.
    ///
    /// # Errors
    /// When a run folder cannot be read or written, or holds a run with other settings.
    pub fn run(&self, stop: &Stop) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut waiting = VecDeque::new();
        let mut states = Vec::with_capacity(self.jobs.len());
        for (index, job) in self.jobs.iter().enumerate() {
            let state = job.state()?;
            states.push(state);
            match state {
                State::Done { .. } => outcome.skipped += 1,
                _ => waiting.push_back(index),
            }
        }
        let mut display = Display::new();
        let skipped = match outcome.skipped {
            0 => String::new(),
            count => format!(", {count} of them done already"),
        };
        display.say(&format!("{}{skipped}", runs(self.jobs.len())));
        let mut pace = Pace::new(&self.jobs, states);
        let mut running: Vec<Running> = Vec::new();
        let mut looked: Option<Instant> = None;
        loop {
            let stopping = stop.reason().is_some();
            if stopping && !outcome.interrupted {
                outcome.interrupted = true;
                display
                    .say("stopping: training ends with a checkpoint (Ctrl-C again to end at once)");
                running.iter_mut().for_each(|one| one.call.ask_to_stop());
            }
            let mut still = Vec::new();
            for one in running.drain(..) {
                if let Some(one) = self.look_after(one, &mut outcome, &mut pace, &display)? {
                    still.push(one);
                }
            }
            running = still;
            let mut blocked = 0;
            while !stopping && running.len() < self.at_once && blocked < waiting.len() {
                let Some(index) = waiting.pop_front() else {
                    break;
                };
                match self.begin(index, &display)? {
                    Some(one) => running.push(one),
                    None => {
                        blocked += 1;
                        waiting.push_back(index);
                    }
                }
            }
            if running.is_empty() && (stopping || waiting.is_empty()) {
                break;
            }
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                looked = Some(Instant::now());
                let done = outcome.skipped + outcome.finished + outcome.failed.len();
                display.show(&self.lines(&running, &waiting, &mut pace, done));
            }
            std::thread::sleep(POLL);
        }
        display.clear();
        outcome.interrupted &=
            !waiting.is_empty() || outcome.finished + outcome.skipped < self.jobs.len();
        Ok(outcome)
    }

    /// Starts what is left to do of a job; none where another process is still at work in its folder.
    fn begin(&self, index: usize, display: &Display) -> Result<Option<Running>> {
        let job = &self.jobs[index];
        let state = job.state()?;
        let mut record = Record::read(&job.folder)?.unwrap_or_default();
        // Before a new call writes into the log.
        record.end_training(&job.folder);
        let call = match state {
            State::Done { .. } | State::Evaluate { .. } => self.program.evaluate(job)?,
            State::Start | State::Resume { .. } => self.program.train(job)?,
        };
        let Some(call) = call else {
            return Ok(None);
        };
        let what = match state {
            State::Resume { step } => format!("training from step {step} on"),
            State::Start => "training".to_string(),
            _ => "evaluation".to_string(),
        };
        display.say(&format!("{}: {what}", job.name()));
        record.row.clone_from(&job.row);
        record.seed = job.seed;
        record.limit_seconds = job.seconds;
        record.failure = None;
        if call.command == "train" {
            record.begin_training();
            record.machine.clone_from(&self.machine);
        }
        record.write(&job.folder)?;
        Ok(Some(Running {
            index,
            call,
            record,
        }))
    }

    /// Sees whether a process has ended and what that means; gives back what is still being worked on.
    fn look_after(
        &self,
        mut one: Running,
        outcome: &mut Outcome,
        pace: &mut Pace,
        display: &Display,
    ) -> Result<Option<Running>> {
        let job = &self.jobs[one.index];
        let ended = one.call.ended()?;
        let is_training = one.call.command == "train";
        let Some(status) = ended else {
            return Ok(Some(one));
        };
        one.record.end_training(&job.folder);
        one.record.write(&job.folder)?;
        let state = job.state()?;
        let is_done = match state {
            State::Done { .. } => true,
            State::Evaluate { .. } => is_training,
            _ => false,
        };
        if outcome.interrupted && !(status.success() && matches!(state, State::Done { .. })) {
            // What it was asked to leave undone is no failure.
            return Ok(None);
        }
        if !status.success() || !is_done {
            let mut note = one.call.failure(status);
            if status.success() {
                note.lines
                    .push("error: it left its work undone".to_string());
            }
            self.failed(job, one.record, note, outcome, display)?;
            return Ok(None);
        }
        if is_training {
            let next = self.begin(one.index, display)?;
            if next.is_none() {
                let reason =
                    "another process evaluates it: call again when it has ended".to_string();
                outcome.failed.push((job.name(), reason));
            }
            return Ok(next);
        }
        one.record.evaluation_seconds = one.call.elapsed().as_secs_f64();
        one.record.write(&job.folder)?;
        pace.evaluated(one.record.evaluation_seconds);
        outcome.finished += 1;
        display.say(&format!("{}: done", job.name()));
        Ok(None)
    }

    fn failed(
        &self,
        job: &Job,
        mut record: Record,
        note: FailureNote,
        outcome: &mut Outcome,
        display: &Display,
    ) -> Result<()> {
        let reason = note.reason();
        display.say(&format!("{}: {reason}", job.name()));
        outcome.failed.push((job.name(), reason));
        record.failure = Some(note);
        record
            .write(&job.folder)
            .context("cannot record the failure")
    }

    /// A line per job that is being worked on, and one for all.
    fn lines(
        &self,
        running: &[Running],
        waiting: &VecDeque<usize>,
        pace: &mut Pace,
        done: usize,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let mut seconds = 0.0;
        for one in running {
            let job = &self.jobs[one.index];
            let steps = logged(&job.folder);
            if one.call.command == "train" {
                pace.saw(one.index, &steps);
            }
            let (line, left) = pace.of_running(one.index, one.call.command, one.call.elapsed());
            seconds += left.unwrap_or(f64::NAN);
            lines.push(format!("{}  {line}", job.name()));
        }
        for &index in waiting {
            seconds += pace.left(index).unwrap_or(f64::NAN);
        }
        let at_once = self.at_once.min(running.len() + waiting.len()).max(1);
        let left = duration(seconds / at_once as f64);
        lines.push(format!(
            "{done} of {} done, {left} left",
            runs(self.jobs.len())
        ));
        lines
    }
}

/// A number of runs in words.
pub fn runs(count: usize) -> String {
    match count {
        1 => "1 run".to_string(),
        count => format!("{count} runs"),
    }
}

#[cfg(test)]
mod tests;
