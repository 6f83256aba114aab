//! End-to-end tests of the benchmarks, through their command line.

use assert_cmd::Command;
use serde_json::Value;

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dp-sims-bench"));
    command.args(arguments);
    command
}

#[test]
fn the_program_starts_itself() {
    let mut command = bench(&["start", "--size", "32x64", "--width", "1", "--repeats", "1"]);
    command.args(["--backend", "flex", "--json"]);
    let output = command.assert().success().get_output().clone();
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["bench"], "start");
    assert_eq!([&report["height"], &report["width"]], [32, 64]);
    let seconds = |value: &Value| value["median_seconds"].as_f64().unwrap();
    let (whole, alone) = (seconds(&report), seconds(&report["generator"]));
    assert!(whole > 0.0 && alone > 0.0, "{report}");
    let ratio = report["ratio"].as_f64().unwrap();
    assert!((ratio * alone / whole - 1.0).abs() < 1e-9, "{report}");
    assert!(
        report["checkpoint_bytes"].as_u64().unwrap() > 10_000,
        "{report}"
    );
}

#[test]
fn what_cannot_be_timed_is_a_mistake_of_the_user() {
    for (arguments, expected) in [
        (&["start", "--width", "0"][..], "'--width <"),
        (&["loader", "--repeats", "0"], "'--repeats <"),
        (&["networks", "--networks", "vgg"], "oasis-generator, "),
        (
            &["networks", "--networks", "all", "--size", "96x96"],
            "multiples of 64 pixels",
        ),
        (&["start", "--backend", "tpu"], "unknown backend `tpu`"),
        (&["networks", "--device", "9"], "device 9 does not exist"),
        (&[], "networks"),
    ] {
        let output = bench(arguments).assert().code(2).get_output().clone();
        let message = String::from_utf8(output.stderr).expect("text");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
