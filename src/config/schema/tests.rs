use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::config::load;
use crate::runtime::schema::check::{faults, faults_of_toml};
use crate::runtime::schema::tables::{Key, hold, keys};

#[test]
fn the_reference_has_every_key_as_the_schema_has_it() {
    hold("experiment.md", &keys(&schema()));
}

#[test]
fn every_experiment_file_fits_the_schema() {
    let schema = schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_experiment = path.is_file() && !path.ends_with("paper.toml");
        if is_experiment {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(
                faults_of_toml(&schema, &text),
                [""; 0],
                "{}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
    let resolved = toml::to_string(&load("quickstart", &[]).unwrap()).unwrap();
    assert_eq!(faults_of_toml(&schema, &resolved), [""; 0]);
    assert_eq!(faults_of_toml(&schema, ""), [""; 0]);
}

/// The schema refuses what the reader refuses, at the same key.
#[test]
fn a_wrong_experiment_does_not_fit_the_schema() {
    let schema = schema();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    for (text, key) in [
        ("surprise = 1", "surprise"),
        ("extends = 3", "extends"),
        ("[run]\nbatchsize = 2", "run.batchsize"),
        ("[run]\nbatch = \"four\"", "run.batch"),
        ("[run]\nbatch = 1.5", "run.batch"),
        ("[run]\nbatch = 0", "run.batch"),
        ("[run]\nseed = -1", "run.seed"),
        ("[data]\nflip = 1", "data.flip"),
        ("[data]\nheight = 65536", "data.height"),
        ("[ema]\ndecay = 1.0", "ema.decay"),
        ("[optimizer]\nclip_norm = 0.0", "optimizer.clip_norm"),
        ("[optimizer]\nepsilon = 2", "optimizer.epsilon"),
        ("[generator]\nnoise = \"loud\"", "generator.noise"),
        (
            "[generator]\nencoder_channels = 8",
            "generator.encoder_channels",
        ),
        (
            "[generator]\nencoder_channels = [8, 0]",
            "generator.encoder_channels",
        ),
        ("[backbone]\nnetwork = \"vgg\"", "backbone.network"),
        (
            "[loss.contrastive.loss]\ntau = 0.0",
            "loss.contrastive.loss.tau",
        ),
        ("[evaluation]\nmetrics = [1]", "evaluation.metrics"),
    ] {
        let found = faults_of_toml(&schema, text);
        let is_named = found
            .iter()
            .any(|fault| fault.starts_with(&format!("`{key}")));
        assert!(is_named, "{text}: {found:?}");
        fs::write(&path, text).unwrap();
        let read = load(path.to_str().unwrap(), &[]).and_then(|experiment| experiment.validate());
        assert!(read.is_err(), "{text}");
    }
}

/// The two ends of a range, and what lies just beyond them.
fn ends(kind: Kind) -> Option<([Value; 2], [Value; 2])> {
    let step = 1e-9;
    Some(match kind {
        Kind::Whole(from, i64::MAX) => (
            [json!(from), json!(i64::MAX)],
            [json!(from - 1), json!(0.5)],
        ),
        Kind::Whole(from, to) => ([json!(from), json!(to)], [json!(from - 1), json!(to + 1)]),
        Kind::Wholes(from, to) => (
            [json!([from, to]), json!([])],
            [json!([to, from - 1]), json!([to + 1])],
        ),
        Kind::Number(from, to) => (
            [json!(from), json!(to)],
            [json!(from - 1.0), json!(to * (1.0 + step))],
        ),
        Kind::Below(from, to) => (
            [json!(from), json!(to - step)],
            [json!(from - step), json!(to)],
        ),
        Kind::Above(from, to) => (
            [json!(from + step), json!(to)],
            [json!(from), json!(to * (1.0 + step))],
        ),
        Kind::Text | Kind::Texts | Kind::Switch => return None,
    })
}

#[test]
fn the_schema_has_every_key_with_its_kind_and_range() {
    let all = keys(&schema());
    let leaves: Vec<&Key> = all.iter().filter(|key| !key.is_table).collect();
    let known: BTreeSet<&str> = KEYS
        .iter()
        .map(|(key, _)| *key)
        .chain(["extends"])
        .collect();
    let found: BTreeSet<&str> = leaves.iter().map(|key| key.path.as_str()).collect();
    assert_eq!(found, known);
    for (name, kind) in KEYS {
        let key = leaves.iter().find(|key| key.path == *name).unwrap();
        let accepts = |value: &Value| faults(&key.property, value).is_empty();
        if let Some(default) = key.property.get("default") {
            assert!(accepts(default), "{name} = {default}");
        }
        if let Some((inside, outside)) = ends(*kind) {
            assert!(inside.iter().all(accepts), "{name}: {inside:?}");
            assert!(!outside.iter().any(accepts), "{name}: {outside:?}");
        }
        let kinds = [json!("a"), json!(["a"]), json!(true), json!(3), json!([3])];
        for value in &kinds {
            let of_toml = toml::Value::try_from(value).unwrap();
            // Texts may be names of an enumeration.
            let may_fit = kind.fits(&of_toml);
            assert!(may_fit || !accepts(value), "{name} = {value}");
        }
    }
}

#[test]
fn defaults_are_written_as_people_write_them() {
    let mut schema = schema();
    for (key, default) in [
        ("optimizer.beta_2", json!(0.99)),
        ("optimizer.epsilon", json!(1e-8)),
        ("ema.decay", json!(0.9999)),
        ("generator.initial_gain", json!(0.02)),
        ("evaluation.metrics", json!(["fid"])),
        ("backbone.network", json!("convnext_pico_scenes")),
        ("backbone.weights", json!("pretrained")),
    ] {
        assert_eq!(property(&mut schema, key)["default"], default, "{key}");
    }
    for key in ["name", "data.root", "run"] {
        assert_eq!(property(&mut schema, key).get("default"), None, "{key}");
    }
}
