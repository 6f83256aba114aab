use std::fs;
use std::path::Path;

use assert_cmd::Command;
use image::{GrayImage, Luma};

use super::run::{failure, program, train};

fn generate(run: &Path, labels: &Path, out: &Path, arguments: &[&str]) -> Command {
    let mut command = program(&["generate", "--backend", "flex"]);
    command
        .arg("--checkpoint")
        .arg(run)
        .arg("--labels")
        .arg(labels);
    command.arg("--out").arg(out).args(arguments);
    command
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run, &["--steps", "1"]).assert().success();
    let labels = folder.path().join("labels");
    fs::create_dir(&labels).unwrap();
    let stripes = GrayImage::from_fn(50, 40, |x, y| Luma([((x / 9 + y / 7) % 15) as u8]));
    stripes.save(labels.join("stripes.png")).unwrap();
    GrayImage::from_pixel(32, 32, Luma([3]))
        .save(labels.join("plain.png"))
        .unwrap();

    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let arguments = ["--samples", "2", "--seed", "5", "--grid"];
    generate(&run, &labels, &first, &arguments)
        .assert()
        .success();
    generate(&run, &labels, &second, &arguments)
        .assert()
        .success();
    let names = [
        "plain_00.png",
        "plain_01.png",
        "stripes_00.png",
        "stripes_01.png",
        "grid.png",
    ];
    for name in names {
        let bytes = fs::read(first.join(name)).unwrap();
        assert!(
            bytes == fs::read(second.join(name)).unwrap(),
            "{name} differs"
        );
    }
    let image = image::open(first.join("stripes_00.png")).unwrap();
    assert_eq!((image.width(), image.height()), (32, 32));

    // Sample 0 is the same however many there are.
    let single = folder.path().join("single");
    let file = labels.join("stripes.png");
    generate(&run, &file, &single, &["--seed", "5"])
        .assert()
        .success();
    let bytes = fs::read(single.join("stripes.png")).unwrap();
    assert!(bytes == fs::read(first.join("stripes_00.png")).unwrap());

    let latents = folder.path().join("latents.safetensors");
    let state = dp_sims_model::weights::StateDict::from([(
        "latents".to_string(),
        burn::tensor::TensorData::new(vec![0.5f32; 3 * 8], [3, 8]),
    )]);
    dp_sims_model::weights::write_safetensors(&latents, &state).unwrap();
    let chosen = folder.path().join("chosen");
    let arguments = ["--latents", latents.to_str().unwrap()];
    generate(&run, &file, &chosen, &arguments)
        .assert()
        .success();
    let bytes = fs::read(chosen.join("stripes_00.png")).unwrap();
    assert!(bytes == fs::read(chosen.join("stripes_02.png")).unwrap());

    let unknown = folder.path().join("unknown.png");
    GrayImage::from_pixel(32, 32, Luma([77]))
        .save(&unknown)
        .unwrap();
    let message = failure(
        generate(&run, &unknown, &folder.path().join("none"), &[]),
        2,
    );
    assert!(
        message.contains("unknown.png") && message.contains("77"),
        "{message}"
    );
}

#[test]
fn many_label_maps_stream_and_any_failure_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run, &["--steps", "1"]).assert().success();
    let labels = folder.path().join("labels");
    fs::create_dir(&labels).unwrap();
    let count = 20;
    let name = |index: u8| format!("map{index:02}.png");
    for index in 0..count {
        let map = GrayImage::from_fn(32, 32, |x, y| Luma([((x + y) as u8 + index) % 15]));
        map.save(labels.join(name(index))).unwrap();
    }
    let all = folder.path().join("all");
    generate(&run, &labels, &all, &[]).assert().success();
    assert_eq!(fs::read_dir(&all).unwrap().count(), usize::from(count));
    for index in [0, 7, count - 1] {
        let alone = folder.path().join("alone");
        let file = labels.join(name(index));
        generate(&run, &file, &alone, &[]).assert().success();
        let bytes = fs::read(alone.join(name(index))).unwrap();
        assert!(bytes == fs::read(all.join(name(index))).unwrap(), "{index}");
    }

    // Something else is where an image should go.
    let blocked = folder.path().join("blocked");
    fs::create_dir_all(blocked.join(name(3)).join("inside")).unwrap();
    let message = failure(generate(&run, &labels, &blocked, &[]), 1);
    assert!(message.contains("map03.png"), "{message}");

    // A damaged label map is found before the first image.
    fs::write(labels.join(name(11)), b"no picture").unwrap();
    let none = folder.path().join("none");
    let message = failure(generate(&run, &labels, &none, &[]), 2);
    assert!(message.contains("map11.png"), "{message}");
    assert!(!none.exists());
}

#[test]
fn a_missing_checkpoint_is_a_mistake_of_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("nothing");
    let message = failure(generate(&nothing, &nothing, &nothing, &[]), 2);
    assert!(message.contains("nothing"), "{message}");
}
