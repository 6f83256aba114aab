//! Checkpoints written, damaged in every way that can be thought of, and opened.

mod newest;
mod timeline;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

fn files(seed: u8) -> BTreeMap<String, Vec<u8>> {
    [
        ("generator.safetensors", vec![seed; 100]),
        ("state.json", format!("{{\"seed\":{seed}}}").into_bytes()),
        ("empty.bin", Vec::new()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

/// Writes files that are all there.
fn write(
    root: &Path,
    step: u64,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<PathBuf, CheckpointError> {
    let files = files.clone().into_iter();
    super::write(
        root,
        step,
        files.map(|(name, bytes)| (name, || Ok(bytes))).collect(),
    )
}

struct Run {
    _folder: TempDir,
    root: PathBuf,
}

/// A run with the checkpoints of some steps.
fn run(steps: &[u64]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run/checkpoints");
    for step in steps {
        write(&root, *step, &files(*step as u8)).unwrap();
    }
    Run {
        _folder: folder,
        root,
    }
}

impl Run {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn names(&self) -> Vec<String> {
        names(&self.root)
    }

    /// The step `latest_whole` finds, and how many it skipped.
    fn latest(&self) -> (Option<u64>, usize) {
        let latest = latest_whole(&self.root).unwrap();
        (
            latest.checkpoint.map(|checkpoint| checkpoint.step()),
            latest.skipped.len(),
        )
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".newest")
        .collect();
    names.sort();
    names
}

fn message(path: &Path) -> String {
    open(path).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read() {
    let run = run(&[]);
    let path = write(&run.root, 123, &files(9)).unwrap();
    assert_eq!(path, run.path("step-000123"));
    assert_eq!(run.names(), ["step-000123"]);
    assert_eq!(
        names(&path),
        [
            "empty.bin",
            "generator.safetensors",
            "manifest.json",
            "state.json"
        ]
    );
    let checkpoint = open(&path).unwrap();
    assert_eq!(checkpoint.step(), 123);
    assert_eq!(checkpoint.path(), path);
    for (name, bytes) in files(9) {
        assert_eq!(checkpoint.read(&name).unwrap(), bytes, "{name}");
    }
    let error = checkpoint.read("ema.safetensors").unwrap_err();
    assert!(
        matches!(error, CheckpointError::MissingFile { .. }),
        "{error}"
    );
}

#[test]
fn a_copy_under_another_name_opens() {
    let run = run(&[5]);
    fs::rename(run.path("step-000005"), run.path("good one")).unwrap();
    assert_eq!(open(&run.path("good one")).unwrap().step(), 5);
}

#[test]
fn a_truncated_file_is_named() {
    let run = run(&[1]);
    let path = run.path("step-000001");
    fs::write(path.join("generator.safetensors"), vec![1; 99]).unwrap();
    let message = message(&path);
    assert!(
        message.contains("generator.safetensors has 99 bytes"),
        "{message}"
    );
    assert!(message.contains("`auto`"), "the remedy: {message}");
}

#[test]
fn every_flipped_byte_is_found() {
    let run = run(&[1]);
    let path = run.path("step-000001");
    let original = open(&path).unwrap().manifest().clone();
    for name in names(&path) {
        let file = path.join(&name);
        let bytes = fs::read(&file).unwrap();
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1;
            fs::write(&file, &flipped).unwrap();
            match open(&path) {
                Err(_) => {}
                // White space of the manifest carries nothing.
                Ok(checkpoint) => {
                    assert_eq!(name, MANIFEST, "byte {position}");
                    assert!(bytes[position].is_ascii_whitespace(), "byte {position}");
                    assert_eq!(*checkpoint.manifest(), original);
                }
            }
        }
        fs::write(&file, &bytes).unwrap();
    }
    assert!(open(&path).is_ok());
}

#[test]
fn a_flipped_byte_names_its_file() {
    let run = run(&[1]);
    let path = run.path("step-000001");
    let checkpoint = open(&path).unwrap();
    let mut bytes = vec![1; 100];
    bytes[50] = 0;
    fs::write(path.join("generator.safetensors"), bytes).unwrap();
    let message = message(&path);
    assert!(
        message.contains("generator.safetensors is damaged"),
        "{message}"
    );
    let error = checkpoint.read("generator.safetensors").unwrap_err();
    assert!(
        matches!(error, CheckpointError::Hash { .. }),
        "damaged after opening: {error}"
    );
}

#[test]
fn missing_files_are_named_and_other_files_passed_over() {
    let run = run(&[1, 2, 3, 4]);
    fs::remove_file(run.path("step-000001/state.json")).unwrap();
    let first = message(&run.path("step-000001"));
    assert!(first.contains("state.json is missing"), "{first}");

    fs::write(run.path("step-000002/notes.txt"), b"").unwrap();
    fs::create_dir(run.path("step-000002/@eaDir")).unwrap();
    assert_eq!(open(&run.path("step-000002")).unwrap().step(), 2);

    fs::remove_file(run.path("step-000003/manifest.json")).unwrap();
    let third = message(&run.path("step-000003"));
    assert!(
        third.contains("step-000003 is not a whole checkpoint"),
        "{third}"
    );

    fs::remove_file(run.path("step-000004/empty.bin")).unwrap();
    fs::create_dir(run.path("step-000004/empty.bin")).unwrap();
    let fourth = message(&run.path("step-000004"));
    assert!(
        fourth.contains("empty.bin is missing"),
        "a folder is no file: {fourth}"
    );

    let absent = message(&run.path("step-000009"));
    assert!(absent.starts_with("cannot read "), "{absent}");
}

#[test]
fn another_version_and_another_step_are_refused() {
    let run = run(&[1]);
    let path = run.path("step-000001");
    let json = fs::read_to_string(path.join(MANIFEST)).unwrap();
    fs::write(path.join(MANIFEST), "{\"version\": 1, \"tensors\": []}").unwrap();
    assert!(
        message(&path).contains("format version 1"),
        "{}",
        message(&path)
    );
    fs::write(path.join(MANIFEST), json).unwrap();
    fs::rename(&path, run.path("step-000002")).unwrap();
    let other = message(&run.path("step-000002"));
    assert!(
        other.contains("states step 1 in the folder of step 2"),
        "{other}"
    );
}

#[test]
fn a_manifest_cannot_reach_out_of_its_folder() {
    let run = run(&[1]);
    let path = run.path("step-000001").join(MANIFEST);
    let json = fs::read_to_string(&path).unwrap();
    fs::write(&path, json.replace("state.json", "../../state.json")).unwrap();
    let message = message(&run.path("step-000001"));
    assert!(message.contains("it lists `../../state.json`"), "{message}");
}

#[test]
fn names_that_are_not_plain_are_refused_before_writing() {
    let run = run(&[]);
    for name in ["../escape", MANIFEST] {
        let files = BTreeMap::from([(name.to_owned(), Vec::new())]);
        let error = write(&run.root, 1, &files).unwrap_err();
        assert!(matches!(error, CheckpointError::FileName { .. }), "{error}");
    }
    assert!(!run.root.exists());
}

#[test]
fn a_killed_writer_leaves_the_older_checkpoint_and_no_mess() {
    let run = run(&[1]);
    // Killed with half of the files written, by another process.
    let partial = run.path(".step-000002.partial-1");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("generator.safetensors"), b"half").unwrap();
    // Killed just before the rename: whole, but never announced.
    let unnamed = run.path(".step-000003.partial-1");
    fs::create_dir(&unnamed).unwrap();
    for name in names(&run.path("step-000001")) {
        fs::copy(run.path("step-000001").join(&name), unnamed.join(&name)).unwrap();
    }
    assert_eq!(run.latest(), (Some(1), 0));
    write(&run.root, 4, &files(4)).unwrap();
    assert_eq!(run.names(), ["step-000001", "step-000004"]);
    assert_eq!(run.latest(), (Some(4), 0));
}

#[test]
fn replacing_is_safe_at_every_moment() {
    let run = run(&[1, 2]);
    let path = write(&run.root, 2, &files(77)).unwrap();
    assert_eq!(
        open(&path).unwrap().read("generator.safetensors").unwrap(),
        [77; 100]
    );
    assert_eq!(run.names(), ["step-000001", "step-000002"]);

    // Killed between the two renames: the former one is still found ...
    let aside = run.path(".step-000002.replaced-1");
    fs::rename(&path, &aside).unwrap();
    assert_eq!(run.latest(), (Some(2), 0));
    // ... and comes back with the next write.
    write(&run.root, 3, &files(3)).unwrap();
    assert_eq!(run.names(), ["step-000001", "step-000002", "step-000003"]);
    assert_eq!(
        open(&path).unwrap().read("generator.safetensors").unwrap(),
        [77; 100]
    );

    // Killed after the second rename: the new one wins and the former one is cleared away.
    fs::create_dir(&aside).unwrap();
    assert_eq!(run.latest(), (Some(3), 0));
    write(&run.root, 4, &files(4)).unwrap();
    assert!(!aside.exists());
}

#[test]
fn a_damaged_checkpoint_is_replaced_and_an_equal_one_kept() {
    let run = run(&[1]);
    let path = run.path("step-000001");
    let written = |path: &Path| {
        fs::metadata(path.join(MANIFEST))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = written(&path);
    write(&run.root, 1, &files(1)).unwrap();
    assert_eq!(written(&path), before, "nothing was written");
    fs::write(path.join("state.json"), b"?").unwrap();
    write(&run.root, 1, &files(1)).unwrap();
    assert!(open(&path).is_ok());
}

#[test]
fn a_file_in_the_way_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("checkpoints");
    fs::write(&root, b"").unwrap();
    let error = write(&root, 1, &files(1)).unwrap_err();
    assert!(matches!(error, CheckpointError::Io { .. }), "{error}");
    assert!(error.to_string().contains("checkpoints"), "{error}");
    assert!(latest_whole(&root).is_err());
    assert!(prune(&root, 1, 0).is_err());
    assert!(open(&root).is_err());
}

/// As one without permission is, which does not bind root.
#[test]
fn a_folder_that_cannot_be_read_is_an_error() {
    let run = run(&[1]);
    let aside = run.root.with_extension("aside");
    fs::rename(&run.root, &aside).unwrap();
    fs::write(&run.root, "no folder").unwrap();
    let results = (write(&run.root, 2, &files(2)), latest_whole(&run.root));
    fs::remove_file(&run.root).unwrap();
    fs::rename(&aside, &run.root).unwrap();
    assert!(
        matches!(results.0, Err(CheckpointError::Io { .. })),
        "{:?}",
        results.0
    );
    assert!(
        matches!(results.1, Err(CheckpointError::Io { .. })),
        "{:?}",
        results.1
    );
    assert_eq!(run.latest(), (Some(1), 0));
}

/// Neither ends, and nothing is read of it.
#[cfg(unix)]
#[test]
fn a_device_in_the_place_of_a_file_is_refused() {
    for name in ["manifest.json", "generator.safetensors", "empty.bin"] {
        let run = run(&[3]);
        let folder = run.path("step-000003");
        fs::remove_file(folder.join(name)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.join(name)).unwrap();
        let error = open(&folder)
            .and_then(|checkpoint| checkpoint.read("generator.safetensors"))
            .unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
