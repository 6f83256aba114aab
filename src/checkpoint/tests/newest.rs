//! Which checkpoints of a run are found and kept.

use super::*;

#[test]
fn the_newest_whole_one_is_found_and_the_damaged_reported() {
    let run = run(&[1, 2, 30, 1_000_000]);
    assert_eq!(run.latest(), (Some(1_000_000), 0));
    fs::write(run.path("step-1000000/state.json"), b"").unwrap();
    fs::remove_file(run.path("step-000030/manifest.json")).unwrap();
    let latest = latest_whole(&run.root).unwrap();
    assert_eq!(latest.checkpoint.unwrap().step(), 2);
    let skipped: Vec<_> = latest
        .skipped
        .iter()
        .map(|skipped| skipped.path.clone())
        .collect();
    assert_eq!(skipped, [run.path("step-1000000"), run.path("step-000030")]);
    assert!(latest.skipped[0].reason.to_string().contains("state.json"));
}

#[test]
fn files_that_nobody_needs_may_be_damaged() {
    let run = run(&[1, 2, 3]);
    let damage = |name: &str| {
        let path = run.path(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    let found = |needed: &[&str]| {
        let latest = latest_with(&run.root, needed).unwrap();
        let step = latest.checkpoint.map(|checkpoint| checkpoint.step());
        (step, latest.skipped.len())
    };
    damage("step-000003/generator.safetensors");
    assert_eq!(run.latest(), (Some(2), 1));
    assert_eq!(found(&["state.json"]), (Some(3), 0));
    damage("step-000003/state.json");
    assert_eq!(found(&["state.json"]), (Some(2), 1));
    // Sizes are compared of all.
    fs::write(run.path("step-000002/generator.safetensors"), b"").unwrap();
    assert_eq!(found(&["state.json"]), (Some(1), 2));
    assert_eq!(found(&["ema.safetensors"]), (None, 3));
}

#[test]
fn a_run_without_checkpoints_is_no_error() {
    assert_eq!(run(&[]).latest(), (None, 0));
}

#[test]
fn pruning_keeps_the_newest_whole_ones() {
    let run = run(&[1, 2, 3, 4, 5]);
    fs::write(run.path("step-000004/state.json"), b"").unwrap();
    let deleted = prune(&run.root, 2, 0).unwrap();
    assert_eq!(deleted, [run.path("step-000002"), run.path("step-000001")]);
    assert_eq!(run.names(), ["step-000003", "step-000004", "step-000005"]);
    prune(&run.root, 0, 0).unwrap();
    assert_eq!(run.names(), ["step-000005"], "one is always kept");
    assert_eq!(
        prune(&run.path("absent"), 1, 0).unwrap(),
        Vec::<PathBuf>::new()
    );
}

#[test]
fn checkpoints_of_every_so_many_steps_stay() {
    let run = run(&[2, 4, 6, 8, 10, 12]);
    let deleted = prune(&run.root, 2, 4).unwrap();
    assert_eq!(deleted, [run.path("step-000006"), run.path("step-000002")]);
    assert_eq!(
        run.names(),
        ["step-000004", "step-000008", "step-000010", "step-000012"]
    );
    // One that stays counts among the newest as any other does.
    write(&run.root, 14, &files(14)).unwrap();
    write(&run.root, 16, &files(16)).unwrap();
    prune(&run.root, 1, 8).unwrap();
    assert_eq!(run.names(), ["step-000008", "step-000016"]);
}
