use super::*;
use crate::experiments::testing::{job, results, write_checkpoint, write_results};

#[test]
fn the_folder_says_what_is_left_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(&folder.path().join("run"));
    let state = || job.state().unwrap();
    assert_eq!(state(), State::Start);
    job.prepare().unwrap();
    assert_eq!(state(), State::Start, "prepared and not begun");
    write_checkpoint(&job, 3);
    assert_eq!(state(), State::Resume { step: 3 });
    write_checkpoint(&job, 5);
    assert_eq!(state(), State::Evaluate { step: 5 });
    write_results(&job.folder, &results(5, &[("fd-vgg16", 1.0)]));
    assert_eq!(state(), State::Done { step: 5 });

    // A damaged last checkpoint is trained again from the one before.
    let file = job.folder.join("checkpoints/step-000005/ema.safetensors");
    std::fs::write(file, [9, 9]).unwrap();
    assert_eq!(state(), State::Resume { step: 3 });
}

#[test]
fn an_evaluation_that_answers_something_else_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let own = job(folder.path());
    write_checkpoint(&own, 5);
    write_results(
        &own.folder,
        &results(5, &[("fd-vgg16", 1.0), ("perceptual-distance", 1.0)]),
    );
    let state = |change: &dyn Fn(&mut Judging)| {
        let mut job = own.clone();
        change(&mut job.judging);
        job.state().unwrap()
    };
    let (done, evaluate) = (State::Done { step: 5 }, State::Evaluate { step: 5 });
    assert_eq!(state(&|_| ()), done);
    assert_eq!(state(&|judging| judging.metrics.push("lpips".into())), done);
    assert_eq!(
        state(&|judging| judging.metrics = vec!["fd_vgg16".into()]),
        done
    );
    assert_eq!(
        state(&|judging| judging.limit = Some(100)),
        done,
        "there are 20"
    );
    assert_eq!(
        state(&|judging| judging.protocol = Some("folder-v1".into())),
        done
    );
    assert_eq!(
        state(&|judging| judging.metrics.push("kd-vgg16".into())),
        evaluate
    );
    assert_eq!(
        state(&|judging| judging.metrics.push("timing".into())),
        evaluate
    );
    assert_eq!(state(&|judging| judging.limit = Some(10)), evaluate);
    assert_eq!(
        state(&|judging| judging.protocol = Some("ade20k-256-v1".into())),
        evaluate
    );
    write_results(&own.folder, &results(4, &[("fd-vgg16", 1.0)]));
    assert_eq!(own.state().unwrap(), evaluate, "of another checkpoint");
    std::fs::write(own.folder.join("evaluation/results.json"), "{").unwrap();
    assert_eq!(own.state().unwrap(), evaluate);
}

#[test]
fn equal_time_ends_a_run_before_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path());
    job.seconds = Some(2.0);
    let record = Record {
        limit_seconds: job.seconds,
        ..Record::default()
    };
    record.write(&job.folder).unwrap();
    write_checkpoint(&job, 3);
    let log = |seconds: f64| {
        let line = |step: u64| format!("{{\"step\":{step},\"seconds\":{seconds}}}\n");
        let text: String = (1..=4).map(line).collect();
        std::fs::write(folder.path().join("log.jsonl"), text).unwrap();
    };
    log(0.6);
    assert_eq!(job.state().unwrap(), State::Resume { step: 3 });
    log(0.7);
    assert_eq!(job.state().unwrap(), State::Evaluate { step: 3 });
    job.seconds = Some(3.0);
    let message = job.state().unwrap_err().to_string();
    assert!(
        message.contains("limit of 2 s, not a limit of 3 s"),
        "{message}"
    );
}

#[test]
fn other_settings_are_refused_and_the_first_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let own = job(folder.path());
    own.prepare().unwrap();
    let changed = |change: &dyn Fn(&mut Experiment)| {
        let mut job = own.clone();
        change(&mut job.experiment);
        job.state().map_err(|error| error.to_string())
    };
    let message = changed(&|e| {
        e.backbone.weights = crate::config::Weights::Random;
        e.run.steps = 7;
    })
    .unwrap_err();
    assert!(message.contains("run.steps = 5, not 7"), "{message}");
    assert!(message.contains("--out"), "{message}");
    let message = changed(&|e| e.optimizer.clip_norm = Some(1.0)).unwrap_err();
    assert!(
        message.contains("optimizer.clip_norm = none, not 1"),
        "{message}"
    );
    // Where the data are, and what is said about the experiment, change nothing.
    changed(&|e| e.data.root = Some("elsewhere".into())).unwrap();
    changed(&|e| e.about.shows = Some("more".into())).unwrap();

    // A run that was trained by hand counts too.
    std::fs::remove_file(own.folder.join(EXPERIMENT)).unwrap();
    write_checkpoint(&own, 3);
    assert_eq!(own.state().unwrap(), State::Resume { step: 3 });
    let message = changed(&|e| e.run.batch = 9).unwrap_err();
    assert!(message.contains("run.batch"), "{message}");
}
