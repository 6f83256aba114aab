use std::fs::{self, File};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{GrayImage, ImageBuffer, Luma, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

use super::run::{failure, program, train};

const DESCRIPTION: &str = "name = \"garden\"\nvoid = [0]\n\
    [[class]]\nname = \"grass <b>\"\ncolour = \"#40a040\"\nids = [1]\n\
    [[class]]\nname = \"dog\"\ncolour = \"#a06020\"\nids = [2]\nthing = true\n\
    [[class]]\nname = \"cat\"\ncolour = \"#206080\"\nids = [3]\n\
    [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n\
    [test.folders]\nimages = \"photos/b\"\nlabels = \"masks/b\"\n";

/// A dataset of six pairs, two of them in the test split too, and a cache of its own.
struct Garden(TempDir);

impl Garden {
    fn new() -> Self {
        let garden = Self(tempfile::tempdir().unwrap());
        for folder in ["photos/b", "masks/b"] {
            fs::create_dir_all(garden.path(folder)).unwrap();
        }
        fs::write(garden.path("dataset.toml"), DESCRIPTION).unwrap();
        for name in ["a0", "a1", "a2", "a3", "b/0", "b/1"] {
            let photo =
                RgbImage::from_fn(40, 32, |x, y| image::Rgb([x as u8 * 5, y as u8 * 7, 90]));
            photo
                .save(garden.path(&format!("photos/{name}.png")))
                .unwrap();
            garden.write_ids(name, |x, y| if y < 4 { 0 } else { 1 + u8::from(x < 8) });
        }
        garden
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write_ids(&self, name: &str, id: impl Fn(u32, u32) -> u8) {
        let map = GrayImage::from_fn(40, 32, |x, y| Luma([id(x, y)]));
        map.save(self.path(&format!("masks/{name}.png"))).unwrap();
    }

    /// `dataset check` of the folder, with its report and its cache beside the photos.
    fn check(&self, arguments: &[&str]) -> Command {
        let mut command = program(&["dataset", "check", "--data"]);
        command.arg(self.0.path()).args(arguments);
        self.at_home(&mut command, "home");
        command
    }

    /// Runs a command in the folder, with its cache below the folder `home` there.
    fn at_home(&self, command: &mut Command, home: &str) {
        for variable in ["XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"] {
            command.env(variable, self.path(home));
        }
        command.current_dir(self.0.path());
    }

    fn report(&self) -> String {
        fs::read_to_string(self.path("dataset-report.html")).unwrap()
    }
}

fn output(mut command: Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

/// Standard output as JSON, of a command that ends with this code.
fn json(mut command: Command, code: i32) -> Value {
    let output = command.assert().code(code).get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_clean_dataset_is_counted_and_reported() {
    let garden = Garden::new();
    let text = output(garden.check(&[]));
    assert!(
        text.contains("train: 6 pairs, 6 without fault, no fault"),
        "{text}"
    );
    assert!(text.contains("test: 2 pairs"), "{text}");
    assert!(
        text.contains("never: cat") && text.contains("remembered"),
        "{text}"
    );
    let report = garden.report();
    assert!(report.contains("The dataset is ready") && report.contains("grass &lt;b&gt;"));
    assert!(!report.contains("<b>"));
    // The same bytes with any number of threads, into any file.
    output(garden.check(&["--workers", "1", "--out", "again.html"]));
    assert_eq!(
        fs::read_to_string(garden.path("again.html")).unwrap(),
        report
    );

    let json = json(garden.check(&["--json", "--split", "test"]), 0);
    assert_eq!(
        (&json["dataset"], &json["clean"]),
        (&"garden".into(), &true.into())
    );
    assert_eq!(json["splits"].as_array().unwrap().len(), 1);
    let split = &json["splits"][0];
    assert_eq!(
        (&split["split"], &split["pairs"]),
        (&"test".into(), &2.into())
    );
    assert_eq!(
        (&split["fault_count"], &split["remembered"]),
        (&0.into(), &true.into())
    );
    let dog = &split["classes"][2];
    assert_eq!(
        (&dog["name"], &dog["pixels"], &dog["images"]),
        (&"dog".into(), &448.into(), &2.into())
    );
    assert_eq!((&dog["weight"], &dog["thing"]), (&1.0.into(), &true.into()));
    assert!(split["classes"][0]["weight"].is_null() && split["classes"][3]["weight"].is_null());
}

#[test]
fn all_faults_are_named_at_once() {
    let garden = Garden::new();
    garden.write_ids("a0", |x, y| if (x, y) == (5, 9) || x > 30 { 7 } else { 1 });
    fs::write(garden.path("masks/a1.png"), "no image").unwrap();
    fs::remove_file(garden.path("photos/a2.png")).unwrap();
    let wide = ImageBuffer::from_pixel(40, 32, Luma([2_001_u16]));
    wide.save(garden.path("masks/a3.png")).unwrap();
    let error = failure(garden.check(&[]), 2);
    assert!(error.contains("the dataset has 4 faults"), "{error}");
    let text = garden.check(&[]).output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("a0.png: pixel (x=31, y=0) has the unknown id 7"),
        "{text}"
    );
    assert!(
        text.contains("diagnosis: 1 of 4 label maps look like instance maps"),
        "{text}"
    );
    assert!(
        text.contains("train: 5 pairs, 2 without fault, 4 faults"),
        "{text}"
    );
    assert!(
        text.contains("test: 2 pairs, 2 without fault, no fault"),
        "{text}"
    );
    assert!(garden.report().contains("4 faults: put them right"));

    let json = json(garden.check(&["--json"]), 2);
    let train = &json["splits"][0];
    assert_eq!(
        (&json["clean"], &train["remembered"]),
        (&false.into(), &false.into())
    );
    let faults = train["faults"].as_array().unwrap();
    let kinds: Vec<_> = faults
        .iter()
        .map(|fault| fault["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["missing_partner", "unknown_id", "damaged", "large_id"]
    );
    let unknown = &faults[1];
    assert_eq!(
        (&unknown["x"], &unknown["y"], &unknown["id"]),
        (&31.into(), &0.into(), &7.into())
    );
    assert_eq!(unknown["pixels"], 9 * 32 + 1);
    assert!(unknown["file"].as_str().unwrap().ends_with("a0.png"));
    assert!(unknown["remedy"].as_str().unwrap().contains("`void`"));
    assert_eq!(train["diagnosis"][0]["kind"], "instance_maps");
}

/// Puts bytes into a file that keeps its size and its time of change.
fn change_secretly(path: &Path) {
    let before = fs::metadata(path).unwrap();
    fs::write(path, vec![b'x'; before.len() as usize]).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
}

#[test]
fn training_takes_the_result_of_the_check() {
    let garden = Garden::new();
    output(garden.check(&["--split", "train"]));
    // Whoever reads the label maps now meets damage; the check that is remembered has not.
    for name in ["a0", "a1", "a2", "a3", "b/0", "b/1"] {
        change_secretly(&garden.path(&format!("masks/{name}.png")));
    }
    let dry_run = |cache: &str| {
        let mut command = train(Path::new("run"), &["--dry-run", "--data", "."]);
        command.args(["--set", "data.dataset=dataset.toml"]);
        garden.at_home(&mut command, cache);
        command
    };
    let passed_over = "of 6 images cannot be read";
    // Past the check, the loader is the first to notice.
    let error = failure(dry_run("home"), 2);
    assert!(error.contains(passed_over), "{error}");
    let error = failure(dry_run("elsewhere"), 2);
    assert!(
        error.contains("cannot decode") && !error.contains(passed_over),
        "{error}"
    );
    // The check itself never trusts what is remembered.
    let error = failure(garden.check(&["--split", "train"]), 2);
    assert!(error.contains("6 faults"), "{error}");
}

#[test]
fn wrong_arguments_are_mistakes() {
    let garden = Garden::new();
    for (arguments, expected) in [
        (
            &["--split", "validation"][..],
            "describes no validation split",
        ),
        (&["--split", "val"], "unknown split `val`"),
        (&["--workers", "0"], "0 is not in 1..=256"),
        (
            &["--out", "absent/report.html"],
            "cannot write the report absent/report.html",
        ),
        (&["absent.toml"], "absent.toml"),
    ] {
        let error = failure(garden.check(arguments), 2);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let nothing = program(&["dataset", "check"]);
    assert!(failure(nothing, 2).contains("--data DIR"));
    assert!(!garden.path("dataset-report.html").exists());
}
