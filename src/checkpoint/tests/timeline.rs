//! What was written last, and what is left behind by going back.

use super::*;

#[test]
fn the_newest_is_what_was_written_last_and_not_the_largest_step() {
    let run = run(&[5, 10, 15, 6]);
    assert_eq!(run.latest(), (Some(6), 0));
    write(&run.root, 7, &files(7)).unwrap();
    assert_eq!(run.latest(), (Some(7), 0));
    // What is of another course of the run is neither counted nor deleted.
    prune(&run.root, 1, 0).unwrap();
    let expected = ["step-000007", "step-000010", "step-000015"];
    assert_eq!(run.names(), expected);
    // A note of a checkpoint that was never put into place says nothing wrong.
    fs::write(run.path(".newest"), "step-000008\n").unwrap();
    assert_eq!(run.latest(), (Some(7), 0));
    for text in ["", "step-7", "\u{0}\u{0}"] {
        fs::write(run.path(".newest"), text).unwrap();
        assert_eq!(run.latest(), (Some(15), 0), "{text:?}");
    }
}

#[test]
fn going_back_moves_what_comes_later_and_nothing_else() {
    let run = run(&[5, 10, 15]);
    let aside = run.path("../abandoned");
    assert!(go_back(&run.root, 15, &aside).unwrap().is_empty());
    assert!(!aside.exists(), "nothing to move");
    fs::write(run.path("step-000015/state.json"), b"damaged").unwrap();
    fs::write(run.path("step-000010/notes.txt"), b"mine").unwrap();
    let moved = go_back(&run.root, 5, &aside).unwrap();
    assert_eq!(
        moved,
        ["step-000010", "step-000015"].map(|name| aside.join(name))
    );
    assert_eq!(open(&moved[0]).unwrap().step(), 10);
    assert_eq!(fs::read(moved[0].join("notes.txt")).unwrap(), b"mine");
    assert_eq!(run.names(), ["step-000005"]);
    // A second time, under other names.
    write(&run.root, 10, &files(11)).unwrap();
    let moved = go_back(&run.root, 5, &aside).unwrap();
    assert_eq!(moved, [aside.join("step-000010.2")]);
    assert_eq!(open(&moved[0]).unwrap().step(), 10);
}

/// Killed with one of two moved: what was gone back from is not gone on from.
#[test]
fn a_move_that_was_cut_short_leaves_the_step_that_was_gone_back_to() {
    let run = run(&[5, 10, 15]);
    fs::create_dir(run.path("../abandoned")).unwrap();
    fs::write(run.path(".newest"), "step-000005\n").unwrap();
    assert_eq!(run.latest(), (Some(5), 0));
    fs::rename(
        run.path("step-000010"),
        run.path("../abandoned/step-000010"),
    )
    .unwrap();
    assert_eq!(run.latest(), (Some(5), 0));
}

#[test]
fn none_usable_is_not_none() {
    assert!(
        latest_whole(&run(&[]).root)
            .unwrap()
            .usable()
            .unwrap()
            .is_none()
    );
    let run = run(&[1, 2]);
    for step in ["step-000001", "step-000002"] {
        fs::write(run.path(step).join("state.json"), b"").unwrap();
    }
    let error = latest_whole(&run.root).unwrap().usable().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("2 checkpoints and none can be used"),
        "{text}"
    );
    assert!(text.contains("step-000002/state.json"), "{text}");
    // One is enough.
    write(&run.root, 3, &files(3)).unwrap();
    let found = latest_whole(&run.root).unwrap().usable().unwrap();
    assert_eq!(found.unwrap().step(), 3);
}

#[test]
fn a_checkpoint_that_holds_a_file_of_a_person_is_kept() {
    let run = run(&[1, 2, 3, 4]);
    fs::write(run.path("step-000001/why I keep it.txt"), b"").unwrap();
    fs::write(run.path("step-000002/.DS_Store"), b"").unwrap();
    // Nor is one of another version of the program deleted.
    let manifest = run.path("step-000003").join(MANIFEST);
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"version\": 2", "\"version\": 3")).unwrap();
    prune(&run.root, 1, 0).unwrap();
    assert_eq!(run.names(), ["step-000001", "step-000003", "step-000004"]);
    delete_all(&run.root).unwrap();
    assert_eq!(run.names(), Vec::<String>::new());
    assert!(!run.path(".newest").exists());
}
