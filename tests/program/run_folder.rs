//! What is in a run folder is never lost, and what happens to it is told.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::run::{TINY, checkpoint, failure, train, weights};

const OFTEN: [&str; 2] = ["--set", "run.checkpoint_every=1"];

fn logged(out: &Path) -> Vec<u64> {
    let text = fs::read_to_string(out.join("log.jsonl")).unwrap();
    let step = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["step"].as_u64().unwrap()
    };
    text.lines().map(step).collect()
}

/// Everything in a folder but locks: paths and contents.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(place) = folders.pop() {
        for entry in fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(".lock") {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A run that goes on by itself, for a test to interfere with.
fn start(out: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("dp-sims"));
    command.args([
        "train",
        "quickstart",
        "--no-tui",
        "--backend",
        "flex",
        "--out",
    ]);
    command.arg(out).args(arguments);
    for setting in TINY {
        command.arg("--set").arg(setting);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits until something is the case; a minute is enough for any machine.
fn wait(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn has_steps(out: &Path, steps: usize) -> bool {
    fs::read_to_string(out.join("log.jsonl")).is_ok_and(|text| text.lines().count() >= steps)
}

#[test]
fn a_used_folder_is_kept_unless_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, &["--steps", "2"]).assert().success();
    // No checkpoint is left, but a log.
    fs::remove_dir_all(out.join("checkpoints")).unwrap();
    let before = contents(&out);
    let message = failure(train(&out, &["--steps", "2"]), 2);
    for remedy in ["--resume auto", "--overwrite", "--out"] {
        assert!(message.contains(remedy), "{remedy}: {message}");
    }
    let both = ["--steps", "2", "--overwrite", "--resume", "auto"];
    let message = failure(train(&out, &both), 2);
    assert!(message.contains("--overwrite"), "{message}");
    assert!(contents(&out) == before);
    train(&out, &["--steps", "1", "--overwrite"])
        .assert()
        .success();
    assert_eq!(logged(&out), [1]);
    assert!(checkpoint(&out, 1).exists());
    assert!(!out.join("previews/000002.png").exists());
}

#[test]
fn foreign_files_are_passed_over_and_none_usable_is_not_none() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, &[&["--steps", "2"], &OFTEN[..]].concat())
        .assert()
        .success();
    for step in [1, 2] {
        fs::write(checkpoint(&out, step).join("notes of mine.txt"), "text").unwrap();
    }
    let more = [&["--steps", "3", "--resume", "auto"], &OFTEN[..]].concat();
    train(&out, &more).assert().success();
    assert_eq!(logged(&out), [1, 2, 3]);

    for step in [1, 2, 3] {
        fs::write(checkpoint(&out, step).join("state.json"), "damaged").unwrap();
    }
    let before = contents(&out);
    let message = failure(train(&out, &["--steps", "4", "--resume", "auto"]), 2);
    assert!(
        message.contains("3 checkpoints and none can be used"),
        "{message}"
    );
    assert!(message.contains("--overwrite"), "{message}");
    assert!(contents(&out) == before);
}

#[test]
fn going_back_sets_aside_and_auto_follows_what_was_written_last() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let every = |steps: &'static str| [&["--steps", steps], &OFTEN[..]].concat();
    let keep = ["--set", "run.keep_checkpoints=0"];
    train(&out, &[&every("4"), &keep[..]].concat())
        .assert()
        .success();
    let abandoned = weights(&checkpoint(&out, 4));
    let first = checkpoint(&out, 1);
    let back = [
        "--resume",
        first.to_str().unwrap(),
        "--set",
        "optimizer.lr_generator=0.01",
    ];
    let output = train(&out, &[&every("2"), &back[..]].concat())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("3 checkpoints, 3 steps of the log, 1 preview"),
        "{told}"
    );
    train(&out, &[&every("5"), &["--resume", "auto"][..]].concat())
        .assert()
        .success();
    assert_eq!(logged(&out), [1, 2, 3, 4, 5]);
    let config = fs::read_to_string(checkpoint(&out, 5).join("config.toml")).unwrap();
    assert!(config.contains("lr_generator = 0.01"), "{config}");
    let aside = out.join("abandoned/step-000004");
    assert!(weights(&aside) == abandoned);
    assert!(weights(&checkpoint(&out, 4)) != abandoned);
    // It can be gone back to in turn, and other commands read it.
    let back = ["--steps", "5", "--resume", aside.to_str().unwrap()];
    train(&out, &back).assert().success();
    // What has nothing left to do changes nothing.
    let before = contents(&out);
    let back = ["--steps", "1", "--resume", first.to_str().unwrap()];
    let output = train(&out, &back).assert().success().get_output().clone();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("nothing to do")
    );
    assert!(contents(&out) == before);
}

#[test]
fn a_checkpoint_of_another_folder_does_not_mix_with_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let [out, other, new] = ["run", "other", "new"].map(|name| folder.path().join(name));
    train(&out, &["--steps", "1"]).assert().success();
    train(&other, &["--steps", "2"]).assert().success();
    let before = contents(&other);
    let from = ["--steps", "3", "--resume", out.to_str().unwrap()];
    let message = failure(train(&other, &from), 2);
    assert!(message.contains("already holds a run"), "{message}");
    assert!(contents(&other) == before);
    train(&new, &from).assert().success();
    assert_eq!(logged(&new), [2, 3]);
}

