use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;

use super::run::{TINY, checkpoint, failure, program, weights};

/// Two rows of tiny runs; the third lacks its weights where `--weights` names an empty folder.
fn write_study(folder: &Path, steps: u64, with_failure: bool) -> PathBuf {
    let mut settings: Vec<String> = TINY.iter().map(|text| format!("{text:?}")).collect();
    settings.push(format!("\"run.steps={steps}\""));
    settings.push("\"run.checkpoint_every=1\"".to_string());
    let mut text = format!(
        "name = \"mine\"\ntitle = \"Mine\"\nbase = \"quickstart\"\nsettings = [{}]\nseeds = [1, 2]\n\
         metrics = [\"fd-convnext-pico-scenes\"]\nlimit = 4\ntable = 5\n\
         [[rows]]\nname = \"full\"\n\
         paper = {{ row = \"DP-SIMS\", dataset = \"ade20k\", backbone = \"convnext_large\" }}\n\
         [[rows]]\nname = \"wo-sigmoid\"\nsettings = [\"discriminator.conditioning=batch_norm\"]\n",
        settings.join(", ")
    );
    if with_failure {
        text.push_str("[[rows]]\nname = \"broken\"\nsettings = [\"backbone.network=vgg16\", ");
        text.push_str("\"discriminator.decoder_channels=[16, 8, 8, 4]\"]\n");
    }
    let path = folder.join("study.toml");
    fs::write(&path, text).unwrap();
    path
}

fn run(folder: &Path, study: &Path, more: &[&str]) -> Command {
    let mut command = program(&["experiments", "run", "--backend", "flex"]);
    command.arg(study).arg("--out").arg(folder.join("out"));
    command.arg("--weights").arg(folder.join("weights"));
    command
        .args(more)
        .env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

fn output(command: &mut Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Killed at any moment, the same command goes on and ends where an unbroken one does.
#[test]
fn a_killed_queue_goes_on_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path(), 3, false);
    // The limit sends SIGKILL; where it falls depends on the machine, which is the point.
    let _ = run(folder.path(), &study, &[])
        .timeout(Duration::from_millis(1500))
        .output();
    let shown = output(&mut run(folder.path(), &study, &["--jobs", "2"]));
    assert!(shown.contains("4 runs"), "{shown}");
    let out = folder.path().join("out");
    let report = folder.path().join("out/report.html");
    for row in ["full", "wo-sigmoid"] {
        for seed in [1, 2] {
            let run = out.join(format!("{row}/seed-{seed}"));
            let results = json(&run.join("evaluation/results.json"));
            assert_eq!(results["subject"]["step"], 3);
            let record = json(&run.join("run.json"));
            assert_eq!(
                (&record["row"], &record["seed"]),
                (&row.into(), &seed.into())
            );
            assert!(record["training_seconds"].as_f64().unwrap() > 0.0);
        }
    }
    let seeds =
        |row: &str, seed: u64| weights(&checkpoint(&out.join(format!("{row}/seed-{seed}")), 3));
    assert_ne!(seeds("full", 1), seeds("full", 2));
    // Threads and a kill change nothing: the same bytes as from `train` alone.
    let alone = folder.path().join("alone");
    let mut train = program(&["train", "--no-tui", "--backend", "flex"]);
    train.arg(out.join("full/seed-2/experiment.toml"));
    train.arg("--out").arg(&alone).assert().success();
    assert!(seeds("full", 2) == weights(&checkpoint(&alone, 3)));

    let shown = output(&mut run(folder.path(), &study, &[]));
    assert!(shown.contains("0 runs finished, 4 done before"), "{shown}");
    let mut command = program(&["experiments", "report"]);
    let shown = output(command.arg(&out));
    let row = shown.lines().find(|line| line.starts_with("| full |"));
    assert!(row.is_some_and(|row| row.contains(" ± ")), "{shown}");
    let page = fs::read_to_string(&report).unwrap();
    // Two columns of pictures would be two label maps; there is one, its photo, and an image per row.
    assert_eq!(page.matches("data:image/png;base64,").count(), 4);
    assert!(page.contains("22.7") && page.contains("<circle"));
    let csv = fs::read_to_string(out.join("results.csv")).unwrap();
    assert_eq!(csv.lines().count(), 5, "{csv}");
    let mut command = program(&["experiments", "report", "--json"]);
    let report: Value = serde_json::from_str(&output(command.arg(&out))).unwrap();
    assert_eq!(
        report["rows"][1]["values"]["fd-convnext-pico-scenes"]["count"],
        2
    );

    let message = failure(run(folder.path(), &study, &["--steps", "4"]), 2);
    assert!(message.contains("run.steps = 3, not 4"), "{message}");
    let message = failure(run(folder.path(), &study, &["--set", "run.batch=3"]), 2);
    assert!(message.contains("run.batch = 2, not 3"), "{message}");
}

