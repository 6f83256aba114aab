use std::collections::BTreeMap;
use std::time::Duration;

use super::super::children::Logged;
use super::super::job::{Job, State};
use crate::runtime::units::duration;

/// Steps whose median tells the pace.
const WINDOW: usize = 50;

/// What is known about how long jobs take.
pub(super) struct Pace {
    jobs: Vec<Expected>,
    /// Seconds of a step by row.
    steps: BTreeMap<String, f64>,
    /// Seconds of evaluations.
    evaluations: Vec<f64>,
}

/// What a job still needs.
struct Expected {
    row: String,
    step: u64,
    steps: u64,
    limit: Option<f64>,
    is_trained: bool,
}

impl Pace {
    /// Of jobs that are in these states.
    pub(super) fn new(jobs: &[Job], states: Vec<State>) -> Self {
        let jobs = jobs.iter().zip(states).map(|(job, state)| Expected {
            row: job.row.clone(),
            step: match state {
                State::Start => 0,
                State::Resume { step } | State::Evaluate { step } | State::Done { step } => step,
            },
            steps: job.experiment.run.steps,
            limit: job.seconds,
            is_trained: matches!(state, State::Evaluate { .. } | State::Done { .. }),
        });
        Self {
            jobs: jobs.collect(),
            steps: BTreeMap::new(),
            evaluations: Vec::new(),
        }
    }

    /// Takes note of the last steps of a job.
    pub(super) fn saw(&mut self, index: usize, steps: &[Logged]) {
        let Some(last) = steps.last() else { return };
        self.jobs[index].step = last.step;
        // The first step prepares what later ones use.
        let kept = steps.iter().filter(|logged| logged.step > 1);
        let mut seconds: Vec<f64> = kept.map(|logged| logged.seconds).collect();
        let from = seconds.len().saturating_sub(WINDOW);
        let seconds = &mut seconds[from..];
        seconds.sort_by(f64::total_cmp);
        if let Some(median) = seconds.get(seconds.len() / 2) {
            self.steps.insert(self.jobs[index].row.clone(), *median);
        }
    }

    /// Takes note of an evaluation.
    pub(super) fn evaluated(&mut self, seconds: f64) {
        self.evaluations.push(seconds);
    }

    /// Seconds that a job still needs; none where nothing like it was seen. A row that was not seen is
    /// taken to be like the others.
    pub(super) fn left(&self, index: usize) -> Option<f64> {
        let job = &self.jobs[index];
        let training = if job.is_trained {
            0.0
        } else if let Some(limit) = job.limit {
            limit
        } else {
            let others = self.steps.values();
            let mean = others.clone().sum::<f64>() / others.len() as f64;
            let seconds = self.steps.get(&job.row).copied().unwrap_or(mean);
            job.steps.saturating_sub(job.step) as f64 * seconds
        };
        let count = self.evaluations.len().max(1) as f64;
        let left = training + self.evaluations.iter().sum::<f64>() / count;
        left.is_finite().then_some(left)
    }

    /// What a job that is being worked on shows, and the seconds it still needs.
    pub(super) fn of_running(
        &mut self,
        index: usize,
        command: &str,
        elapsed: Duration,
    ) -> (String, Option<f64>) {
        if command != "train" {
            self.jobs[index].is_trained = true;
            let left = self.left(index).map(|left| left - elapsed.as_secs_f64());
            let line = format!("evaluation, {}", duration(elapsed.as_secs_f64()));
            return (line, left.map(|left| left.max(0.0)));
        }
        let left = self.left(index);
        let job = &self.jobs[index];
        let line = match (job.limit, left) {
            (Some(limit), _) => {
                format!("step {}, {} of training in all", job.step, duration(limit))
            }
            (None, Some(left)) => {
                format!("step {}/{}  {} left", job.step, job.steps, duration(left))
            }
            (None, None) => format!("step {}/{}", job.step, job.steps),
        };
        (line, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::testing::job;

    fn logged(step: u64, seconds: f64) -> Logged {
        Logged {
            step,
            seconds,
            memory: 0,
        }
    }

    #[test]
    fn time_left_is_that_of_steps_and_evaluations_like_those_seen() {
        let folder = tempfile::tempdir().unwrap();
        let a = job(folder.path());
        let mut b = a.clone();
        b.row = "b".to_string();
        let states = vec![State::Start, State::Start, State::Evaluate { step: 5 }];
        let mut pace = Pace::new(&[a.clone(), b, a], states);
        assert_eq!(pace.left(0), None);
        pace.saw(0, &[logged(1, 9.0), logged(2, 2.0), logged(3, 2.0)]);
        assert_eq!(
            pace.left(0),
            Some(4.0),
            "two steps are left, the first is no measure"
        );
        assert_eq!(pace.left(1), Some(10.0), "another row is taken to be alike");
        assert_eq!(pace.left(2), Some(0.0));
        pace.evaluated(3.0);
        assert_eq!(pace.left(2), Some(3.0));
        let (line, left) = pace.of_running(0, "train", Duration::ZERO);
        assert_eq!((line.as_str(), left), ("step 3/5  7s left", Some(7.0)));
        let (line, left) = pace.of_running(2, "evaluate", Duration::from_secs(1));
        assert_eq!((line.as_str(), left), ("evaluation, 1s", Some(2.0)));
    }
}
