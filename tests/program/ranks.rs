//! Several ranks do what one process does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use safetensors::SafeTensors;

use super::processes::{all_succeed, ended, orchestrator, processes};
use super::run::{checkpoint, failure, program, train, weights};

/// What equal runs may differ by, relative to the size of a tensor or of a figure: the order of sums.
const BOUND: f64 = 1e-4;

const STEPS: u64 = 20;

/// Low learning rates and the paper's losses: with those of quickstart, which are for a few hundred steps, rounding grows
/// tenfold in every step from about the tenth on.
const STEADY: [&str; 10] = [
    "--set",
    "run.total_batch=4",
    "--set",
    "optimizer.lr_generator=1e-5",
    "--set",
    "optimizer.lr_discriminator=4e-5",
    "--set",
    "loss.image_diversity.lambda=0",
    "--set",
    "loss.feature_diversity.lambda=0",
];

/// Whether a tensor of the generator says nothing: the gradient of a bias that a batch norm or a softmax takes out again
/// is rounding alone, by which Adam makes whole steps, and running means follow. No image changes with it.
fn is_idle(file: &str, name: &str) -> bool {
    file.starts_with("generator") && (name.ends_with(".bias") || name.ends_with("running_mean"))
}

fn steady<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&STEADY, arguments].concat()
}

fn trained(out: &Path, arguments: &[&str]) {
    let arguments = steady(&[&["--steps", "20"], arguments].concat());
    train(out, &arguments).assert().success();
}

fn numbers(tensors: &SafeTensors, name: &str) -> Vec<f64> {
    let data = tensors.tensor(name).unwrap().data();
    let numbers = data
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    numbers.map(f64::from).collect()
}

fn read(bytes: &[u8]) -> SafeTensors<'_> {
    SafeTensors::deserialize(bytes).unwrap()
}

/// Largest difference between the weights of two checkpoints, as the norm of the difference in that of the weights:
/// of every weight by itself, and of all of a network, biases included. Those begin at 0 and are hardly more than the sum
/// of a few steps, whose sign Adam takes from gradients that are next to nothing. Gives its name as well, and how many tensors were compared.
fn difference(first: &Path, second: &Path) -> (f64, String, usize) {
    let (first, second) = (weights(first), weights(second));
    let mut groups = BTreeMap::<String, [f64; 2]>::new();
    let mut count = 0;
    for network in ["generator", "discriminator", "projector"] {
        let file = format!("{network}.safetensors");
        let [first, second] = [&first[&file], &second[&file]].map(|bytes| read(bytes));
        for name in first
            .names()
            .into_iter()
            .filter(|name| !is_idle(&file, name))
        {
            let [own, other] = [&first, &second].map(|tensors| numbers(tensors, name));
            let (_, kind) = name.rsplit_once('.').unwrap();
            let alone = (kind == "weight").then(|| format!("{file}: {name}"));
            for group in alone.into_iter().chain([file.clone()]) {
                let sums = groups.entry(group).or_default();
                for (own, other) in own.iter().zip(&other) {
                    sums[0] += (own - other).powi(2);
                    sums[1] += own * own;
                }
            }
            count += 1;
        }
    }
    let relative = |[difference, size]: [f64; 2]| (difference / size.max(1e-12)).sqrt();
    let differences = groups
        .into_iter()
        .map(|(name, sums)| (relative(sums), name));
    let (most, name) = differences
        .max_by(|first, second| first.0.total_cmp(&second.0))
        .unwrap();
    (most, name, count)
}

/// Asserts that two runs have the same weights and logs.
fn same(name: &str, first: &Path, second: &Path) {
    let (most, tensor, count) = difference(&checkpoint(first, STEPS), &checkpoint(second, STEPS));
    println!("{name}: {count} tensors, largest relative difference {most:.1e} in {tensor}");
    assert!(count > 100, "{count}");
    assert!(most <= BOUND, "{name}: {most} in {tensor}");
    same_logs(first, second);
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
            // A run that was to end earlier at first says so.
            if clocks.contains(&key.as_str()) || key == "total_steps" {
                continue;
            }
            let (mut own, mut other) = (Vec::new(), Vec::new());
            flat(value, key, &mut own);
            flat(&second[key], key, &mut other);
            for ((name, own), (_, other)) in own.iter().zip(&other) {
                // Brightness, between -1 and 1, may be next to 0.
                let bound = BOUND * own.abs().max(0.1);
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
    same("two threads", &alone, &two);
}

#[test]
fn batch_norm_and_class_weights_of_one_rank_are_others() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |name: &str, arguments: &[&str]| {
        let out = folder.path().join(name);
        let arguments = steady(&[&["--steps", "1"], arguments].concat());
        train(&out, &arguments).assert().success();
        let mut found = Vec::new();
        flat(&log(&out)[0]["losses"], "", &mut found);
        found
    };
    let alone = losses("alone", &[]);
    for key in ["run.sync_batch_norm=false", "run.sync_class_weights=false"] {
        let apart = losses(key, &["--devices", "0,0", "--set", key]);
        let most = alone
            .iter()
            .zip(&apart)
            .map(|((_, own), (_, other))| (own - other).abs() / own);
        assert!(
            most.fold(0.0, f64::max) > 10.0 * BOUND,
            "{key} changes nothing"
        );
    }
}

