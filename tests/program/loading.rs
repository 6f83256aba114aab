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
    let data = cityscapes(folder.path(), "8");
    // Steps so large that an image of 8 bits shows what the offsets do.
    let quick = ["--steps", "3", "--set", "optimizer.lr_generator=0.02"];
    let at_once = ["--set", "optimizer.warmup_steps=0"];
    let quick = [&quick[..], &["--set", "ema.decay=0.0"], &at_once].concat();
    train_on(&data, &at("run"), &quick).assert().success();
    let numbers = |path: &Path| image::open(path).unwrap().into_luma16();
    let instances = files_below(&data.join("gtFine/train"), "_instanceIds.png")
        .into_iter()
        .find(|path| {
            numbers(path)
                .pixels()
                .filter(|pixel| pixel[0] >= 1000)
                .count()
                > 100
        })
        .expect("an image with cars or people");
    let labels = instances
        .to_string_lossy()
        .replace("_instanceIds", "_labelIds");
    let generate = |out: &str, instances: Option<&Path>| {
        let mut command = program(&["generate", "--backend", "flex", "--labels", &labels]);
        command.arg("--checkpoint").arg(at("run"));
        command.arg("--out").arg(at(out));
        if let Some(instances) = instances {
            command.arg("--instances").arg(instances);
        }
        command
    };
    let image = |out: &str, instances| {
        generate(out, instances).assert().success();
        fs::read(&files_below(&at(out), ".png")[0]).unwrap()
    };
    let with = image("with", Some(&instances));
    assert!(with != image("without", None), "offsets change nothing");
    assert!(with == image("again", Some(&instances)));

    let small = at("small.png");
    image::GrayImage::new(5, 5).save(&small).unwrap();
    let message = failure(generate("small", Some(&small)), 2);
    assert!(message.contains("must have the same size"), "{message}");
    let message = failure(generate("absent", Some(&at("absent.png"))), 2);
    assert!(message.contains("absent.png"), "{message}");
}

/// Files below a folder whose names end like that, sorted.
fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn a_damaged_photo_is_passed_over_and_many_end_the_run_with_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let data = cityscapes(folder.path(), "100");
    // Cut behind the header, which is all that the check reads, the photos that are drawn in the
    // first and in the third step.
    let order = Sampler::permuted(100, 42).unwrap().indices(0..6);
    let files = files_below(&data.join("leftImg8bit/train"), ".png");
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
