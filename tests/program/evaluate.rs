use std::fs;
use std::path::Path;

use assert_cmd::Command;
use image::{GrayImage, RgbImage};
use serde_json::Value;

use super::run::{failure, program, train};

const METRICS: &str = "fd-convnext-pico-scenes,kd-convnext-pico-scenes,miou,accuracy";

fn output(mut command: Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).expect("text")
}

fn evaluate(arguments: &[&str], cache: &Path) -> Command {
    let mut command = program(&["evaluate", "--backend", "flex"]);
    command.args(arguments).env("XDG_CACHE_HOME", cache);
    command
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A tiny run, scenes on disk, and a segmenter of them.
struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let setup = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let data = setup.path("data");
        let mut export = program(&["dataset", "export", "scenes", "--layout", "folder"]);
        export.args([
            "--train",
            "4",
            "--validation",
            "5",
            "--size",
            "32x32",
            "--out",
        ]);
        export.arg(&data).assert().success();
        setup
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn segmenter(&self, steps: &str) -> Command {
        let mut command = program(&["train-segmenter", "--backend", "flex", "--steps", steps]);
        command.args([
            "--backbone",
            "convnext-pico-scenes",
            "--size",
            "32x32",
            "--batch",
            "2",
        ]);
        command.arg("--data").arg(self.path("data"));
        command.arg("--out").arg(self.path("segmenter"));
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    fn run(&self) -> std::path::PathBuf {
        let (run, data) = (self.path("run"), self.path("data"));
        let dataset = format!("data.dataset={}", data.join("dataset.toml").display());
        let settings = ["--steps", "1", "--data", text(&data), "--set", &dataset];
        train(&run, &settings)
            .env("XDG_CACHE_HOME", self.path("cache"))
            .assert()
            .success();
        run
    }

    fn evaluate(&self, arguments: &[&str]) -> Command {
        evaluate(arguments, &self.path("cache"))
    }
}

#[test]
fn a_checkpoint_and_its_images_are_judged_alike_and_compared() {
    let setup = Setup::new();
    let shown = output(setup.segmenter("2"));
    assert!(
        shown.contains("mIoU") && shown.contains("on 5 photos"),
        "{shown}"
    );
    let validation = json(&setup.path("segmenter/validation.json"));
    assert_eq!(validation["images"], 5);

    let (run, segmenter) = (setup.run(), setup.path("segmenter"));
    let (first, second) = (setup.path("first"), setup.path("second"));
    let judge = |out: &Path, more: &[&str]| {
        let metrics = format!("{METRICS},timing");
        let mut command = setup.evaluate(&["--checkpoint", text(&run), "--metrics", &metrics]);
        command
            .arg("--segmenter")
            .arg(&segmenter)
            .arg("--out")
            .arg(out)
            .args(more);
        output(command)
    };
    let shown = judge(&first, &[]);
    assert!(shown.contains("protocol folder-v1"), "{shown}");
    judge(&second, &["--batch", "2"]);
    let (a, b) = (
        json(&first.join("results.json")),
        json(&second.join("results.json")),
    );
    assert_eq!(a["complete"], true);
    assert_eq!(a["data"]["images"], 5);
    assert_eq!(a["data"]["sha256"], b["data"]["sha256"]);
    assert_eq!(a["values"]["miou"], b["values"]["miou"]);
    assert_eq!(a["timing"]["runs"], 50);
    let distance = |results: &Value| results["values"]["fd-convnext-pico-scenes"]["value"].as_f64();
    let (x, y) = (distance(&a).unwrap(), distance(&b).unwrap());
    assert!(x > 0.0 && (x - y).abs() < 1e-3 * x, "{x} {y}");
    assert!(
        a["values"].get("fid").is_none(),
        "no such distance is called FID"
    );
    let html = fs::read_to_string(first.join("report.html")).unwrap();
    assert!(html.contains("folder-v1") && html.contains("data:image/png;base64"));

    let table = output({
        let mut command = program(&["compare"]);
        command.arg(&first).arg(&second);
        command
    });
    assert!(
        table.contains("Fréchet distance, convnext-pico-scenes"),
        "{table}"
    );

    // Fewer images are not the whole protocol, and cannot be compared with all of them.
    let third = setup.path("third");
    judge(&third, &["--limit", "4"]);
    assert_eq!(json(&third.join("results.json"))["complete"], false);
    let mut command = program(&["compare"]);
    command.arg(&first).arg(&third);
    let message = failure(command, 2);
    assert!(message.contains("other label maps or photos"), "{message}");
}

#[test]
fn images_of_any_method_are_judged_by_name() {
    let setup = Setup::new();
    output(setup.segmenter("1"));
    let (data, segmenter) = (setup.path("data"), setup.path("segmenter"));
    let images = setup.path("images");
    fs::create_dir(&images).unwrap();
    // The photos themselves: no distance.
    let mut names = Vec::new();
    for entry in fs::read_dir(data.join("photos/validation")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        image::open(&path)
            .unwrap()
            .into_rgb8()
            .save(images.join(format!("{name}.png")))
            .unwrap();
        names.push(name);
    }
    assert_eq!(names.len(), 5);
    let arguments = [
        "--images",
        text(&images),
        "--data",
        text(&data),
        "--metrics",
        METRICS,
        "--segmenter",
        text(&segmenter),
    ];
    output(setup.evaluate(&arguments));
    let results = json(&setup.path("images-evaluation/results.json"));
    let value = |name: &str| results["values"][name]["value"].as_f64().unwrap();
    assert!(value("fd-convnext-pico-scenes").abs() < 1e-6, "{results}");
    let validation = json(&segmenter.join("validation.json"));
    let expected = validation["miou"].as_f64().unwrap();
    assert!(
        (value("miou") - expected).abs() < 1e-9,
        "{} {expected}",
        value("miou")
    );

    let first = images.join(format!("{}.png", names[0]));
    RgbImage::new(16, 32).save(&first).unwrap();
    let message = failure(setup.evaluate(&arguments), 2);
    assert!(
        message.contains("all images must have one size"),
        "{message}"
    );
    GrayImage::new(32, 32).save(&first).unwrap();
    let message = failure(setup.evaluate(&arguments), 2);
    assert!(message.contains("grayscale"), "{message}");
    fs::remove_file(&first).unwrap();
    let message = failure(setup.evaluate(&arguments), 2);
    assert!(
        message.contains(&names[0]) && message.contains("1 of 5"),
        "{message}"
    );
    let mut timing = arguments;
    timing[5] = "timing";
    let message = failure(setup.evaluate(&timing), 2);
    assert!(message.contains("--checkpoint"), "{message}");
}

/// Procedural scenes have no files, and are enough for a segmenter and for what it judges.
#[test]
fn a_segmenter_of_procedural_scenes_judges_a_model_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let segmenter = folder.path().join("segmenter");
    let mut command = program(&[
        "train-segmenter",
        "--backend",
        "flex",
        "--dataset",
        "scenes",
    ]);
    command.args(["--backbone", "convnext-pico-scenes", "--size", "32x32"]);
    command.args(["--steps", "1", "--batch", "1", "--limit", "2", "--out"]);
    command.arg(&segmenter).env("XDG_CACHE_HOME", folder.path());
    command.assert().success();
    let run = folder.path().join("run");
    train(&run, &["--steps", "1"])
        .env("XDG_CACHE_HOME", folder.path())
        .assert()
        .success();
    let mut command = evaluate(&["--checkpoint", text(&run), "--json"], folder.path());
    command.args(["--metrics", "miou", "--limit", "2", "--segmenter"]);
    let output = command
        .arg(&segmenter)
        .assert()
        .success()
        .get_output()
        .clone();
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(results["values"]["miou"]["value"].is_number(), "{results}");
}

