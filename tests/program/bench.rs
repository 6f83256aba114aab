use serde_json::Value;

use super::run::{failure, program};

fn json(arguments: &[&str]) -> Value {
    let mut command = program(&["bench"]);
    command
        .args(arguments)
        .args(["--backend", "flex", "--json"]);
    let output = command.assert().success().get_output().clone();
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn the_program_starts_itself() {
    let report = json(&["start", "--size", "32x64", "--width", "1", "--repeats", "1"]);
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
fn a_generator_is_timed_by_part() {
    let arguments = [
        "generator",
        "--size",
        "32x32",
        "--width",
        "1",
        "--repeats",
        "2",
    ];
    let report = json(&arguments);
    assert_eq!(report["seconds"].as_array().unwrap().len(), 2);
    assert!(report["nominal_macs"].as_u64() > report["executed_macs"].as_u64());
    assert!(report["memory_gigabytes_per_second"].as_f64().unwrap() > 0.0);
    let parts = report["parts"].as_array().unwrap();
    assert_eq!(parts[2]["name"], "label pyramid");
    assert_eq!(report["backbone"], Value::Null);
}

#[test]
fn what_cannot_be_timed_is_a_mistake_of_the_user() {
    for (arguments, expected) in [
        (vec!["step", "--size", "48x64"], "multiples of 32 pixels"),
        (vec!["generator", "--repeats", "0"], "'--repeats <"),
        (vec!["step", "--batch", "0"], "'--batch <"),
        (vec!["start", "--width", "0"], "'--width <"),
        (vec!["loader", "--repeats", "0"], "'--repeats <"),
        (vec!["step", "--backbone", "resnet18"], "resnet50, "),
        (vec!["networks", "--networks", "vgg"], "oasis-generator, "),
        (
            vec!["networks", "--networks", "all", "--size", "96x96"],
            "multiples of 64 pixels",
        ),
        (vec!["start", "--backend", "tpu"], "unknown backend `tpu`"),
        (vec!["networks", "--device", "9"], "device 9 does not exist"),
        (vec![], "`networks`"),
    ] {
        let mut command = program(&["bench"]);
        command.args(&arguments);
        let message = failure(command, 2);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
