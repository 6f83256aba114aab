//! Runs that lose their numbers at a step, and what becomes of them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::consumers::jsonl::{JsonLog, logged_seconds};
use crate::runtime::noise::{Draws, Purpose};
use crate::train::Ranks;
use crate::train::run_folder::LOG;

/// Numbers of a run, one of which is none at a step, so many times.
#[derive(Debug)]
struct Poisoned {
    draws: SeededDraws,
    step: u64,
    times: AtomicU32,
    /// Whether it is the last one, which is of the last rank, or the first.
    is_last: bool,
}

impl Draws for Poisoned {
    fn normals(&self, counter: u64, purpose: Purpose, count: usize) -> Vec<f32> {
        let mut numbers = self.draws.normals(counter, purpose, count);
        let less = |times: u32| times.checked_sub(1);
        if counter == self.step
            && matches!(purpose, Purpose::Generator)
            && self
                .times
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
        {
            let place = if self.is_last { count - 1 } else { 0 };
            numbers[place] = f32::NAN;
        }
        numbers
    }

    fn positions(&self, counter: u64, positions: usize, count: usize) -> Vec<i32> {
        self.draws.positions(counter, positions, count)
    }

    fn coins(&self, counter: u64, classes: usize) -> Vec<bool> {
        self.draws.coins(counter, classes)
    }
}

/// A run in a folder, at whose step number so-and-so something is not finite.
pub(super) struct Case<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) folder: &'a Path,
    /// Step, and how often.
    pub(super) poison: (u64, u32),
    /// Whether the last rank gets it, or the first.
    pub(super) poisons_last: bool,
    /// Batches that are passed over from the beginning.
    pub(super) skipped: Vec<u64>,
    pub(super) more: Option<Box<dyn Consumer>>,
    pub(super) ranks: Ranks,
}

struct Handed(Box<dyn Consumer>);

impl Consumer for Handed {
    fn on_event(&mut self, event: &TrainEvent) -> Result<()> {
        self.0.on_event(event)
    }
}

impl<'a> Case<'a> {
    pub(super) fn new(experiment: &'a Experiment, folder: &'a Path, poison: (u64, u32)) -> Self {
        Self {
            experiment,
            folder,
            poison,
            poisons_last: false,
            skipped: Vec::new(),
            more: None,
            ranks: Ranks::default(),
        }
    }

    /// Trains from the newest checkpoint of the folder on. Gives the events and how it ended.
    pub(super) fn train(self) -> (Vec<String>, Result<Ending>) {
        let experiment = self.experiment;
        let checks = tempfile::tempdir().unwrap();
        let data = Data::open(&experiment.data, false, checks.path()).unwrap();
        let resume = crate::checkpoint::snapshot::newest_whole(self.folder).unwrap();
        let finished = resume.as_ref().map_or(0, |checkpoint| checkpoint.step());
        let options = RunOptions {
            out: self.folder.to_path_buf(),
            weights: Path::new("").to_path_buf(),
            resume,
            backend: "flex".to_string(),
            time: None,
            memory: None,
            ranks: self.ranks,
            named: None,
        };
        let device = Default::default();
        let mut run = Run::<FlexAutodiff>::new(experiment, &data, options, &device).unwrap();
        let (step, times) = self.poison;
        let draws = SeededDraws {
            seed: experiment.run.seed,
        };
        let poisoned = Poisoned {
            draws,
            step,
            times: AtomicU32::new(times),
            is_last: self.poisons_last,
        };
        run.training = run.training.with_draws(Box::new(poisoned));
        run.skipped.extend(self.skipped);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut fanout = Fanout::new().with("listener", Listener(heard.clone()));
        // What is in the folder is the business of the first rank.
        if self.ranks.rank() == 0 {
            run.hold(RunFolder::claim(self.folder).unwrap());
            let log = JsonLog::open(&self.folder.join(LOG), finished).unwrap();
            fanout = fanout.with("log", log);
        }
        if let Some(more) = self.more {
            fanout = fanout.with("more", Handed(more));
        }
        let outcome = run.train(&mut fanout, &Stop::default());
        drop(fanout);
        (
            Arc::into_inner(heard).unwrap().into_inner().unwrap(),
            outcome,
        )
    }
}

/// The files of a checkpoint.
pub(super) fn files(folder: &Path, step: u64) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.join(format!("checkpoints/step-{step:06}"))).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let named = paths.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    });
    named.collect()
}

pub(super) fn logged(folder: &Path) -> Vec<u64> {
    let text = fs::read_to_string(folder.join(LOG)).unwrap();
    let step = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["step"].as_u64().unwrap()
    };
    text.lines().map(step).collect()
}

pub(super) fn count(events: &[String], word: &str) -> usize {
    events.iter().filter(|event| event.contains(word)).count()
}

/// Six steps with a checkpoint after every second one.
pub(super) fn experiment_of_six() -> Experiment {
    let mut experiment = experiment();
    let run = &mut experiment.run;
    (run.steps, run.checkpoint_every, run.preview_every) = (6, 2, 100);
    experiment
}

