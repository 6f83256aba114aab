use std::fs;
use std::path::Path;

use assert_cmd::Command;
use image::{GrayImage, Luma, Rgb, RgbImage};

use super::run::{failure, program, train};

/// Standard output of a command that succeeds.
fn output(mut command: Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).expect("text")
}

/// `dataset VERB` with these arguments and a path.
fn dataset(arguments: &[&str], path: &Path) -> Command {
    let mut command = program(&["dataset"]);
    command.args(arguments).arg(path);
    command
}

/// A folder with `count` pairs in photos/ and masks/.
fn garden(root: &Path, count: u32) {
    for folder in ["photos", "masks"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for index in 0..count {
        let photo = RgbImage::from_fn(40, 36, |x, y| Rgb([x as u8 * 6, y as u8 * 7, index as u8]));
        photo
            .save(root.join(format!("photos/{index}.jpg")))
            .unwrap();
        let map = GrayImage::from_fn(40, 36, |x, _| {
            Luma([if x < 9 { 255 } else { x as u8 / 20 }])
        });
        map.save(root.join(format!("masks/{index}.png"))).unwrap();
    }
}

#[test]
fn an_export_is_recognised_viewed_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("city");
    let arguments = [
        "export",
        "scenes",
        "--layout",
        "cityscapes",
        "--train",
        "3",
        "--validation",
        "2",
        "--size",
        "32x48",
        "--out",
    ];
    let text = output(dataset(&arguments, &root));
    assert!(
        text.contains("3 training and 2 validation images"),
        "{text}"
    );
    let message = failure(dataset(&arguments, &root), 2);
    assert!(message.contains("is not empty"), "{message}");

    // Neither dataset nor file is named: the layout tells which it is.
    let picture = folder.path().join("new/view.png");
    let data = root.to_str().unwrap();
    let shared = ["view", "--data", data, "--split", "validation", "--out"];
    output(dataset(&shared, &picture));
    let with_offsets = image::open(&picture).unwrap();
    assert!(with_offsets.width() > 4 * 384, "{}", with_offsets.width());

    let out = folder.path().join("run");
    let settings = [
        "--steps",
        "1",
        "--data",
        data,
        "--set",
        "data.dataset=cityscapes",
    ];
    train(&out, &settings).assert().success();
    assert!(out.join("checkpoints/step-000001").is_dir());
}

#[test]
fn a_folder_of_ones_own_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("my garden");
    garden(&root, 3);
    fs::write(root.join("classes.txt"), "grass\nsky\n").unwrap();
    let text = output(dataset(&["init"], &root));
    for part in [
        "train: paired 3 of 3 photos in photos (*.jpg) with 3 of 3 label maps in masks (*.png)",
        "ids: 2 classes, void is 255, 22.5 % of all pixels",
        "dp-sims dataset check --data '",
        "dp-sims train quickstart --set data.dataset='",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    // A description that fits is kept, one that does not is an error.
    let written = fs::read(root.join("dataset.toml")).unwrap();
    let text = output(dataset(&["init"], &root));
    assert!(
        text.contains("is kept") && text.contains("train: 3 pairs"),
        "{text}"
    );
    assert!(written == fs::read(root.join("dataset.toml")).unwrap());
    fs::write(root.join("dataset.toml"), "mine").unwrap();
    let message = failure(dataset(&["init"], &root), 2);
    assert!(message.contains("--force"), "{message}");
    output(dataset(&["init", "--force"], &root));

    // The second of the printed commands, but for the size of the model.
    let file = root.join("dataset.toml");
    let setting = format!("data.dataset={}", file.display());
    let arguments = [
        "--dry-run",
        "--data",
        root.to_str().unwrap(),
        "--set",
        &setting,
    ];
    let text = output(train(&folder.path().join("run"), &arguments));
    assert!(text.contains("grass") && text.contains("sky"), "{text}");

    let picture = folder.path().join("view.png");
    let arguments = [
        "view",
        file.to_str().unwrap(),
        "--images",
        "1",
        "--first",
        "2",
        "--out",
    ];
    output(dataset(&arguments, &picture));
    assert!(image::open(&picture).unwrap().width() < 4 * 384);
}

#[test]
fn mistakes_of_dataset_commands_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("empty");
    fs::create_dir(&root).unwrap();
    let message = failure(dataset(&["init"], &root), 2);
    assert!(message.contains("no file that ends in .jpg"), "{message}");
    let picture = folder.path().join("view.png");
    for (arguments, expected) in [
        (&["view", "--out"][..], "scenes has no"),
        (&["view", "--first", "10000", "--out"], "has 10000 images"),
        (&["view", "--size", "0x9", "--out"], "--size 0x9"),
        (
            &["view", "--data", "no/such", "--out"],
            "dataset init no/such",
        ),
        (
            &[
                "export", "scenes", "--layout", "folder", "--train", "0", "--out",
            ],
            "would have 0",
        ),
        (
            &["export", "scenes", "--layout", "voc", "--out"],
            "unknown layout `voc`",
        ),
    ] {
        let mut command = dataset(arguments, &picture);
        if expected == "scenes has no" {
            command.args(["--split", "test"]);
        }
        let message = failure(command, 2);
        assert!(
            message
                .replace('`', "")
                .contains(&expected.replace('`', "")),
            "{message}"
        );
    }
    let message = failure(
        dataset(&["view", "--out"], &folder.path().join("view.jpg")),
        2,
    );
    assert!(message.contains("name it FILE.png"), "{message}");
    assert!(!picture.exists());
}