/// A row that cannot be trained is named at the end, and the others are finished.
#[test]
fn a_failing_row_does_not_end_the_queue_or_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path(), 1, true);
    let message = failure(run(folder.path(), &study, &["--seeds", "7"]), 1);
    assert!(message.contains("1 run failed: broken seed 7"), "{message}");
    let out = folder.path().join("out");
    assert!(
        out.join("wo-sigmoid/seed-7/evaluation/results.json")
            .is_file()
    );
    let record = json(&out.join("broken/seed-7/run.json"));
    let lines = record["failure"]["lines"].to_string();
    assert!(lines.contains("no weights of vgg16"), "{record}");
    let mut report = program(&["experiments", "report"]);
    let shown = output(report.arg(&out));
    assert!(
        shown.contains("seed 7: failed, train ended with"),
        "{shown}"
    );

    let mut plan = program(&["experiments", "plan", "--backend", "flex", "--json"]);
    plan.arg(&study)
        .args(["--steps-timed", "3", "--seeds", "2", "--weights"]);
    let plan: Value = serde_json::from_str(&output(plan.arg(folder.path()))).unwrap();
    let rows = plan["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows[0]["step_seconds"].as_f64().unwrap() > 0.0);
    assert!(rows[0]["memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(
        (&rows[0]["seeds"], &rows[0]["steps"]),
        (&2.into(), &1.into())
    );
    let problem = rows[2]["problem"].as_str().unwrap();
    assert!(problem.contains("no weights of vgg16"), "{problem}");
}

/// A signal ends the training that is under way with a checkpoint.
#[cfg(unix)]
#[test]
fn an_interrupt_is_passed_on() {
    use rustix::process::{Pid, Signal, kill_process};

    let folder = tempfile::tempdir().unwrap();
    let study = write_study(folder.path(), 100_000, false);
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("dp-sims"));
    command.args([
        "experiments",
        "run",
        "--backend",
        "flex",
        "--set",
        "run.checkpoint_every=100000",
    ]);
    command
        .arg(&study)
        .arg("--out")
        .arg(folder.path().join("out"));
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let run = folder.path().join("out/full/seed-1");
    let log = run.join("log.jsonl");
    for _ in 0..600 {
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Not SIGINT, which tests that run in the background would have their programs ignore.
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("interrupted: the same command goes on"),
        "{message}"
    );
    let latest = dp_sims::checkpoint::latest_whole(&run.join("checkpoints")).unwrap();
    let step = latest.checkpoint.unwrap().step();
    assert!((1..100_000).contains(&step), "{step}");
    assert!(!folder.path().join("out/wo-sigmoid").exists());
}

#[test]
fn what_is_built_in_is_listed_and_shown() {
    let shown = output(&mut program(&["experiments", "list"]));
    assert!(shown.contains("Table 8, weighted CE"), "{shown}");
    let list: Value =
        serde_json::from_str(&output(&mut program(&["experiments", "list", "--json"]))).unwrap();
    assert!(list["experiments"].as_array().unwrap().len() > 30);
    let arguments = [
        "experiments",
        "show",
        "table7-tau-0.7",
        "--set",
        "run.seed=3",
    ];
    let shown = output(&mut program(&arguments));
    let line = |start: &str| shown.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(line("seed = 3").ends_with("# --set"));
    assert!(line("tau = 0.7").ends_with("# table7-tau-0.7"));
    assert!(line("accumulation = 8").ends_with("# ade20k"));
    let path = tempfile::tempdir().unwrap().keep().join("shown.toml");
    fs::write(&path, &shown).unwrap();
    let again = output(&mut program(&[
        "experiments",
        "show",
        path.to_str().unwrap(),
    ]));
    let values = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| line.split("  #").next().unwrap_or("").trim());
        lines.map(String::from).collect()
    };
    assert_eq!(values(&again), values(&shown));
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let message = failure(program(&["experiments", "run", "no-such"]), 2);
    assert!(message.contains("table5-scenes"), "{message}");
}

/// Editors read what is printed.
#[test]
fn schemas_are_printed_as_json() {
    for (command, key) in [("experiments", "run"), ("dataset", "class")] {
        let text = output(&mut program(&[command, "schema"]));
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert!(schema.get("$id").is_none());
        assert!(schema["title"].is_string());
        assert!(schema["properties"][key].is_object());
    }
}