/// What a run of several ranks finds while it trains is what one finds in its checkpoint.
#[test]
fn ranks_judge_images_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let segmenter = folder.path().join("segmenter");
    let mut command = program(&[
        "train-segmenter",
        "--backend",
        "flex",
        "--dataset",
        "scenes",
    ]);
    command.args(["--backbone", "convnext-pico-scenes", "--size", "32x32"]);
    command.args(["--steps", "1", "--batch", "1", "--limit", "2", "--out"]);
    command.arg(&segmenter).env("XDG_CACHE_HOME", cache);
    command.assert().success();
    let judged = |metric: &str, devices: &str| {
        let out = folder.path().join(format!("{metric}-{devices}"));
        let segmenter = segmenter.to_str().unwrap();
        let settings = [
            "evaluation.every=1".to_string(),
            format!("evaluation.metrics=[\"{metric}\"]"),
            format!("evaluation.best={metric}"),
            format!("evaluation.segmenter={segmenter}"),
            // Two batches and a part of one.
            "evaluation.images=20".to_string(),
        ];
        let mut command = train(&out, &["--steps", "1", "--devices", devices]);
        command.args(settings.iter().flat_map(|set| ["--set", set]));
        command.assert().success();
        let best = out.join("best");
        let mut command = program(&["evaluate", "--backend", "flex", "--json", "--limit", "20"]);
        command.args([
            "--metrics",
            metric,
            "--segmenter",
            segmenter,
            "--checkpoint",
        ]);
        command.arg(&best).arg("--out").arg(out.join("alone"));
        command.env("XDG_CACHE_HOME", cache);
        let alone = command.assert().success().get_output().stdout.clone();
        let alone: serde_json::Value = serde_json::from_slice(&alone).unwrap();
        let found = fs::read(best.join("best.json")).unwrap();
        let found: serde_json::Value = serde_json::from_slice(&found).unwrap();
        assert!(found["value"].is_f64(), "{found}");
        assert_eq!(
            found["value"], alone["values"][metric]["value"],
            "{metric} by {devices}"
        );
    };
    judged("fd-convnext-pico-scenes", "0,0");
    judged("kd-convnext-pico-scenes", "0,0,0");
    judged("miou", "0,0");
    judged("accuracy", "0,0,0");
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

#[test]
fn processes_train_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("alone");
    trained(&alone, &[]);
    let (_orchestrator, address) = orchestrator();
    let one_each = steady(&["--steps", "20"]);
    let two_each = steady(&["--steps", "20", "--devices", "0,0"]);
    let cases: [(&str, Vec<&[&str]>); 3] = [
        ("two", vec![&one_each[..]; 2]),
        ("four", vec![&one_each[..]; 4]),
        ("two of two", vec![&two_each[..]; 2]),
    ];
    for (name, each) in cases {
        let out = folder.path().join(name);
        all_succeed(processes(&address, &out, &each));
        same(name, &alone, &out);
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let [alone, changed] = ["alone", "changed"].map(|name| folder.path().join(name));
    trained(&alone, &[]);
    let half = steady(&["--steps", "10", "--devices", "0,0"]);
    train(&changed, &half).assert().success();
    let rest = steady(&["--steps", "20", "--resume", "auto"]);
    let (_orchestrator, address) = orchestrator();
    all_succeed(processes(&address, &changed, &[rest.as_slice(); 4]));
    same("2, then 4 processes", &alone, &changed);
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
    let mut all = processes(&address, &out, &[long.as_slice(); 3]);
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
            errors.len() == 1 && messages.contains("node 1 is gone"),
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
    all_succeed(processes(&address, &out, &[resumed.as_slice(); 3]));
    let unbroken = [&many[..], &steps].concat();
    all_succeed(processes(&address, &whole, &[unbroken.as_slice(); 3]));
    let (found, expected) = (checkpoint(&out, last + 2), checkpoint(&whole, last + 2));
    assert!(weights(&found) == weights(&expected), "not the same bytes");
}

/// With such a learning rate no step leaves numbers, which the checkpoint shows: the run leaves out two batches and
/// ends with the third. Each time it goes back to look for the step, and again before it.
#[test]
fn processes_go_back_together() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (_orchestrator, address) = orchestrator();
    let lost = steady(&[
        "--steps",
        "3",
        "--set",
        "optimizer.lr_discriminator=1000",
        "--set",
        "discriminator.spectral_norm=false",
        "--set",
        "run.checkpoint_every=100",
    ]);
    for process in processes(&address, &out, &[lost.as_slice(); 2]) {
        let (code, messages) = ended(process);
        assert_eq!(code, Some(1), "{messages}");
        assert!(messages.contains("the run is not finite"), "{messages}");
    }
    let steps = fs::read_to_string(out.join("abandoned/log.jsonl")).unwrap();
    let first = steps.lines().filter(|line| line.contains("\"step\":1,"));
    assert_eq!(first.count(), 4, "{steps}");
}

#[test]
fn processes_of_different_runs_end_with_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (_orchestrator, address) = orchestrator();
    let [one, other] =
        ["run.seed=1", "run.seed=2"].map(|seed| [&STEADY[..], &["--set", seed]].concat());
    for process in processes(&address, &out, &[&one, &other]) {
        let (code, messages) = ended(process);
        assert_eq!(code, Some(1), "{messages}");
        assert!(
            messages.contains("node 0 has run.seed = 1, node 1 has 2"),
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
