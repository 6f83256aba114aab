//! The queue with a script in the place of the program.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dp_sims_backends::{BackendKind, Selected};

use super::*;
use crate::experiments::testing::{job, results, write_checkpoint, write_results};

/// A program that writes down how it was called and does what `body` says; `$run` is the run folder.
fn program(folder: &Path, body: &str) -> Program {
    let path = folder.join("program.sh");
    let text = format!(
        "#!/bin/sh\necho \"$1 $RAYON_NUM_THREADS $*\" >> {0}/calls\n\
         for a in \"$@\"; do case \"$last\" in --out) out=\"$a\";; esac; last=\"$a\"; done\n{body}\n",
        folder.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Program {
        path,
        selected: Selected {
            kind: BackendKind::Flex,
            device: 0,
        },
        threads: 3,
        weights: Some("/weights".into()),
    }
}

fn jobs(folder: &Path, names: &[&str]) -> Vec<Job> {
    let one = |name: &&str| {
        let mut job = job(&folder.join(name));
        job.row = name.to_string();
        job
    };
    names.iter().map(one).collect()
}

fn queue(folder: &Path, body: &str, jobs: Vec<Job>) -> Queue {
    Queue {
        jobs,
        program: program(folder, body),
        at_once: 1,
        machine: "flex 0".to_string(),
    }
}

fn calls(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
    text.lines().map(String::from).collect()
}

#[test]
fn what_is_done_is_skipped_and_what_is_trained_is_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(folder.path(), &["done", "trained"]);
    for job in &jobs {
        job.prepare().unwrap();
        write_checkpoint(job, 5);
    }
    let found = results(5, &[("fd-vgg16", 1.0)]);
    write_results(&jobs[0].folder, &found);
    write_results(folder.path(), &found);
    // Evaluates by copying results that are there.
    let body = format!(
        "mkdir -p $out; cp {}/evaluation/results.json $out/",
        folder.path().display()
    );
    let queue = queue(folder.path(), &body, jobs);
    let outcome = queue.run(&Stop::default()).unwrap();
    assert_eq!((outcome.skipped, outcome.finished), (1, 1));
    assert!(outcome.failed.is_empty() && !outcome.interrupted);
    let called = calls(folder.path());
    assert_eq!(called.len(), 1, "{called:?}");
    for part in [
        "evaluate 3 ",
        "trained/evaluation",
        "--metrics fd-vgg16",
        "--weights /weights",
    ] {
        assert!(called[0].contains(part), "{part} in {called:?}");
    }
    let record = Record::read(&queue.jobs[1].folder).unwrap().unwrap();
    assert_eq!((record.row.as_str(), record.trainings), ("trained", 0));
    let again = queue.run(&Stop::default()).unwrap();
    assert_eq!(
        (again.skipped, again.finished, calls(folder.path()).len()),
        (2, 0, 1)
    );
}

#[test]
fn a_failure_is_recorded_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(folder.path(), &["a", "b"]);
    let body = "case \"$out\" in */a) echo 'error: no weights' >&2; exit 2;; esac; exit 0";
    let queue = queue(folder.path(), body, jobs);
    let outcome = queue.run(&Stop::default()).unwrap();
    let failed: Vec<_> = outcome
        .failed
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(failed, ["a seed 1", "b seed 1"]);
    assert!(
        outcome.failed[0].1.contains("error: no weights"),
        "{outcome:?}"
    );
    // A program that ends well without a checkpoint has not trained.
    assert!(
        outcome.failed[1].1.contains("left its work undone"),
        "{outcome:?}"
    );
    let record = Record::read(&queue.jobs[0].folder).unwrap().unwrap();
    assert_eq!(record.failure.unwrap().lines, ["error: no weights"]);
    let log = std::fs::read_to_string(queue.jobs[0].folder.join("train.log")).unwrap();
    assert!(log.contains("== dp-sims train\nerror: no weights"), "{log}");
    let called = calls(folder.path());
    assert!(called[0].contains("--resume auto") && called[0].contains("a/experiment.toml"));
    queue.run(&Stop::default()).unwrap();
    assert_eq!(calls(folder.path()).len(), 4, "failed jobs are tried again");
}

#[test]
fn asked_to_stop_it_ends_the_input_of_training_and_begins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(folder.path(), &["a", "b"]);
    let queue = queue(folder.path(), "cat > /dev/null; echo stopped", jobs);
    let stop = Stop::default();
    let outcome = std::thread::scope(|scope| {
        let worker = scope.spawn(|| queue.run(&stop).unwrap());
        while calls(folder.path()).is_empty() {
            std::thread::sleep(POLL);
        }
        stop.interrupter().stop(None);
        worker.join().unwrap()
    });
    assert!(
        outcome.interrupted && outcome.failed.is_empty(),
        "{outcome:?}"
    );
    assert_eq!(calls(folder.path()).len(), 1);
    let log = std::fs::read_to_string(queue.jobs[0].folder.join("train.log")).unwrap();
    assert!(log.ends_with("stopped\n"), "{log}");
}

#[test]
fn a_process_left_over_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = jobs(folder.path(), &["a"]);
    let queue = queue(folder.path(), "sleep 1", jobs);
    let left_over = queue.program.train(&queue.jobs[0]).unwrap().unwrap();
    // Nothing is started beside it, although the file is no longer open here.
    assert!(queue.program.train(&queue.jobs[0]).unwrap().is_none());
    let started = Instant::now();
    queue.run(&Stop::default()).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(900));
    assert_eq!(calls(folder.path()).len(), 2);
    left_over.end();
}

#[test]
fn other_settings_are_refused_before_anything_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let mut jobs = jobs(folder.path(), &["a", "b"]);
    jobs[1].prepare().unwrap();
    jobs[1].experiment.run.batch = 9;
    let queue = queue(folder.path(), "", jobs);
    let message = queue.run(&Stop::default()).unwrap_err().to_string();
    assert!(message.contains("run.batch = 4, not 9"), "{message}");
    assert!(calls(folder.path()).is_empty());
}
