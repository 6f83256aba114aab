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
    events_within(experiment, None)
}

fn events_within(experiment: &Experiment, time: Option<TimeLimit>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::open(&experiment.data, false, folder.path()).unwrap();
    let options = RunOptions {
        out: folder.path().to_path_buf(),
        weights: Path::new("").to_path_buf(),
        resume: None,
        backend: "flex".to_string(),
        time,
    };
    let device = Default::default();
    let run = Run::<FlexAutodiff>::new(experiment, &data, options, &device).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut fanout = Fanout::new().with("listener", Listener(heard.clone()));
    run.train(&mut fanout, &Stop::default()).unwrap();
    drop(fanout);
    Arc::into_inner(heard).unwrap().into_inner().unwrap()
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
    let events = events(&experiment);
    let is_refusal = |event: &&String| event.contains("no checkpoint written");
    assert_eq!(events.iter().filter(is_refusal).count(), 2, "{events:?}");
    assert!(!events.iter().any(|event| event.starts_with("checkpoint")));
}

#[test]
fn a_run_whose_time_is_up_ends_as_at_its_last_step() {
    let limit = |used| {
        Some(TimeLimit {
            seconds: 1000.0,
            used,
        })
    };
    let events = events_within(&experiment(), limit(1000.0 - 1e-9));
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
    assert!(events_within(&experiment(), limit(0.0)).contains(&"step 5".to_string()));
}
