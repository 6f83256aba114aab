mod going_back;
mod metrics;
#[cfg(feature = "distributed")]
mod ranks;

use std::path::Path;
use std::sync::{Arc, Mutex};

use dp_sims_backends::FlexAutodiff;

use super::*;
use crate::events::Consumer;

/// Writes down what it is told of, in order.
struct Listener(Arc<Mutex<Vec<String>>>);

impl Consumer for Listener {
    fn on_event(&mut self, event: &TrainEvent) -> Result<()> {
        let name = match event {
            TrainEvent::Started { .. } => "started".to_string(),
            TrainEvent::Step(event) => format!("step {}", event.step),
            TrainEvent::Preview { step, .. } => format!("preview {step}"),
            TrainEvent::Checkpoint { step, .. } => format!("checkpoint {step}"),
            TrainEvent::WentBack { step } => format!("back {step}"),
            TrainEvent::Warning { step, message } => format!("warning {step}: {message}"),
            TrainEvent::Finished { step, .. } => format!("finished {step}"),
            _ => "other".to_string(),
        };
        self.0.lock().unwrap().push(name);
        Ok(())
    }
}

fn experiment() -> Experiment {
    let mut experiment = Experiment::default();
    experiment.generator.base_width = 8;
    experiment.data.scenes = 8;
    (experiment.data.height, experiment.data.width) = (32, 32);
    let run = &mut experiment.run;
    (run.steps, run.batch) = (5, 2);
    (run.preview_every, run.checkpoint_every) = (2, 4);
    (run.preview_rows, run.preview_samples) = (1, 1);
    experiment.ema.refresh_batches = 1;
    experiment
}

/// The events of a run.
fn events(experiment: &Experiment) -> Vec<String> {
    let (events, outcome) = events_within(experiment, None);
    outcome.unwrap();
    events
}

/// The events of a run with a limit in time, and how it ended.
fn events_within(
    experiment: &Experiment,
    time: Option<TimeLimit>,
) -> (Vec<String>, Result<Ending>) {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::open(&experiment.data, false, folder.path()).unwrap();
    let options = RunOptions {
        out: folder.path().to_path_buf(),
        weights: Path::new("").to_path_buf(),
        resume: None,
        backend: "flex".to_string(),
        time,
        memory: None,
        ranks: Default::default(),
        named: None,
    };
    let device = Default::default();
    let run = Run::<FlexAutodiff>::new(experiment, &data, options, &device).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut fanout = Fanout::new().with("listener", Listener(heard.clone()));
    let outcome = run.train(&mut fanout, &Stop::default());
    drop(fanout);
    (
        Arc::into_inner(heard).unwrap().into_inner().unwrap(),
        outcome,
    )
}

#[test]
fn a_step_is_reported_before_what_is_made_of_it() {
    let expected = [
        "started",
        "preview 0",
        "step 1",
        "step 2",
        "preview 2",
        "step 3",
        "step 4",
        "preview 4",
        "checkpoint 4",
        "step 5",
        "preview 5",
        "checkpoint 5",
        "finished 5",
    ];
    assert_eq!(events(&experiment()), expected);
}

#[test]
fn a_step_that_is_not_finite_is_known_before_its_checkpoint() {
    let mut experiment = experiment();
    // The first update of the generator leaves nothing finite; what came before it was.
    experiment.optimizer.lr_generator = f64::INFINITY;
    let (events, outcome) = events_within(&experiment, None);
    let is_refusal = |event: &&String| event.contains("no checkpoint written");
    assert_eq!(events.iter().filter(is_refusal).count(), 2, "{events:?}");
    assert!(!events.iter().any(|event| event.starts_with("checkpoint")));
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("not finite: at step 1 loss d_fake is NaN"),
        "{error}"
    );
}

#[test]
fn a_run_whose_time_is_up_ends_as_at_its_last_step() {
    let limit = |used| {
        Some(TimeLimit {
            seconds: 1000.0,
            used,
        })
    };
    let (events, outcome) = events_within(&experiment(), limit(1000.0 - 1e-9));
    outcome.unwrap();
    let last = ["preview 1", "checkpoint 1", "step 1", "finished 1"];
    assert!(
        events.iter().all(|event| !event.starts_with("step 2")),
        "{events:?}"
    );
    for event in last {
        assert!(
            events.iter().any(|found| found == event),
            "{event} in {events:?}"
        );
    }
    let (events, _) = events_within(&experiment(), limit(0.0));
    assert!(events.contains(&"step 5".to_string()));
}

/// A run is over within ten steps of the first one that is not finite.
#[test]
fn a_run_that_is_not_finite_ends_by_itself() {
    let mut experiment = experiment();
    experiment.optimizer.lr_discriminator = f64::INFINITY;
    let run = &mut experiment.run;
    (run.steps, run.checkpoint_every, run.preview_every) = (100, 100, 100);
    let (events, outcome) = events_within(&experiment, None);
    let steps = events
        .iter()
        .filter(|event| event.starts_with("step"))
        .count();
    assert!((8..=10).contains(&steps), "{events:?}");
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("is NaN") && error.contains("step"),
        "{error}"
    );
}

/// The disk is full at a checkpoint, has room at the next one, and none at the end.
#[test]
fn a_checkpoint_that_cannot_be_written_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    (experiment.run.steps, experiment.run.checkpoint_every) = (3, 1);
    let data = Data::open(&experiment.data, false, folder.path()).unwrap();
    // A file in the place of the folder of checkpoints refuses as a disk does.
    let root = folder.path().join("checkpoints");
    std::fs::write(&root, "").unwrap();
    let options = RunOptions {
        out: folder.path().to_path_buf(),
        weights: Path::new("").to_path_buf(),
        resume: None,
        backend: "flex".to_string(),
        time: None,
        memory: None,
        ranks: Default::default(),
        named: None,
    };
    let device = Default::default();
    let run = Run::<FlexAutodiff>::new(&experiment, &data, options, &device).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let fanout = Fanout::new().with("listener", Listener(heard.clone()));
    let mut fanout = fanout.with("disk", Disk(root));
    let error = run.train(&mut fanout, &Stop::default()).unwrap_err();
    assert!(error.to_string().contains("the last checkpoint"), "{error}");
    let heard = heard.lock().unwrap().clone();
    let written: Vec<_> = heard
        .iter()
        .filter(|event| event.starts_with("checkpoint"))
        .collect();
    assert_eq!(written, ["checkpoint 2"], "{heard:?}");
    let refused = heard
        .iter()
        .filter(|event| event.contains("tries again"))
        .count();
    assert_eq!(refused, 2, "{heard:?}");
}

/// Makes room when the first checkpoint was refused, and takes it away before the third.
struct Disk(std::path::PathBuf);

impl Consumer for Disk {
    fn on_event(&mut self, event: &TrainEvent) -> Result<()> {
        match event {
            TrainEvent::Step(event) if event.step == 2 => std::fs::remove_file(&self.0)?,
            TrainEvent::Step(event) if event.step == 3 => {
                std::fs::remove_dir_all(&self.0)?;
                std::fs::write(&self.0, "")?;
            }
            _ => {}
        }
        Ok(())
    }
}
