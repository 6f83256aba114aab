//! `--verbose`, `--quiet` and `--log`, which every command takes.

use std::fs;

use super::run::{failure, program};

const NOT_USED: &str = "data.root, photos, is not used";

/// Standard error of a dry run that warns, with more arguments.
fn said(arguments: &[&str]) -> String {
    let mut command = program(&["train", "--dry-run", "--backend", "flex"]);
    command.args(["--set", "data.root=photos", "--set", "data.scenes=8"]);
    let output = command.args(arguments).assert().success();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

#[test]
fn flags_choose_how_much_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("messages.txt");
    let plain = said(&["--log", log.to_str().unwrap()]);
    assert!(plain.contains(&format!("warning: {NOT_USED}")), "{plain}");
    assert!(!plain.contains("experiment quickstart"), "{plain}");

    let more = said(&["-v"]);
    assert!(more.contains("experiment quickstart"), "{more}");
    assert!(more.contains("computing on flex 0"), "{more}");

    assert!(said(&["-q"]).contains(NOT_USED));
    assert_eq!(said(&["-qq"]), "");

    // The file has what -v shows, with its level.
    let kept = fs::read_to_string(&log).unwrap();
    for line in ["experiment quickstart", "computing on flex 0"] {
        assert!(kept.contains(line), "{kept}");
    }
    assert!(kept.contains("WARN") && kept.contains(NOT_USED), "{kept}");
}

#[test]
fn a_log_that_cannot_be_written_is_a_mistake() {
    let command = program(&["train", "--dry-run", "--log", "no/such/folder/log.txt"]);
    assert!(failure(command, 2).contains("no/such/folder/log.txt"));
}
