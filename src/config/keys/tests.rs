//! A walk over all keys.

use std::collections::BTreeSet;

use super::*;
use crate::config::difference::values;
use crate::config::{Experiment, experiment_names, load};

fn set(key: &str, value: &str) -> Result<Experiment> {
    load("quickstart", &[format!("{key}={value}")])
}

/// What is said of an experiment with this value of a key.
fn problem(key: &str, value: &str) -> Option<String> {
    let checked = set(key, value).and_then(|experiment| experiment.validate());
    checked.err().map(|error| format!("{error:#}"))
}

#[test]
fn every_key_of_an_experiment_is_known_with_its_type() {
    let mut found = BTreeSet::new();
    for name in experiment_names() {
        for (key, value) in values(&load(name, &[]).unwrap()).unwrap() {
            let kind = kind(&key).unwrap_or_else(|| panic!("{key} is in no list"));
            assert!(kind.fits(&value), "{key} = {value} is not {kind}");
            found.insert(key);
        }
    }
    // Those that are left out where they have no value.
    for (key, value) in [
        ("data.root", "a"),
        ("data.packed", "a"),
        ("data.load_size", "286"),
        ("run.total_batch", "64"),
        ("optimizer.clip_norm", "1"),
        ("evaluation.segmenter", "a"),
    ] {
        let experiment = set(key, value).unwrap();
        assert!(values(&experiment).unwrap().contains_key(key), "{key}");
        found.insert(key.to_string());
    }
    for (key, _) in KEYS {
        assert!(found.contains(*key), "{key} is no key of an experiment");
    }
}

#[test]
fn no_number_is_without_bounds_and_none_is_let_through_beyond_them() {
    let mut walked = 0;
    for (key, kind) in KEYS {
        let list = |value: &str| format!("[{value}]");
        let wrong: Vec<String> = match kind {
            // Every seed is as good as any other.
            Whole(_, i64::MAX) => vec!["-1".into(), "nan".into(), "1.5".into()],
            Whole(..) => ["-1", "9223372036854775807", "nan", "inf", "1.5"]
                .map(String::from)
                .into(),
            Wholes(..) => ["-1", "0", "9223372036854775807", "nan"].map(list).into(),
            Number(..) | Below(..) | Above(..) => {
                let huge = "9223372036854775807";
                [huge, "1e39", "-1e39", "nan", "-nan", "inf", "-inf"]
                    .map(String::from)
                    .into()
            }
            Text | Texts | Switch => continue,
        };
        walked += 1;
        for value in wrong {
            let text =
                problem(key, &value).unwrap_or_else(|| panic!("{key}={value} is let through"));
            assert!(text.contains(&format!("`{key}`")), "{key}={value}: {text}");
        }
    }
    assert!(walked > 50, "{walked}");
}

/// The ends of a range are inside of it where they are said to be.
#[test]
fn ranges_include_their_ends() {
    let accepts = |kind: Kind, value: &str| {
        let table: Table = format!("value = {value}").parse().unwrap();
        kind.outside(&table["value"]).is_none()
    };
    assert!(accepts(Whole(2, 4), "2") && accepts(Whole(2, 4), "4") && !accepts(Whole(2, 4), "5"));
    assert!(accepts(Number(0.0, 1.0), "1") && !accepts(Number(0.0, 1.0), "1.1"));
    assert!(accepts(Below(0.0, 1.0), "0") && !accepts(Below(0.0, 1.0), "1.0"));
    assert!(!accepts(Above(0.0, 1.0), "0.0") && accepts(Above(0.0, 1.0), "1.0"));
    assert!(accepts(Wholes(1, 3), "[1, 3]") && !accepts(Wholes(1, 3), "[1, 4]"));
}

#[test]
fn a_value_of_another_type_is_told_in_words() {
    for (key, value, expected) in [
        (
            "run.batch",
            "four",
            "\"four\" is not a whole number from 1 to 65536",
        ),
        ("run.batch", "1.5", "1.5 is not a whole number"),
        ("data.flip", "1", "1 is not true or false"),
        ("name", "3", "3 is not text"),
        (
            "optimizer.beta_1",
            "[0]",
            "[0] is not a number 0.0 to below 1.0",
        ),
        (
            "generator.encoder_channels",
            "8",
            "8 is not a list of whole numbers",
        ),
        (
            "evaluation.metrics",
            "fid",
            "\"fid\" is not a list of texts",
        ),
    ] {
        let text = format!("{:#}", set(key, value).unwrap_err());
        assert!(text.contains(&format!("`{key}`: {expected}")), "{text}");
    }
}

#[test]
fn a_mistyped_key_is_recognised() {
    for (key, expected) in [
        ("run.batchsize", "did you mean `run.batch`?"),
        ("run.bacth", "did you mean `run.batch`?"),
        ("batch", "did you mean `run.batch`?"),
        ("optimizer.steps", "did you mean `run.steps`?"),
        ("lr_genrator", "did you mean `optimizer.lr_generator`?"),
        (
            "oasis.encoder_channels",
            "`discriminator.oasis.encoder_channels`?",
        ),
        ("run", "a table with keys such as `run.steps`"),
        ("colour", "experiment.md lists them"),
    ] {
        let text = format!("{:#}", set(key, "2").unwrap_err());
        assert!(text.contains(expected), "{key}: {text}");
    }
}

/// The reference shows the range of every key that has one, in the line of the key.
#[test]
fn the_reference_shows_every_range() {
    let text = include_str!("../../../book/src/reference/experiment.md");
    for (key, kind) in KEYS {
        let Some(range) = kind.range() else { continue };
        let mut parts = key.split('.');
        let is_said = parts.next().is_some() && {
            let tables: Vec<&str> = key.split('.').collect();
            (1..tables.len()).any(|depth| {
                let table = format!("## `[{}]`", tables[..depth].join("."));
                let name = format!("`{}`", tables[depth..].join("."));
                let section = text.split(&table).nth(1).unwrap_or_default();
                let section = section.split("\n#").next().unwrap_or_default();
                section
                    .lines()
                    .any(|line| line.contains(&name) && line.contains(&format!("| {range} |")))
            })
        };
        assert!(is_said || key.starts_with("about."), "{key}: {range}");
    }
}
