use serde_json::Value;

use super::run::{failure, program};

#[test]
fn the_plan_of_a_run_is_text_or_one_object_and_needs_no_file() {
    let plan = |more: &[&str]| {
        let mut command = program(&["plan", "coco-stuff", "--gpus", "16"]);
        let output = command.args(more).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = plan(&[]);
    assert!(text.contains("16, each with 4 images a step"), "{text}");
    let report: Value = serde_json::from_str(&plan(&["--json", "--price", "2"])).unwrap();
    assert_eq!(report["classes"], 183);
    assert_eq!(report["share"]["batch"], 4);
    assert_eq!(report["photos"], Value::Null);
    assert_eq!(report["traffic_seconds"], Value::Null);
    let (hours, cost) = (report["hours"].as_f64(), report["cost"].as_f64());
    assert!((cost.unwrap() / hours.unwrap() - 32.0).abs() < 1e-9);
    assert!(report["memory"]["generator_bytes"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_cannot_be_planned_is_a_mistake_of_the_user() {
    for (arguments, expected) in [
        (vec!["ade20k", "--gpus", "6"], "`run.accumulation`"),
        (vec!["ade20k", "--gpus", "0"], "'--gpus <"),
        (vec!["ade20k", "--memory", "0"], "--memory 0"),
        (vec!["ade20k", "--tflops", "nan"], "--tflops NaN"),
        (vec!["ade20k", "--price=-1"], "--price -1"),
        (vec!["ade20k", "--data", "nowhere"], "nowhere"),
        (vec!["ade21k"], "ade20k"),
    ] {
        let mut command = program(&["plan"]);
        command.args(&arguments);
        let error = failure(command, 2);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
