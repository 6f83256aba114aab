use std::fs;
use std::time::Duration;

use super::run::{checkpoint, failure, train, weights};

#[test]
fn resuming_gives_the_bytes_of_an_unbroken_run() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    train(&whole, &["--steps", "4"]).assert().success();
    let broken = folder.path().join("broken");
    train(&broken, &["--steps", "2"]).assert().success();
    train(&broken, &["--steps", "4", "--resume", "auto"])
        .assert()
        .success();

    let (expected, found) = (
        weights(&checkpoint(&whole, 4)),
        weights(&checkpoint(&broken, 4)),
    );
    assert_eq!(expected.len(), 8);
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
    assert_ne!(expected, weights(&checkpoint(&broken, 2)));
    let log = fs::read_to_string(broken.join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 4);
}

/// A killed run resumes from its last checkpoint and ends where an unbroken one does.
#[test]
fn a_killed_run_resumes_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let every = ["--steps", "6", "--set", "run.checkpoint_every=1"];
    let whole = folder.path().join("whole");
    train(&whole, &every).assert().success();
    let killed = folder.path().join("killed");
    // The limit sends SIGKILL; where it falls depends on the machine, which is the point.
    let _ = train(&killed, &every)
        .timeout(Duration::from_millis(1500))
        .output();
    let arguments = [&every[..], &["--resume", "auto"]].concat();
    train(&killed, &arguments).assert().success();
    assert!(weights(&checkpoint(&killed, 6)) == weights(&checkpoint(&whole, 6)));
}

#[test]
fn a_damaged_checkpoint_is_refused_and_auto_takes_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, &["--steps", "2", "--set", "run.checkpoint_every=1"])
        .assert()
        .success();
    let damaged = checkpoint(&out, 2);
    let file = damaged.join("generator.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();

    let path = damaged.to_str().unwrap();
    let message = failure(train(&out, &["--resume", path]), 2);
    assert!(message.contains("generator.safetensors"), "{message}");

    let arguments = ["--steps", "2", "--resume", "auto"];
    let output = train(&out, &arguments)
        .assert()
        .success()
        .get_output()
        .clone();
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(
        warning.contains("skipping") && warning.contains("step-000002"),
        "{warning}"
    );
    dp_sims::checkpoint::open(&damaged).unwrap();
}

#[test]
fn a_checkpoint_of_another_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, &["--steps", "1"]).assert().success();
    let mut command = train(&out, &["--resume", "auto"]);
    command.args(["--set", "generator.base_width=3"]);
    let message = failure(command, 2);
    assert!(
        message.contains("generator.base_width = 2, not 3"),
        "{message}"
    );
}
