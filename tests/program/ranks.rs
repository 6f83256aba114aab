//! Several ranks do what one process does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use safetensors::SafeTensors;

use super::run::{checkpoint, failure, program, train, weights};

/// What equal runs may differ by, relative to the size of a tensor or of a figure: the order of sums.
const BOUND: f64 = 1e-4;

const STEPS: u64 = 20;

fn trained(out: &Path, arguments: &[&str]) {
    let common = ["--steps", "20", "--set", "run.total_batch=4"];
    train(out, &[&common, arguments].concat())
        .assert()
        .success();
}

fn numbers(tensors: &SafeTensors, name: &str) -> Vec<f64> {
    let data = tensors.tensor(name).expect("the tensor").data();
    let numbers = data
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    numbers.map(f64::from).collect()
}

/// Largest difference of a tensor of two checkpoints, in norms and relative to them, and its name.
fn difference(first: &Path, second: &Path) -> (f64, String) {
    let (first, second) = (weights(first), weights(second));
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        second.keys().collect::<Vec<_>>()
    );
    let mut most = (0.0, String::new());
    for (file, bytes) in &first {
        let [first, second] =
            [bytes, &second[file]].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        for name in first.names() {
            // What is tiny is the sum of rounding.
            let norm =
                |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
            let [own, other] = [&first, &second].map(|tensors| numbers(tensors, name));
            let between: Vec<f64> = own
                .iter()
                .zip(&other)
                .map(|(own, other)| own - other)
                .collect();
            let relative = norm(&between) / norm(&own).max(1e-6);
            if relative > most.0 {
                most = (relative, format!("{file}: {name}"));
            }
        }
    }
    most
}

/// Lines of a log without what clocks say.
fn log(out: &Path) -> Vec<serde_json::Map<String, serde_json::Value>> {
    let text = fs::read_to_string(out.join("log.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: serde_json::Value| line.as_object().unwrap().clone())
        .collect()
}

fn flat(value: &serde_json::Value, name: &str, into: &mut Vec<(String, f64)>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                flat(value, &format!("{name}.{key}"), into);
            }
        }
        value => into.extend(value.as_f64().map(|number| (name.to_string(), number))),
    }
}

fn same_logs(first: &Path, second: &Path) {
    let (first, second) = (log(first), log(second));
    assert_eq!(first.len(), second.len());
    let clocks = [
        "seconds",
        "images_per_second",
        "memory_bytes",
        "seconds_left",
    ];
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(
            first.keys().collect::<Vec<_>>(),
            second.keys().collect::<Vec<_>>()
        );
        for (key, value) in first {
            if clocks.contains(&key.as_str()) {
                continue;
            }
            let (mut own, mut other) = (Vec::new(), Vec::new());
            flat(value, key, &mut own);
            flat(&second[key], key, &mut other);
            for ((name, own), (_, other)) in own.iter().zip(&other) {
                let bound = BOUND * own.abs().max(1e-2);
                assert!(
                    (own - other).abs() <= bound,
                    "step {}, {name}: {own} and {other}",
                    first["step"]
                );
            }
        }
    }
}

#[test]
fn two_devices_train_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let [alone, two] = ["alone", "two"].map(|name| folder.path().join(name));
    trained(&alone, &[]);
    trained(&two, &["--devices", "0,0"]);
    let (most, name) = difference(&checkpoint(&alone, STEPS), &checkpoint(&two, STEPS));
    println!("largest relative difference after {STEPS} steps: {most:.2e} in {name}");
    assert!(most <= BOUND, "{most} in {name}");
    same_logs(&alone, &two);
}

#[test]
fn a_batch_that_cannot_be_divided_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let arguments = ["--set", "run.total_batch=5", "--devices", "0,0"];
    let message = failure(train(&out, &arguments), 2);
    assert!(message.contains("run.total_batch"), "{message}");
    let message = failure(train(&out, &["--devices", "0,7"]), 2);
    assert!(message.contains('7'), "{message}");
    assert!(!out.exists());
}

/// A process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn started(command: &assert_cmd::Command, token: &str) -> Process {
    let mut command_line = Command::new(command.get_program());
    command_line
        .args(command.get_args())
        .env("DP_SIMS_TOKEN", token)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Process(command_line.spawn().unwrap())
}