/// The last checkpoint of a run that never had a batch.
fn without(experiment: &Experiment, batch: u64) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let case = Case {
        skipped: vec![batch],
        ..Case::new(experiment, folder.path(), (0, 0))
    };
    case.train().1.unwrap();
    files(folder.path(), experiment.run.steps)
}

#[test]
fn a_batch_that_takes_the_numbers_away_is_left_out() {
    let experiment = experiment_of_six();
    let folder = tempfile::tempdir().unwrap();
    let (events, outcome) = Case::new(&experiment, folder.path(), (3, 1)).train();
    assert_eq!(outcome.unwrap(), Ending::Completed);
    assert_eq!(count(&events, "back 2"), 1, "{events:?}");
    assert_eq!(count(&events, "with batch 2 step 3"), 1, "{events:?}");
    assert_eq!(files(folder.path(), 6), without(&experiment, 2));
    assert_ne!(files(folder.path(), 6), without(&experiment, 3));
    // Each step is there once, and what was abandoned is kept aside.
    assert_eq!(logged(folder.path()), [1, 2, 3, 4, 5, 6]);
    assert_eq!(logged(&folder.path().join("abandoned")), [3, 4, 5, 6]);
    assert!(logged_seconds(&folder.path().join(LOG), 6).unwrap() > 0.0);
}

#[test]
fn a_run_without_a_checkpoint_begins_anew() {
    let mut experiment = experiment_of_six();
    (experiment.run.steps, experiment.run.checkpoint_every) = (12, 100);
    let folder = tempfile::tempdir().unwrap();
    // Found after eight steps in a row.
    let (events, outcome) = Case::new(&experiment, folder.path(), (2, 1)).train();
    outcome.unwrap();
    assert_eq!(count(&events, "back 0"), 1, "{events:?}");
    assert_eq!(files(folder.path(), 12), without(&experiment, 1));
    assert_eq!(logged(folder.path()), (1..=12).collect::<Vec<_>>());
}

#[test]
fn the_third_time_ends_the_run() {
    let experiment = experiment_of_six();
    let folder = tempfile::tempdir().unwrap();
    let (events, outcome) = Case::new(&experiment, folder.path(), (5, u32::MAX)).train();
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("at step 5"), "{error}");
    assert_eq!(count(&events, "back 4"), 2, "{events:?}");
    assert_eq!(count(&events, "step 5 made the run lose"), 2, "{events:?}");
    // The last good one is left.
    assert_eq!(logged(folder.path()), [1, 2, 3, 4, 5, 6]);
    assert!(!folder.path().join("checkpoints/step-000006").exists());
    assert_eq!(files(folder.path(), 4)["state.json"], {
        let whole = tempfile::tempdir().unwrap();
        Case::new(&experiment, whole.path(), (0, 0))
            .train()
            .1
            .unwrap();
        files(whole.path(), 4)["state.json"].clone()
    });
}

/// An update that leaves the discriminator without numbers shows one step later.
#[test]
fn the_step_that_caused_it_is_found_behind_the_one_that_shows_it() {
    let mut experiment = experiment_of_six();
    experiment.optimizer.lr_discriminator = f64::INFINITY;
    let folder = tempfile::tempdir().unwrap();
    let (events, outcome) = Case::new(&experiment, folder.path(), (0, 0)).train();
    assert!(outcome.is_err());
    for batch in [0, 1] {
        let blamed = format!("with batch {batch} step 1 made");
        assert_eq!(count(&events, &blamed), 1, "{events:?}");
    }
    // Once to look for the step, and once to leave its batch out.
    assert_eq!(count(&events, "back 0"), 4, "{events:?}");
}

type At = fn(&TrainEvent) -> bool;

/// Copies the run folder, as a kill leaves it, when something happens.
struct Kill {
    at: At,
    from: std::path::PathBuf,
    to: std::path::PathBuf,
}

impl Consumer for Kill {
    fn on_event(&mut self, event: &TrainEvent) -> Result<()> {
        if (self.at)(event) {
            copy(&self.from, &self.to);
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &place),
            false => drop(fs::copy(entry.path(), place).unwrap()),
        }
    }
}

#[test]
fn a_kill_on_the_way_changes_nothing() {
    let experiment = experiment_of_six();
    let expected = without(&experiment, 2);
    let back: At = |event| matches!(event, TrainEvent::WentBack { .. });
    let later: At = |event| matches!(event, TrainEvent::Checkpoint { step: 4, .. });
    let folder = tempfile::tempdir().unwrap();
    // The same batch has the same effect again; and then the checkpoint knows of it.
    for (at, times) in [(back, 1), (later, 0)] {
        let run = folder.path().join(format!("run-{times}"));
        let killed = folder.path().join(format!("killed-{times}"));
        let kill = Kill {
            at,
            from: run.clone(),
            to: killed.clone(),
        };
        let case = Case {
            more: Some(Box::new(kill)),
            ..Case::new(&experiment, &run, (3, 1))
        };
        case.train().1.unwrap();
        assert!(!killed.join("checkpoints/step-000006").exists());
        Case::new(&experiment, &killed, (3, times))
            .train()
            .1
            .unwrap();
        assert_eq!(files(&killed, 6), expected, "{times}");
        assert_eq!(logged(&killed), [1, 2, 3, 4, 5, 6]);
    }
}
