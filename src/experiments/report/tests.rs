use image::RgbImage;

use super::super::folder::{FailureNote, Record};
use super::super::testing::{job, results, write_results};
use super::*;
use crate::runtime::pictures::{GridRow, grid};

const STUDY_TEXT: &str = r#"
name = "made-up"
title = "Made <up>"
base = "quickstart"
metrics = ["fd-vgg16", "lpips"]
table = 5
[[rows]]
name = "full"
paper = { row = "DP-SIMS", dataset = "ade20k", backbone = "convnext_large" }
[[rows]]
name = "wo-sigmoid"
title = "w/o | sigmoid"
settings = ["discriminator.conditioning=batch_norm"]
paper = { row = "w/o sigmoid", dataset = "ade20k", backbone = "convnext_large" }
[[rows]]
name = "broken"
settings = ["discriminator.conditioning=none"]
[[rows]]
name = "missing"
settings = ["discriminator.conditioning=sigmoid"]
"#;

/// Three seeds of the first row, one of the second, a failure in the third, nothing in the fourth.
fn made_up() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join(STUDY), STUDY_TEXT).unwrap();
    for (row, seed, value) in [
        ("full", 1, 10.0),
        ("full", 2, 11.0),
        ("full", 3, 12.0),
        ("wo-sigmoid", 1, 15.5),
    ] {
        let mut job = job(&root.join(row).join(format!("seed-{seed}")));
        job.seed = seed;
        job.prepare().unwrap();
        let values = [
            ("kd-vgg16", 1.0),
            ("perceptual-diversity", 0.5),
            ("fd-vgg16", value),
        ];
        write_results(&job.folder, &results(5, &values));
        let record = Record {
            training_seconds: 60.0,
            machine: "flex 0, 2 threads".to_string(),
            ..Record::default()
        };
        record.write(&job.folder).unwrap();
        let tile = |red: u8| [red, seed as u8, 7].repeat(64 * 64);
        let rows: Vec<GridRow> = (0..2)
            .map(|map| GridRow {
                label_rgb: tile(map).iter().map(|byte| byte & 0xf0).collect(),
                real_rgb: Some(tile(50 + map)),
                samples: vec![tile(100 + map), tile(200 + map)],
            })
            .collect();
        let previews = job.folder.join("previews");
        std::fs::create_dir(&previews).unwrap();
        grid(&rows, 64, 64)
            .unwrap()
            .save(previews.join("000005.png"))
            .unwrap();
        RgbImage::new(9, 9)
            .save(previews.join("000000.png"))
            .unwrap();
    }
    let broken = root.join("broken/seed-1");
    std::fs::create_dir_all(&broken).unwrap();
    let failure = FailureNote {
        command: "train".to_string(),
        status: "exit status: 2".to_string(),
        lines: vec!["error: no weights".to_string()],
    };
    let record = Record {
        failure: Some(failure),
        ..Record::default()
    };
    record.write(&broken).unwrap();
    folder
}

#[test]
fn rows_are_set_against_each_other_and_the_paper() {
    let folder = made_up();
    let report = Report::read(folder.path()).unwrap();
    assert_eq!(
        report.values,
        ["fd-vgg16", "perceptual-diversity", "kd-vgg16"]
    );
    assert_eq!(report.mismatch, None);
    let [full, other, broken, missing] = &report.rows[..] else {
        panic!("{:?}", report.rows);
    };
    let own = &full.values["fd-vgg16"];
    assert_eq!((own.own.mean, own.own.count, own.to_first), (11.0, 3, None));
    assert!((own.own.half_width.unwrap() - 2.484_138).abs() < 1e-5);
    let own = &other.values["fd-vgg16"];
    assert_eq!(
        (own.own.half_width, own.to_first, own.to_paper),
        (None, Some(4.5), None)
    );
    assert_eq!(full.runs[0].images_seen, Some(20));
    let (figure, to_first) = other.in_paper(full, "fid").unwrap();
    assert!((figure - 23.3).abs() < 1e-9 && (to_first.unwrap() - 0.6).abs() < 1e-9);
    assert_eq!(
        broken.missing().unwrap(),
        "seed 1: failed, train ended with exit status: 2: error: no weights"
    );
    assert_eq!(missing.missing().unwrap(), "not run");
}

#[test]
fn every_file_of_the_report_is_written() {
    let folder = made_up();
    Report::read(folder.path())
        .unwrap()
        .write(folder.path())
        .unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let page = read("report.html");
    for part in [
        "Made &lt;up&gt;",
        "11.00 ± 2.48",
        "15.50 (n = 1)",
        "+4.50",
        "23.3",
        "+0.6",
        "not run",
        "no weights",
        "1m 00s",
        "flex 0, 2 threads",
        "Not the whole protocol",
        "Table 5 as the paper prints it",
        "wo-sigmoid, seed 1",
        "<circle",
    ] {
        let part = part.replace("wo-sigmoid, seed 1", "w/o | sigmoid, seed 1");
        assert!(page.contains(&part), "{part}");
    }
    // Two label maps, two photos, and two images of both rows with a preview: seed 1 of each.
    assert_eq!(page.matches("data:image/png;base64,").count(), 8);
    assert!(!page.contains("http://") && !page.contains("https://"));
    let text = read("report.md");
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(line("| w/o \\| sigmoid | 15.50 (n = 1) | +4.50 |").contains("| 23.3 | +0.6 |"));
    assert!(line("| missing").contains("not run"));
    let csv = read("results.csv");
    assert!(
        csv.contains("scenes,full,2,fd-vgg16,11,5,20,60,20,false\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 1 + 4 * 3);
    let json: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(json["rows"][0]["values"]["fd-vgg16"]["mean"], 11.0);
    assert_eq!(json["rows"][3]["runs"], serde_json::json!([]));
}

#[test]
fn numbers_that_do_not_mean_the_same_are_not_set_against_each_other() {
    let folder = made_up();
    let mut other = results(5, &[("fd-vgg16", 9.0)]);
    other.data.sha256 = "99".to_string();
    write_results(&folder.path().join("wo-sigmoid/seed-1"), &other);
    let report = Report::read(folder.path()).unwrap();
    assert!(
        report
            .mismatch
            .as_ref()
            .unwrap()
            .contains("wo-sigmoid seed 1")
    );
    assert_eq!(report.rows[1].values["fd-vgg16"].to_first, None);
    report.write(folder.path()).unwrap();
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("do not all mean the same"));
}

#[test]
fn the_papers_difference_needs_its_dataset_and_its_whole_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name = \"s\"\ntable = 1\n[[rows]]\nname = \"a\"\nbase = \"ade20k\"\n\
                paper = { row = \"DP-SIMS\", dataset = \"ade20k\" }\n";
    std::fs::write(folder.path().join(STUDY), text).unwrap();
    let run = folder.path().join("a/seed-1");
    let mut found = results(5, &[("fid", 25.0)]);
    found.data.dataset = "ade20k".to_string();
    let read = |found: &crate::evaluate::Results| {
        write_results(&run, found);
        Report::read(folder.path()).unwrap().rows[0].values["fid"].to_paper
    };
    assert_eq!(read(&found), None);
    found.complete = true;
    let difference = read(&found).unwrap();
    assert!((difference - 2.3).abs() < 1e-9, "{difference}");
}

#[test]
fn a_folder_of_something_else_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = Report::read(folder.path()).unwrap_err().to_string();
    assert!(message.contains("experiments run"), "{message}");
}
