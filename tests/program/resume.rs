use std::fs;
use std::process::Stdio;
use std::time::Duration;

use assert_cmd::Command;

use super::run::{TINY, checkpoint, failure, program, train, weights};

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

/// A run that is killed between two checkpoints resumes from the first and ends where an unbroken one does.
#[test]
fn a_killed_run_resumes_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let every = ["--steps", "12", "--set", "run.checkpoint_every=2"];
    let whole = folder.path().join("whole");
    train(&whole, &every).assert().success();
    let killed = folder.path().join("killed");
    let command = train(&killed, &every);
    let mut run = std::process::Command::new(command.get_program())
        .args(command.get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // As soon as the second checkpoint is whole, in the step behind it.
    while !checkpoint(&killed, 4).exists() {
        assert!(run.try_wait().unwrap().is_none(), "the run has ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    run.kill().unwrap();
    assert!(!run.wait().unwrap().success());
    assert!(!checkpoint(&killed, 12).exists());
    let arguments = [&every[..], &["--resume", "auto"]].concat();
    train(&killed, &arguments).assert().success();
    assert!(weights(&checkpoint(&killed, 12)) == weights(&checkpoint(&whole, 12)));
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

/// Settings of the command line stay, what was edited counts, and what is built into networks is named.
#[test]
fn an_experiment_file_that_was_edited_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("own.toml"), folder.path().join("run"));
    let write = |more: &str| {
        let text = format!("extends = \"quickstart\"\n{more}");
        fs::write(&file, text).unwrap();
    };
    let call = |more: &[&str]| {
        let mut command = program(&["train", file.to_str().unwrap(), "--backend", "flex"]);
        command.args(["--no-tui", "--out"]).arg(&out).args(more);
        command
    };
    let note = |mut command: Command| {
        let output = command.assert().success().get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    };
    write("");
    let mut first = call(&["--steps", "1"]);
    for setting in TINY {
        first.args(["--set", setting]);
    }
    first.assert().success();
    let said = note(call(&["--steps", "2", "--resume", "auto"]));
    assert!(!said.contains("note:"), "{said}");
    write("[run]\nkeep_checkpoints = 9\n");
    let said = note(call(&["--steps", "3", "--resume", "auto"]));
    assert!(
        said.contains("run.keep_checkpoints = 3 then, 9 now"),
        "{said}"
    );
    let config = fs::read_to_string(checkpoint(&out, 3).join("config.toml")).unwrap();
    for line in ["keep_checkpoints = 9", "base_width = 2"] {
        assert!(config.contains(line), "{config}");
    }
    write("[generator]\ntokens = 5\n");
    let message = failure(call(&["--steps", "4", "--resume", "auto"]), 2);
    assert!(message.contains("generator.tokens = 4, not 5"), "{message}");
}

/// The same weights may come from another file; others under the same name are named.
#[test]
fn weights_exchanged_under_the_same_name_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (out, weights) = (folder.path().join("run"), folder.path().join("weights"));
    fs::create_dir(&weights).unwrap();
    let call = |steps: &str, more: &[&str]| {
        let mut command = train(&out, &[&["--steps", steps], more].concat());
        command.arg("--weights").arg(&weights);
        command
    };
    call("1", &[]).assert().success();
    let name = "convnext_pico_scenes.safetensors";
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/model/weights");
    let mut bytes = fs::read(format!("{own}/{name}")).unwrap();
    fs::write(weights.join(name), &bytes).unwrap();
    call("2", &["--resume", "auto"]).assert().success();
    let last = bytes.len() - 4;
    bytes[last] ^= 1;
    fs::write(weights.join(name), &bytes).unwrap();
    let message = failure(call("3", &["--resume", "auto"]), 2);
    assert!(message.contains(name), "{message}");
    assert!(message.contains("other weights of `backbone`"), "{message}");
}

/// A run that is killed between a checkpoint and what is measured of it measures it when it goes on, or when nothing
/// else is left to do.
#[test]
fn an_evaluation_that_was_cut_off_is_made_by_the_resumed_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let best = run.join("best");
    let go_on = |steps: &str| {
        let mut command = train(&run, &["--steps", steps, "--resume", "auto"]);
        for setting in [
            "evaluation.every=2",
            "evaluation.metrics=[\"fd-convnext-pico-scenes\"]",
            "evaluation.best=fd-convnext-pico-scenes",
            "evaluation.images=6",
        ] {
            command.args(["--set", setting]);
        }
        let output = command.assert().success().get_output().stdout.clone();
        let shown = String::from_utf8(output).unwrap();
        let count = shown.matches("\nevaluation ").count();
        (count, shown)
    };
    let (count, shown) = go_on("2");
    assert_eq!(count, 1, "{shown}");
    let expected = weights(&best.join("step-000002"));
    // What a kill right after the checkpoint leaves of the first evaluation.
    fs::remove_dir_all(&best).unwrap();
    let (count, shown) = go_on("2");
    assert_eq!(count, 1, "{shown}");
    assert!(
        weights(&best.join("step-000002")) == expected,
        "not the same bytes"
    );
    let (count, shown) = go_on("2");
    assert!(count == 0 && shown.contains("nothing to do"), "{shown}");
    fs::remove_dir_all(&best).unwrap();
    let (count, shown) = go_on("4");
    assert_eq!(count, 2, "{shown}");
}
