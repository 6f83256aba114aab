//! `doctor --verify` on processors.

use serde_json::Value;

use super::run::{failure, program};

#[test]
fn one_operation_is_compared_alone() {
    let verify = ["doctor", "--verify", "--backend", "ndarray"];
    let mut command = program(&verify);
    command.args(["--json", "--only", "matmul"]);
    let output = command.assert().success().get_output().clone();
    let verification: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = verification["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["name"], "matmul");
    let whole = rows[0]["cases"].as_u64().unwrap();

    command.arg("--short");
    let output = command.assert().success().get_output().clone();
    let verification: Value = serde_json::from_slice(&output.stdout).unwrap();
    let short = verification["rows"][0]["cases"].as_u64().unwrap();
    assert!(0 < short && 4 * short < whole, "{short} of {whole}");

    let mut all = program(&verify);
    all.args(["--json", "--short", "--only", "all"]);
    let output = all.assert().success().get_output().clone();
    let verification: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(verification["rows"].as_array().unwrap().len() > 60);
    assert_eq!(verification["step"], Value::Null);

    let mut mistake = program(&verify);
    mistake.args(["--only", "matmull"]);
    assert!(failure(mistake, 2).contains("did you mean \"matmul\"?"));
}
