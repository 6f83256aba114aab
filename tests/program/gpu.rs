//! The program on a device of wgpu, beside the processor. A software driver is enough.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

use super::run::{TINY, failure, program};

/// `train` of a tiny quickstart on a backend, with a cache of its own.
fn train_on(backend: &str, out: &Path, cache: &Path, settings: &[&str]) -> Command {
    let mut command = program(&["train", "quickstart", "--no-tui", "--steps", "3"]);
    command.args(["--backend", backend, "--out"]).arg(out);
    command.env("XDG_CACHE_HOME", cache);
    // Mesa would compile every kernel again there.
    command.env("MESA_SHADER_CACHE_DIR", env!("CARGO_TARGET_TMPDIR"));
    for setting in TINY.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    command
}

fn losses(out: &Path) -> Vec<Value> {
    let log = fs::read_to_string(out.join("log.jsonl")).unwrap();
    let lines = log.lines().map(serde_json::from_str);
    lines.map(Result::unwrap).collect()
}

/// Largest difference of the losses and gradient norms of a step, relative to the processor's.
fn difference(found: &Value, expected: &Value) -> f64 {
    let mut largest = 0f64;
    for group in ["losses", "gradient_norms"] {
        let expected = expected[group].as_object().unwrap();
        assert_eq!(expected.len(), found[group].as_object().unwrap().len());
        for (name, expected) in expected {
            let expected = expected.as_f64().unwrap();
            let found = found[group][name].as_f64().unwrap();
            let error = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(error < 0.02, "{name}: {found}, expected {expected}");
            largest = largest.max(error);
        }
    }
    largest
}

#[test]
fn the_gpu_trains_as_the_processor_does() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    // A map of one pixel at the coarsest level, and one of several.
    for (name, settings) in [
        ("one", &[][..]),
        ("several", &["data.height=64", "data.width=96"][..]),
    ] {
        let [gpu, processor] = ["wgpu", "flex"].map(|backend| {
            let out = folder.path().join(format!("{name}-{backend}"));
            train_on(backend, &out, &cache, settings).assert().success();
            losses(&out)
        });
        assert_eq!((gpu.len(), processor.len()), (3, 3));
        let first = difference(&gpu[0], &processor[0]);
        assert!(first < 1e-3, "{name}: the first step differs by {first}");
        for (found, expected) in gpu.iter().zip(&processor).skip(1) {
            difference(found, expected);
        }
    }
}

#[test]
fn a_device_is_compared_once_and_checkpoints_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let said = |out: &str, more: &[&str]| {
        let out = folder.path().join(out);
        let output = train_on("wgpu", &out, &cache, &[])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success());
        let state = fs::read_to_string(out.join("checkpoints/step-000003/state.json")).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (said.contains("comparing wgpu 0"), said, state)
    };
    let (is_compared, _, state) = said("first", &[]);
    assert!(is_compared && state.contains("equal to flex"), "{state}");
    let (is_compared, _, state) = said("second", &[]);
    assert!(!is_compared && state.contains("equal to flex"), "{state}");
    let (is_compared, said, state) = said("trusted", &["--trust-device"]);
    assert!(!is_compared && said.contains("warning"), "{said}");
    assert!(state.contains("NOT compared"), "{state}");
}

#[test]
fn doctor_says_of_every_operation_how_far_it_is_off() {
    let mut command = program(&["doctor", "--verify", "--backend", "wgpu", "--json"]);
    for setting in TINY
        .iter()
        .filter(|setting| !setting.starts_with("run.preview"))
    {
        command.args(["--set", setting]);
    }
    let output = command.assert().success().get_output().clone();
    let verification: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verification["passed"], true);
    assert_eq!(verification["backend"], "wgpu");
    assert_eq!(verification["step"]["experiment"], "quickstart");
    let rows = verification["rows"].as_array().unwrap();
    assert!(rows.len() > 60, "{}", rows.len());
    for row in rows {
        let (error, bound) = (
            row["error"].as_f64().unwrap(),
            row["bound"].as_f64().unwrap(),
        );
        assert!(error <= bound, "{row}");
    }
    // Operations are compared in all that a step does: its kernels are all among theirs.
    assert_eq!(verification["uncovered"], serde_json::json!([]));
    let mistake = program(&["doctor", "--experiment", "camvid"]);
    assert!(failure(mistake, 2).contains("--verify"));
}