/// Exit code and messages of a process that has to end within a minute.
fn ended(mut process: Process) -> (Option<i32>, String) {
    let started = Instant::now();
    loop {
        if let Some(status) = process.0.try_wait().unwrap() {
            let mut text = String::new();
            let mut messages = process.0.stderr.take().unwrap();
            std::io::Read::read_to_string(&mut messages, &mut text).unwrap();
            return (status.code(), text);
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "a process does not end"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An orchestrator and its address.
fn orchestrator() -> (Process, String) {
    let mut process = started(
        &program(&["orchestrator", "--listen", "127.0.0.1:0"]),
        "word",
    );
    let mut messages = BufReader::new(process.0.stderr.take().unwrap());
    let mut line = String::new();
    messages.read_line(&mut line).unwrap();
    let address = line
        .split_whitespace()
        .find(|word| word.starts_with("127.0.0.1:"));
    let address = address.expect(&line).trim_end_matches(';').to_string();
    // What it has to say later is read, so that it never waits for a reader.
    std::thread::spawn(move || messages.lines().for_each(drop));
    (process, address)
}

/// The processes of a run, each with its own arguments.
fn processes(address: &str, out: &Path, each: &[&[&str]]) -> Vec<Process> {
    let nodes = each.len().to_string();
    let member = |(rank, arguments): (usize, &&[&str])| {
        let rank = rank.to_string();
        let place = [
            "--orchestrator",
            address,
            "--nodes",
            &nodes,
            "--node-rank",
            &rank,
        ];
        started(&train(out, &[&place, *arguments].concat()), "word")
    };
    each.iter().enumerate().map(member).collect()
}

fn all_succeed(processes: Vec<Process>) {
    for process in processes {
        let (code, messages) = ended(process);
        assert_eq!(code, Some(0), "{messages}");
    }
}

const TOTAL: [&str; 4] = ["--steps", "20", "--set", "run.total_batch=4"];

#[test]
fn processes_train_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("alone");
    trained(&alone, &[]);
    let (_orchestrator, address) = orchestrator();
    let two_each = [&TOTAL[..], &["--devices", "0,0"]].concat();
    let cases: [(&str, Vec<&[&str]>); 3] = [
        ("two", vec![&TOTAL; 2]),
        ("four", vec![&TOTAL; 4]),
        ("two of two", vec![&two_each; 2]),
    ];
    for (name, each) in cases {
        let out = folder.path().join(name);
        all_succeed(processes(&address, &out, &each));
        let (most, tensor) = difference(&checkpoint(&alone, STEPS), &checkpoint(&out, STEPS));
        println!("{name}: largest relative difference {most:.2e} in {tensor}");
        assert!(most <= BOUND, "{name}: {most} in {tensor}");
        same_logs(&alone, &out);
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let [alone, changed] = ["alone", "changed"].map(|name| folder.path().join(name));
    trained(&alone, &[]);
    let half = [
        "--steps",
        "10",
        "--set",
        "run.total_batch=4",
        "--devices",
        "0,0",
    ];
    train(&changed, &half).assert().success();
    let rest = ["--steps", "20", "--resume", "auto"];
    let (_orchestrator, address) = orchestrator();
    all_succeed(processes(&address, &changed, &[&rest; 4]));
    let (most, tensor) = difference(&checkpoint(&alone, STEPS), &checkpoint(&changed, STEPS));
    assert!(most <= BOUND, "{most} in {tensor}");
    same_logs(&alone, &changed);
}

#[test]
fn a_process_that_is_killed_ends_all_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let [out, whole] = ["run", "whole"].map(|name| folder.path().join(name));
    let (_orchestrator, address) = orchestrator();
    let many = [
        "--set",
        "run.total_batch=6",
        "--set",
        "run.checkpoint_every=2",
    ];
    let long = [&many[..], &["--steps", "100000"]].concat();
    let mut all = processes(&address, &out, &[&long; 3]);
    let begun = Instant::now();
    while !checkpoint(&out, 4).exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    all[1].0.kill().unwrap();
    let killed = all.remove(1);
    for process in all {
        let (code, messages) = ended(process);
        assert_eq!(code, Some(1), "{messages}");
        let errors: Vec<_> = messages
            .lines()
            .filter(|line| line.starts_with("error"))
            .collect();
        assert!(
            errors.len() == 1 && errors[0].contains("node 1 is gone"),
            "{messages}"
        );
    }
    drop(killed);
    let last = (0..100_000)
        .rev()
        .find(|&step| checkpoint(&out, step).exists())
        .unwrap();
    let steps = (last + 2).to_string();
    let steps = ["--steps", &steps];
    let resumed = [&many[..], &steps, &["--resume", "auto"]].concat();
    all_succeed(processes(&address, &out, &[&resumed; 3]));
    let unbroken = [&many[..], &steps].concat();
    all_succeed(processes(&address, &whole, &[&unbroken; 3]));
    let (found, expected) = (checkpoint(&out, last + 2), checkpoint(&whole, last + 2));
    assert!(weights(&found) == weights(&expected), "not the same bytes");
}

#[test]
fn processes_of_different_runs_end_with_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (_orchestrator, address) = orchestrator();
    let [one, other] =
        ["run.seed=1", "run.seed=2"].map(|seed| [&TOTAL[..], &["--set", seed]].concat());
    for process in processes(&address, &out, &[&one, &other]) {
        let (code, messages) = ended(process);
        assert_eq!(code, Some(1), "{messages}");
        assert!(
            messages.contains("node 0 has run.seed = 1, node 1 has run.seed = 2"),
            "{messages}"
        );
    }
    assert!(!out.join("checkpoints").exists());
}

#[test]
fn other_machines_need_a_token() {
    let mut open = program(&["orchestrator", "--listen", "0.0.0.0:0"]);
    open.env_remove("DP_SIMS_TOKEN");
    let message = failure(open, 2);
    assert!(message.contains("token"), "{message}");
}
