use std::collections::BTreeMap;

use super::*;
use crate::evaluate::{DataRecord, Exhibit, Protocol, Subject};

fn results() -> Results {
    Results {
        format: Results::format(),
        software: Results::software(),
        protocol: Protocol::load("ade20k-256-v1").unwrap(),
        complete: false,
        subject: Subject {
            sample: None,
            kind: "checkpoint".to_string(),
            path: "runs/<b>".to_string(),
            experiment: Some("ade20k".to_string()),
            step: Some(7),
            sha256: "0123456789abcdef".to_string(),
        },
        data: DataRecord {
            dataset: "ade20k".to_string(),
            split: "validation".to_string(),
            images: 10,
            of: 2000,
            size: [256, 256],
            sha256: "fedcba9876543210".to_string(),
        },
        networks: BTreeMap::new(),
        backend: "flex device 0".to_string(),
        values: BTreeMap::from([("fid".to_string(), Value::plain(31.25, 10))]),
        classes: BTreeMap::new(),
        timing: None,
        seconds: BTreeMap::new(),
    }
}

#[test]
fn the_page_has_own_and_published_figures_and_says_what_is_missing() {
    let page = page(&results(), None, [256, 256]).unwrap();
    for part in [
        "31.25",
        "22.7",
        "67.8",
        "Table 1",
        "Not the whole protocol",
        "seed = 0",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("runs/&lt;b&gt;") && !page.contains("runs/<b>"));
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "one file, no network"
    );
}

#[test]
fn pictures_are_part_of_the_page() {
    let mut gallery = Gallery::new(1, None);
    gallery.offer(0, None, || Exhibit {
        index: 0,
        name: "a/b".to_string(),
        score: None,
        labels: vec![0; 12],
        photo: vec![9; 12],
        image: vec![200; 12],
    });
    let page = page(&results(), Some(&gallery), [2, 2]).unwrap();
    assert_eq!(page.matches("data:image/png;base64,").count(), 3);
    let mut broken = gallery.clone();
    broken.spread[0].image.pop();
    assert!(super::page(&results(), Some(&broken), [2, 2]).is_err());
}

#[test]
fn numbers_have_as_many_digits_as_are_worth_reading() {
    for (value, text) in [
        (12_345.6, "12346"),
        (31.256, "31.26"),
        (0.5, "0.5000"),
        (0.0, "0.0000"),
        (1.5e-4, "1.50e-4"),
    ] {
        assert_eq!(number(value), text);
    }
}