/// What needs no weight file is measured, and what would give the rest is told.
#[test]
fn without_flags_and_weights_some_numbers_are_there() {
    let setup = Setup::new();
    let run = setup.run();
    let weights = setup.path("no-weights");
    let mut command = setup.evaluate(&["--checkpoint", text(&run), "--limit", "4", "--json"]);
    command.arg("--weights").arg(&weights);
    let output = command.assert().success().get_output().clone();
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(results["values"]["fd-convnext-pico-scenes"]["value"].is_number());
    assert!(results["timing"].is_object());
    let notes = String::from_utf8(output.stderr).unwrap();
    for part in [
        "without fid",
        "`dp-sims weights fetch fid_inception`",
        "without lpips",
    ] {
        assert!(notes.contains(part), "{part} is missing in {notes}");
    }
}

#[test]
fn mistakes_are_found_before_any_work() {
    let setup = Setup::new();
    let run = setup.run();
    let weights = setup.path("weights");
    fs::create_dir(&weights).unwrap();
    let problem = |arguments: &[&str]| {
        let mut command = setup.evaluate(&["--checkpoint", text(&run)]);
        command.arg("--weights").arg(&weights).args(arguments);
        failure(command, 2)
    };
    let message = problem(&["--metrics", "fid"]);
    for part in [
        "pt_inception-2015-12-05-6726825d.pth",
        "`dp-sims weights fetch fid_inception`",
    ] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    fs::write(
        weights.join("pt_inception-2015-12-05-6726825d.pth"),
        "other",
    )
    .unwrap();
    let message = problem(&["--metrics", "fid"]);
    assert!(
        message.contains("SHA-256") && message.contains("6726825d"),
        "{message}"
    );
    let message = problem(&["--metrics", "miou"]);
    assert!(message.contains("train-segmenter"), "{message}");
    let message = problem(&["--metrics", "miou-mf"]);
    assert!(message.contains("does not define miou-mf"), "{message}");
    let message = problem(&["--metrics", "fd-convnext-pico-scenes", "--limit", "1"]);
    assert!(message.contains("at least 2 images"), "{message}");
    let message = problem(&["--metrics", "fd-vgg16"]);
    assert!(message.contains("no weights of vgg16"), "{message}");
    let message = problem(&["--metrics", "fid", "--protocol", "ade20k-256-v1"]);
    assert!(message.contains("not for `"), "{message}");
    let message = problem(&["--metrics", "beauty"]);
    assert!(message.contains("unknown metric `beauty`"), "{message}");
    let mut command = program(&["compare", "nowhere.json"]);
    command.arg(setup.path("run"));
    assert!(failure(command, 2).contains("nowhere.json"));
}

#[test]
fn a_run_keeps_its_best_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let settings = [
        "--steps",
        "4",
        "--set",
        "evaluation.every=2",
        "--set",
        "evaluation.metrics=[\"fd-convnext-pico-scenes\"]",
        "--set",
        "evaluation.best=fd-convnext-pico-scenes",
        "--set",
        "evaluation.images=6",
    ];
    let shown = output(train(&run, &settings));
    let lines: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("evaluation"))
        .collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(lines[0].ends_with("(best so far)"), "{shown}");
    let best = json(&run.join("best/best.json"));
    assert_eq!(best["metric"], "fd-convnext-pico-scenes");
    let step = if lines[1].ends_with("(best so far)") {
        4
    } else {
        2
    };
    assert_eq!(best["step"], step);
    assert!(
        run.join(format!("best/step-{step:06}/ema.safetensors"))
            .is_file()
    );
    assert!(!run.join(format!("best/step-{:06}", 6 - step)).exists());
    let mut wrong = train(&folder.path().join("other"), &settings[..4]);
    wrong.args(["--set", "evaluation.metrics=[\"beauty\"]"]);
    assert!(failure(wrong, 2).contains("evaluation.metrics"));
}
