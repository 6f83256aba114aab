//! Label maps of a dataset in every command that reads some.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{GrayImage, Luma, Rgb, RgbImage};
use tempfile::TempDir;

use super::run::{failure, program, train};

/// Three classes with these colours and the ids 5, 6 and 7.
const COLOURS: [[u8; 3]; 3] = [[200, 30, 30], [30, 200, 30], [30, 30, 200]];

/// Class of a pixel of label map `index`.
fn class(x: u32, y: u32, index: u32) -> usize {
    ((x / 9 + y / 11 + index) % 3) as usize
}

/// A folder with a dataset whose label maps, `town/N_map.png`, are coloured, and a tiny run of it.
struct Setup(TempDir);

impl Setup {
    fn new() -> Self {
        let setup = Self(tempfile::tempdir().unwrap());
        for folder in ["data/photos/town", "data/maps/town"] {
            fs::create_dir_all(setup.path(folder)).unwrap();
        }
        for index in 0..3 {
            let photo = RgbImage::from_fn(40, 36, |x, y| Rgb([x as u8 * 6, y as u8 * 7, 9]));
            photo
                .save(setup.path(&format!("data/photos/town/{index}.webp")))
                .unwrap();
            let map = RgbImage::from_fn(40, 36, |x, y| Rgb(COLOURS[class(x, y, index)]));
            map.save(setup.path(&format!("data/maps/town/{index}_map.png")))
                .unwrap();
        }
        let mut text = "name = \"town\"\n[train.folders]\nimages = \"photos\"\nlabels = \"maps\"\n\
                        label_suffix = \"_map.png\"\nlabel_values = \"colours\"\n"
            .to_string();
        for (id, colour) in (5..).zip(COLOURS) {
            text += &format!("[[class]]\nname = \"c{id}\"\ncolour = {colour:?}\nids = [{id}]\n");
        }
        fs::write(setup.path("data/dataset.toml"), text).unwrap();
        // The folder is the dataset, although `quickstart` is an experiment of scenes.
        let data = setup.path("data");
        let arguments = ["--steps", "1", "--data", data.to_str().unwrap()];
        train(&setup.path("run"), &arguments).assert().success();
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn generate(&self, labels: &str, out: &Path, arguments: &[&str]) -> Command {
        let mut command = program(&["generate", "--backend", "flex"]);
        command.arg("--checkpoint").arg(self.path("run"));
        command.arg("--labels").arg(self.path(labels));
        command.arg("--out").arg(out).args(arguments);
        command
    }
}

#[test]
fn label_maps_mean_the_same_in_training_and_generation() {
    let setup = Setup::new();
    let out = setup.path("out");
    setup.generate("data/maps", &out, &[]).assert().success();
    // The names of pairs and their folders.
    let made = fs::read(out.join("town/1.png")).unwrap();

    // The same map as ids, and as colours of a palette of its own.
    let ids = GrayImage::from_fn(40, 36, |x, y| Luma([5 + class(x, y, 1) as u8]));
    ids.save(setup.path("ids.png")).unwrap();
    let file = fs::File::create(setup.path("palette_map.png")).unwrap();
    let mut encoder = png::Encoder::new(file, 40, 36);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette([COLOURS[2], COLOURS[0], COLOURS[1]].concat());
    let pixels: Vec<u8> = (0..40 * 36)
        .map(|place| (class(place % 40, place / 40, 1) as u8 + 1) % 3)
        .collect();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    for (labels, name) in [("ids.png", "ids"), ("palette_map.png", "palette")] {
        setup.generate(labels, &out, &[]).assert().success();
        let same = fs::read(out.join(format!("{name}.png"))).unwrap();
        assert!(same == made, "{labels}");
    }

    // What was made is judged as it lies there, with an overview beside it and hidden files.
    let (images, data) = (setup.path("images"), setup.path("data"));
    setup
        .generate("data/maps", &images, &["--grid"])
        .assert()
        .success();
    fs::write(images.join("town/._1.png"), "of a desktop").unwrap();
    let with_slash = format!("{}/", images.display());
    let mut evaluate = program(&["evaluate", "--backend", "flex", "--protocol", "folder-v1"]);
    evaluate.args([
        "--metrics",
        "fd-convnext-pico-scenes",
        "--images",
        &with_slash,
    ]);
    evaluate.arg("--data").arg(&data);
    evaluate.env("XDG_CACHE_HOME", setup.path("cache"));
    evaluate.assert().success();
    assert!(setup.path("images-evaluation/results.json").is_file());
}

#[test]
fn nothing_is_written_over_what_is_read() {
    let setup = Setup::new();
    let map = fs::read(setup.path("data/maps/town/0_map.png")).unwrap();
    fs::create_dir(setup.path("own")).unwrap();
    for name in ["a.png", "grid.png"] {
        fs::write(setup.path("own").join(name), &map).unwrap();
    }
    for (labels, out, expected) in [
        ("own/a.png", "own", "a.png would be written over"),
        ("own", "own/../own", "a.png would be written over"),
        ("own", "data/photos/new", "where the dataset has its photos"),
        (
            "data/maps",
            "data/maps",
            "where the dataset has its label maps",
        ),
    ] {
        let message = failure(setup.generate(labels, &setup.path(out), &["--grid"]), 2);
        assert!(message.contains(expected), "{labels} {out}: {message}");
    }
    assert!(!setup.path("data/photos/new").exists());
    assert!(fs::read(setup.path("own/a.png")).unwrap() == map);

    // A label map called grid has an image of its name, and the overview another.
    let out = setup.path("out");
    for _ in 0..2 {
        setup.generate("own", &out, &["--grid"]).assert().success();
    }
    let size = |name: &str| image::image_dimensions(out.join(name)).unwrap();
    assert_eq!(size("grid.png"), (32, 32));
    assert_ne!(size("grid-2.png"), (32, 32));
    // A folder inside that of the label maps is no source of them.
    let inside = setup.path("own/out");
    for _ in 0..2 {
        setup.generate("own", &inside, &[]).assert().success();
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 2);
    }
}

#[test]
fn a_folder_that_is_given_is_the_dataset_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    for name in ["missing", "."] {
        let data = folder.path().join(name);
        let message = failure(train(&run, &["--data", data.to_str().unwrap()]), 2);
        assert!(message.contains("the folder is no dataset"), "{message}");
    }
    assert!(!run.exists());
}
