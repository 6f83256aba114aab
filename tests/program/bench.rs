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
        (vec!["generator", "--width", "0"], "'--width <"),
        (vec!["step", "--backbone", "resnet18"], "resnet50, "),
        (vec!["step", "--backend", "tpu"], "unknown backend `tpu`"),
        (vec!["step", "--device", "9"], "device 9 does not exist"),
        (vec![], "`generator`"),
    ] {
        let mut command = program(&["bench"]);
        command.args(&arguments);
        let message = failure(command, 2);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