#[test]
fn two_runs_do_not_share_a_folder_and_a_killed_one_lets_go_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut first = start(&out, &["--steps", "100000"]);
    wait("step", || has_steps(&out, 2));
    let message = failure(train(&out, &["--steps", "2", "--resume", "auto"]), 2);
    let process = format!("process {}", first.id());
    assert!(
        message.contains("in use") && message.contains(&process),
        "{message}"
    );
    let message = failure(train(&out, &["--steps", "2", "--overwrite"]), 2);
    assert!(message.contains("in use"), "{message}");
    // Looking is no use.
    train(&out, &["--steps", "2", "--dry-run"])
        .assert()
        .success();
    first.kill().unwrap();
    first.wait().unwrap();
    train(&out, &["--steps", "2", "--resume", "auto"])
        .assert()
        .success();
    assert_eq!(logged(&out), [1, 2]);
}

/// The losses are seen one step after the other, the weights at a checkpoint.
#[test]
fn a_run_that_is_not_finite_ends_soon_and_keeps_what_was_good() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, &["--steps", "1"]).assert().success();
    let good = weights(&checkpoint(&out, 1));
    let sick = [
        "--steps",
        "100",
        "--resume",
        "auto",
        "--set",
        "run.keep_checkpoints=1",
        "--set",
        "optimizer.lr_generator=1000",
        "--set",
        "optimizer.lr_discriminator=1000",
    ];
    for often in ["run.checkpoint_every=1", "run.checkpoint_every=1000"] {
        let message = failure(train(&out, &[&sick[..], &["--set", often]].concat()), 1);
        assert!(
            message.contains("not finite") && message.contains("step"),
            "{message}"
        );
        let named = if often.ends_with("=1") {
            "safetensors"
        } else {
            "statistics"
        };
        assert!(message.contains(named), "{message}");
        assert!(logged(&out).len() <= 1 + 20, "{:?}", logged(&out));
        assert!(weights(&checkpoint(&out, 1)) == good);
        assert!(!checkpoint(&out, 2).exists());
    }
    train(&out, &["--steps", "2", "--resume", "auto"])
        .assert()
        .success();
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let program = assert_cmd::cargo::cargo_bin!("dp-sims");
    // As `nohup` and shells without job control start what runs in the background.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\""])
        .arg(program);
    command.args([
        "train",
        "quickstart",
        "--no-tui",
        "--backend",
        "flex",
        "--out",
    ]);
    command.arg(&out).args(["--steps", "100000"]);
    for setting in TINY {
        command.arg("--set").arg(setting);
    }
    let mut run = command.stdout(Stdio::null()).spawn().unwrap();
    let send = |signal: &str| {
        let sent = Command::new("kill")
            .args([signal, &run.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    };
    wait("step", || has_steps(&out, 2));
    send("-HUP");
    send("-INT");
    let steps = fs::read_to_string(out.join("log.jsonl"))
        .unwrap()
        .lines()
        .count();
    wait("further step", || has_steps(&out, steps + 5));
    send("-TERM");
    // A scheduler that sends it starts the program again.
    assert_eq!(run.wait().unwrap().code(), Some(75));
    let latest = dp_sims::checkpoint::latest_whole(&out.join("checkpoints")).unwrap();
    assert!(latest.checkpoint.is_some());
}

/// What Slurm and others do with a job.
#[cfg(unix)]
#[test]
fn a_scheduler_has_checkpoints_written_and_runs_ended() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let seldom = ["--steps", "100000", "--set", "run.checkpoint_every=100000"];
    let mut run = start(&out, &seldom);
    let send = |signal: &str| {
        let sent = Command::new("kill")
            .args([signal, &run.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    };
    let newest = || {
        let latest = dp_sims::checkpoint::latest_whole(&out.join("checkpoints")).unwrap();
        latest.checkpoint.map(|checkpoint| checkpoint.step())
    };
    wait("step", || has_steps(&out, 2));
    assert_eq!(newest(), None);
    send("-USR1");
    wait("checkpoint", || newest().is_some());
    let asked_for = newest().unwrap();
    wait("further step", || has_steps(&out, asked_for as usize + 2));
    send("-TERM");
    assert_eq!(run.wait().unwrap().code(), Some(75));
    assert!(newest().unwrap() > asked_for);

    // The same call goes on, until its time is up.
    let again = [&seldom[..], &["--resume", "auto", "--max-hours", "0.002"]].concat();
    let output = start(&out, &again).wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(75), "{message}");
    assert!(message.contains("`--resume auto` goes on"), "{message}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("the time of --max-hours is up"),
        "{printed}"
    );
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_removed_in_mid_run_is_told_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let run = start(&out, &["--steps", "40"]);
    wait("step", || has_steps(&out, 3));
    // The run writes meanwhile: a file may appear behind what was removed.
    while fs::remove_dir_all(&out).is_err() {}
    let output = run.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("was removed, or the lock in it"), "{told}");
    assert_eq!(logged(&out), (1..=40).collect::<Vec<_>>());
    assert!(checkpoint(&out, 40).exists());
}
