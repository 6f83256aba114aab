//! Training from files, from packed splits, and past images that cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use dp_sims_datasets::Sampler;

use super::run::{checkpoint, failure, program, train, weights};

/// Procedural scenes of 32x64 pixels in Cityscapes' layout.
fn cityscapes(root: &Path, images: &str) -> PathBuf {
    let folder = root.join("cityscapes");
    let export = ["dataset", "export", "scenes", "--layout", "cityscapes"];
    program(&export)
        .args(["--train", images, "--validation", "2", "--size", "32x64"])
        .arg("--out")
        .arg(&folder)
        .assert()
        .success();
    folder
}

/// `train` on it, with offsets.
fn train_on(data: &Path, out: &Path, more: &[&str]) -> assert_cmd::Command {
    let mut command = train(out, &["--set", "data.dataset=cityscapes"]);
    command.arg("--data").arg(data);
    command.args(["--set", "generator.offsets=true", "--set", "data.width=64"]);
    command.args(more);
    command
}

#[test]
fn packed_splits_train_as_their_files_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let data = cityscapes(folder.path(), "5");
    let mut pack = program(&["dataset", "pack", "--size", "32x64", "--offsets"]);
    pack.arg("--data").arg(&data).arg("--out").arg(at("packed"));
    pack.assert().success();
    let packed = format!("data.packed={}", at("packed").display());

    train_on(&data, &at("files"), &["--steps", "2"])
        .assert()
        .success();
    train_on(&data, &at("pack"), &["--steps", "2", "--set", &packed])
        .assert()
        .success();
    let files = weights(&checkpoint(&at("files"), 2));
    assert!(files.len() >= 8);
    assert!(files == weights(&checkpoint(&at("pack"), 2)));

    // Offsets reach the networks: without them the same run ends elsewhere.
    let without = ["--steps", "2", "--set", "generator.offsets=false"];
    train_on(&data, &at("without"), &without).assert().success();
    let without = weights(&checkpoint(&at("without"), 2));
    assert!(files["discriminator.safetensors"] != without["discriminator.safetensors"]);

    let size = ["--set", &packed, "--set", "data.height=64"];
    let message = failure(train_on(&data, &at("size"), &size), 2);
    assert!(message.contains("`data.height`"), "{message}");
    let other = ["--set", &packed, "--set", "data.dataset=camvid"];
    let message = failure(train_on(&data, &at("other"), &other), 2);
    assert!(message.contains("other classes than `camvid`"), "{message}");
}

#[test]
fn instances_move_what_is_generated() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let data = cityscapes(folder.path(), "4");
    train_on(&data, &at("run"), &["--steps", "1"])
        .assert()
        .success();
    let [labels, instances] = ["labelIds", "instanceIds"].map(|kind| {
        let city = fs::read_dir(data.join("gtFine/val")).unwrap().next();
        let files = fs::read_dir(city.unwrap().unwrap().path()).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files.retain(|file| file.to_string_lossy().contains(kind));
        files.swap_remove(0)
    });
    let generate = |out: &str, more: &[&Path]| {
        let mut command = program(&["generate", "--backend", "flex", "--checkpoint"]);
        command.arg(at("run")).arg("--labels").arg(&labels);
        command.arg("--out").arg(at(out));
        if let [instances] = more {
            command.arg("--instances").arg(instances);
        }
        command.assert().success();
        let image = fs::read_dir(at(out)).unwrap().next().unwrap();
        fs::read(image.unwrap().path()).unwrap()
    };
    let with = generate("with", &[&instances]);
    assert!(with != generate("without", &[]), "offsets change nothing");
    assert!(with == generate("again", &[&instances]));
}

#[test]
fn a_damaged_photo_is_passed_over_and_many_end_the_run_with_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let data = cityscapes(folder.path(), "100");
    // Cut behind the header, which is all that the check reads, the photos that are drawn in the
    // first and in the third step.
    let order = Sampler::permuted(100, 42).unwrap().indices(0..6);
    let photos = data.join("leftImg8bit/train");
    let mut files: Vec<PathBuf> = fs::read_dir(photos)
        .unwrap()
        .flat_map(|city| fs::read_dir(city.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let cut = |index: usize| {
        let bytes = fs::read(&files[index]).unwrap();
        fs::write(&files[index], &bytes[..200]).unwrap();
        files[index]
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let settings = ["--steps", "4", "--set", "data.balanced=false", "--set"];
    let settings = [&settings[..], &["data.queue=1"]].concat();
    let first = cut(order[0]);
    let run = train_on(&data, &at("one"), &settings).assert().success();
    let output = run.get_output();
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(text.contains(&first), "{text}");
    assert!(text.contains("(1 of 100)"), "{text}");
    assert!(checkpoint(&at("one"), 4).is_dir());

    let second = cut(order[4]);
    let message = failure(train_on(&data, &at("two"), &settings), 1);
    assert!(
        message.contains("2 of 100 images cannot be read"),
        "{message}"
    );
    assert!(message.contains(&second), "{message}");
    assert!(checkpoint(&at("two"), 2).is_dir());
}
