use std::fs;
use std::path::Path;

use assert_cmd::Command;
use image::{GrayImage, Luma, RgbImage};
use serde_json::Value;

use super::run::{checkpoint, failure, program, train};

fn output(mut command: Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).expect("text")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn generate(model: &Path, labels: &Path, out: &Path) -> Vec<u8> {
    let mut command = program(&["generate", "--backend", "flex", "--samples", "2"]);
    command.arg("--checkpoint").arg(model);
    command.arg("--labels").arg(labels).arg("--out").arg(out);
    command.assert().success();
    image::open(out.join("stripes_01.png"))
        .unwrap()
        .into_rgb8()
        .into_raw()
}

/// Pixels of a column and row of a panel of 32x32 images, which are enlarged four times.
fn tile(panel: &RgbImage, column: u32, row: u32) -> Vec<u8> {
    let above = panel.height() - (panel.height() - 2) / 130 * 130;
    let (left, top) = (2 + column * 130, above + row * 130);
    let at = |i: u32| panel.get_pixel(left + 4 * (i % 32), top + 4 * (i / 32)).0;
    (0..32 * 32).flat_map(at).collect()
}

#[test]
fn a_model_is_one_file_that_makes_the_same_images_and_stands_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = path("run");
    // Noise reaches the image from the first step on, where gates of attention are still shut.
    let settings = ["--steps", "1", "--set", "generator.noise=concat"];
    train(&run, &settings).assert().success();
    let labels = path("stripes.png");
    GrayImage::from_fn(32, 32, |x, y| Luma([((x / 9 + y / 7) % 15) as u8]))
        .save(&labels)
        .unwrap();

    let (single, half) = (path("single.safetensors"), path("half.safetensors"));
    let export = ["export", "--checkpoint", text(&run), "--out"];
    let mut command = program(&export);
    command.arg(&half).arg("--half");
    let shown = output(command);
    assert!(shown.contains("quickstart after 1 steps"), "{shown}");
    let mut command = program(&export);
    command.arg(&single);
    output(command);
    let bytes = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(bytes(&half) < bytes(&single));

    let expected = generate(&run, &labels, &path("a"));
    assert!(generate(&single, &labels, &path("b")) == expected);
    let rounded = generate(&half, &labels, &path("c"));
    let worst = expected
        .iter()
        .zip(&rounded)
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(worst.unwrap() <= 3, "{worst:?}");

    let shown = output(program(&["weights", "inspect", text(&half)]));
    assert!(
        shown.contains("fits        the generator it describes"),
        "{shown}"
    );
    assert!(
        shown.contains("1 steps") && shown.contains("of scenes, 14 classes"),
        "{shown}"
    );
    let json = output(program(&["weights", "inspect", text(&half), "--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["model"]["name"], "quickstart");
    assert_eq!(json["model"]["generator"]["spectral_norm"], false);

    // Cut short, it is refused.
    let whole = fs::read(&half).unwrap();
    fs::write(&half, &whole[..whole.len() - 1]).unwrap();
    let mut command = program(&[
        "generate",
        "--labels",
        text(&labels),
        "--out",
        text(&path("d")),
    ]);
    command.arg("--checkpoint").arg(&half);
    let message = failure(command, 2);
    assert!(message.contains("half.safetensors"), "{message}");

    // A panel of the run, the file, and the images that were made of it.
    let images = path("images");
    fs::create_dir(&images).unwrap();
    fs::copy(path("a").join("stripes_01.png"), images.join("stripes.png")).unwrap();
    fs::copy(path("a").join("stripes_00.png"), images.join("other.png")).unwrap();
    let panel = path("panel.png");
    let saved = checkpoint(&run, 1);
    let mut command = program(&["compare", "--backend", "flex", "--panel", text(&panel)]);
    command.args(["--labels", text(&labels)]);
    command.args([&run, &saved, &single, &images]);
    output(command);
    let picture = image::open(&panel).unwrap().into_rgb8();
    let first = image::open(path("a").join("stripes_00.png"))
        .unwrap()
        .into_rgb8()
        .into_raw();
    assert!(first != expected, "two noises");
    for column in 1..4 {
        assert!(tile(&picture, column, 0) == first, "column {column}");
    }
    assert!(tile(&picture, 4, 0) == expected);

    // Noises are the samples of `generate`; the validation split has photos.
    let mut command = program(&["compare", "--backend", "flex", "--panel", text(&panel)]);
    command.args(["--labels", text(&labels), "--noises", "2", text(&run)]);
    output(command);
    let picture = image::open(&panel).unwrap().into_rgb8();
    assert!(tile(&picture, 1, 0) == first && tile(&picture, 2, 0) == expected);
    let mut command = program(&["compare", "--backend", "flex", "--panel", text(&panel)]);
    command.args(["--maps", "3", "--titles", "mine", text(&run)]);
    output(command);
    let picture = image::open(&panel).unwrap().into_rgb8();
    assert_eq!(picture.width(), 3 * 130 + 2);
    assert!(tile(&picture, 1, 0) != tile(&picture, 1, 1), "two photos");
}

#[test]
fn mistakes_of_panels_and_exports_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = path("run");
    train(&run, &["--steps", "1"]).assert().success();
    let panel = path("panel.png");
    let problem = |arguments: &[&str]| failure(program(arguments), 2);
    let run = text(&run);
    let message = problem(&["compare", run]);
    assert!(message.contains("--panel"), "{message}");
    let message = problem(&[
        "compare",
        run,
        run,
        "--panel",
        text(&panel),
        "--noises",
        "2",
    ]);
    assert!(message.contains("--noises"), "{message}");
    let message = problem(&["compare", run, "--panel", text(&panel), "--titles", "a,b"]);
    assert!(message.contains("2 titles for 1 columns"), "{message}");
    let empty = path("empty");
    fs::create_dir(&empty).unwrap();
    let message = problem(&["compare", run, text(&empty), "--panel", text(&panel)]);
    assert!(message.contains("no PNG, JPEG or WebP"), "{message}");
    assert!(!panel.exists());
    let message = problem(&["export", "--checkpoint", text(&empty), "--out", "x"]);
    assert!(message.contains("empty"), "{message}");
}
