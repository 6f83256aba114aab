//! What is refused before anything is made.

use std::fs;

use super::run::{failure, program, train};

#[test]
fn networks_and_classes_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for part in ["photos", "masks"] {
        fs::create_dir_all(data.join(part)).unwrap();
    }
    for index in 0..3u8 {
        image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8, y as u8, index]))
            .save(data.join(format!("photos/{index}.png")))
            .unwrap();
        image::GrayImage::from_fn(40, 40, |x, _| image::Luma([1 + (x / 20) as u8]))
            .save(data.join(format!("masks/{index}.png")))
            .unwrap();
    }
    let describe = |names: [&str; 2]| {
        let classes: String = names
            .iter()
            .zip(1..)
            .map(|(name, id)| {
                format!("[[class]]\nname = \"{name}\"\ncolour = \"#40a04{id}\"\nids = [{id}]\n")
            })
            .collect();
        let files = "[train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
        fs::write(
            folder.path().join("pond.toml"),
            format!("name = \"pond\"\n{classes}{files}"),
        )
        .unwrap();
    };
    describe(["water", "reed"]);
    let dataset = format!("data.dataset={}", folder.path().join("pond.toml").display());
    let out = folder.path().join("run");
    let call = |more: &[&str]| {
        let mut command = train(&out, &[&["--set", &dataset], more].concat());
        command.arg("--data").arg(&data);
        command
    };
    call(&["--steps", "1"]).assert().success();
    let on = ["--steps", "2", "--resume", "auto"];
    describe(["reed", "water"]);
    let message = failure(call(&on), 2);
    assert!(
        message.contains("class 1 was `water` and is `reed` now"),
        "{message}"
    );
    describe(["water", "reed"]);
    for (setting, key) in [
        ("data.height=64", "data.height"),
        ("generator.tokens=5", "generator.tokens"),
        ("loss.contrastive.loss.dim=8", "loss.contrastive.loss.dim"),
    ] {
        let mut command = call(&on);
        command.args(["--set", setting]);
        let message = failure(command, 2);
        assert!(
            message.contains(&format!("was trained with {key} = ")),
            "{message}"
        );
    }
    call(&on).assert().success();
}

#[test]
fn an_address_that_is_taken_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = failure(train(&out, &["--metrics", &address]), 2);
    assert!(message.contains(&address), "{message}");
    assert!(!out.exists());
    for hours in ["0", "-1", "nan"] {
        let hours = format!("--max-hours={hours}");
        let message = failure(train(&out, &[&hours]), 2);
        assert!(message.contains("--max-hours must be above 0"), "{message}");
    }
}

#[test]
fn what_is_out_of_range_or_cannot_fit_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (arguments, part) in [
        (["--set", "run.batch=9223372036854775807"], "`run.batch`"),
        (["--set", "optimizer.epsilon=nan"], "`optimizer.epsilon`"),
        (
            ["--set", "generator.base_width=8192"],
            "`generator.base_width`",
        ),
        (["--set", "name=../escaped"], "`name`"),
        (["--set", "run.bach=2"], "did you mean `run.batch`?"),
        (["--steps", "99999999999999"], "--steps"),
    ] {
        // After those of the tiny model, which it changes.
        let mut command = train(&out, &[]);
        command.args(arguments);
        let message = failure(command, 2);
        assert!(message.contains(part), "{message}");
    }
    let mut command = program(&["train", "quikstart", "--out"]);
    command.arg(&out);
    let message = failure(command, 2);
    assert!(message.contains("did you mean `quickstart`?"), "{message}");
    assert!(!out.exists());
}

/// A reader who goes away is no failure, a full device is one, and neither ends work with a panic.
#[cfg(target_os = "linux")]
#[test]
fn streams_that_take_no_more_are_given_up() {
    use std::process::{Command, Stdio};
    let list = || {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("dp-sims"));
        command.args(["weights", "list"]).stderr(Stdio::piped());
        command
    };
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = list().stdout(full).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("cannot write to standard output"),
        "{message}"
    );
    assert!(!message.contains("panicked"), "{message}");
    // A pipe whose reader has ended.
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = reader.stdin.take().unwrap();
    reader.wait().unwrap();
    let output = list().stdout(Stdio::from(pipe)).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), message.as_str()), (Some(0), ""));
}

#[test]
fn results_have_a_place_before_they_are_worked_for() {
    let folder = tempfile::tempdir().unwrap();
    let segmenter = folder.path().join("segmenter");
    fs::create_dir(&segmenter).unwrap();
    fs::write(segmenter.join("segmenter.safetensors"), "weights").unwrap();
    let mut command = program(&[
        "train-segmenter",
        "--dataset",
        "scenes",
        "--backend",
        "flex",
    ]);
    command.arg("--out").arg(&segmenter);
    let message = failure(command, 2);
    assert!(message.contains("--overwrite"), "{message}");
}

/// Paths are kept as text in checkpoints and results, where one that is none would become another.
#[cfg(target_os = "linux")]
#[test]
fn paths_that_are_not_utf8_are_refused_with_their_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&path).unwrap();
    for words in [
        &["train", "--out"][..],
        &["train"],
        &["generate", "--labels"],
        &["evaluate", "--images"],
        &["dataset", "init"],
        &["dataset", "check", "--out", "report.html", "--data"],
        &["weights", "inspect"],
    ] {
        let mut command = program(words);
        command.current_dir(folder.path()).arg(&path);
        let message = failure(command, 2);
        assert!(message.contains(r"caf\xE9"), "{words:?}: {message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
