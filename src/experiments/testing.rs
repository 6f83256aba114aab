//! Run folders made up for tests, without training.

use std::collections::BTreeMap;
use std::path::Path;

use super::folder::EVALUATION;
use super::job::{Job, Judging};
use crate::checkpoint;
use crate::config::load;
use crate::evaluate::{DataRecord, NetworkRecord, Protocol, Results, Subject, Value};

type Make = Box<dyn FnOnce() -> anyhow::Result<Vec<u8>>>;

/// A job of five steps in a folder that may not exist.
pub fn job(folder: &Path) -> Job {
    let settings = ["run.steps=5".to_string(), "run.seed=1".to_string()];
    Job {
        row: "a".to_string(),
        seed: 1,
        seconds: None,
        folder: folder.to_path_buf(),
        experiment: load("quickstart", &settings).unwrap(),
        judging: Judging {
            metrics: vec!["fd-vgg16".to_string()],
            ..Judging::default()
        },
    }
}

/// A checkpoint that has the files that are looked at, without networks in them.
pub fn write_checkpoint(job: &Job, step: u64) {
    let config = toml::to_string(&job.experiment).unwrap();
    let files: Vec<(String, Make)> = vec![
        ("ema.safetensors".to_string(), Box::new(|| Ok(vec![1, 2]))),
        ("dataset.toml".to_string(), Box::new(|| Ok(vec![3]))),
        (
            "config.toml".to_string(),
            Box::new(move || Ok(config.into_bytes())),
        ),
    ];
    checkpoint::write(&job.folder.join("checkpoints"), step, files).unwrap();
}

/// Results of 20 images of the scenes.
pub fn results(step: u64, values: &[(&str, f64)]) -> Results {
    let network = NetworkRecord {
        name: "vgg16".to_string(),
        files: BTreeMap::from([("vgg16.pth".to_string(), "aa".to_string())]),
    };
    let values = values
        .iter()
        .map(|&(name, value)| (name.to_string(), Value::plain(value, 20)));
    Results {
        format: Results::format(),
        software: Results::software(),
        protocol: Protocol::load("folder-v1").unwrap(),
        complete: false,
        subject: Subject {
            sample: None,
            kind: "checkpoint".to_string(),
            path: "somewhere".to_string(),
            experiment: Some("a".to_string()),
            step: Some(step),
            sha256: "01".to_string(),
        },
        data: DataRecord {
            dataset: "scenes".to_string(),
            split: "validation".to_string(),
            images: 20,
            of: 20,
            size: [64, 64],
            sha256: "02".to_string(),
        },
        networks: BTreeMap::from([("fd-vgg16".to_string(), network)]),
        backend: "flex device 0".to_string(),
        values: values.collect(),
        classes: BTreeMap::new(),
        timing: None,
        seconds: BTreeMap::new(),
    }
}

/// Writes results to where the queue has them.
pub fn write_results(folder: &Path, results: &Results) {
    let folder = folder.join(EVALUATION);
    std::fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_vec(results).unwrap();
    std::fs::write(folder.join("results.json"), text).unwrap();
}
