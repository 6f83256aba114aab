//! Files of the program: settings, protocols, results, checkpoints.

use std::path::Path;

use crate::file;

/// Writes the input as the file that a reader is given by its name.
fn named(name: &str, data: &[u8]) -> String {
    file(name, data).to_str().unwrap().to_string()
}

/// The manifest of a checkpoint.
pub mod manifest {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use dp_sims::checkpoint::{self, CheckpointError, MANIFEST, Manifest};

    use super::*;
    use crate::scratch;

    const STEP: u64 = 3;

    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let content = |text: &'static str| move || Ok::<_, CheckpointError>(text.into());
        let files = vec![
            ("state.json".to_string(), content("{\"step\": 3}")),
            ("ema.safetensors".to_string(), content("weights")),
        ];
        checkpoint::write(&root(), STEP, files).unwrap()
    });

    fn root() -> PathBuf {
        scratch().join("checkpoints")
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let written = std::fs::read(FOLDER.join(MANIFEST)).unwrap();
        let mut other: Manifest = serde_json::from_slice(&written).unwrap();
        other.files.remove("state.json");
        vec![written, serde_json::to_vec(&other).unwrap()]
    }

    pub fn run(data: &[u8]) -> bool {
        std::fs::write(FOLDER.join(MANIFEST), data).unwrap();
        let latest = checkpoint::latest_whole(&root());
        let Ok(checkpoint) = checkpoint::open(&FOLDER) else {
            assert!(latest.is_ok_and(|latest| latest.checkpoint.is_none()));
            return false;
        };
        assert_eq!(checkpoint.step(), STEP);
        for name in checkpoint.manifest().files.keys() {
            assert!(
                Path::new(name)
                    .file_name()
                    .is_some_and(|own| own == name.as_str())
            );
            checkpoint.read(name).unwrap();
        }
        assert!(latest.is_ok_and(|latest| latest.checkpoint.is_some()));
        true
    }
}

/// An experiment.
pub mod experiment {
    use dp_sims::config::{Experiment, Origins, experiment_names, load};

    use super::*;

    pub fn seeds() -> Vec<Vec<u8>> {
        let texts = [
            "extends = \"camvid\"\nname = \"mine\"\n[run]\nbatch = 2\n",
            "name = \"mine\"\n[generator]\nencoder_channels = [8, 8, 8, 8, 8, 8, 8]\n\
             noise = \"concat\"\n[discriminator]\nfull_resolution_channels = 8\n",
            "[backbone]\nweights = \"random\"\n[data]\nload_size = 72\n",
        ];
        let mut seeds = texts.map(|text| text.as_bytes().to_vec()).to_vec();
        for name in experiment_names().take(4) {
            let experiment = load(name, &[]).unwrap();
            seeds.push(toml::to_string(&experiment).unwrap().into_bytes());
        }
        seeds
    }

    pub fn run(data: &[u8]) -> bool {
        let path = named("mine.toml", data);
        let Ok(experiment) = load(&path, &[]) else {
            return false;
        };
        let written = toml::to_string(&experiment).unwrap();
        let again = load(&named("again.toml", written.as_bytes()), &[]).unwrap();
        // NaN differs from itself.
        assert_eq!(toml::to_string(&again).unwrap(), written);
        let origins = Origins::of(&path, &[]).unwrap();
        assert!(origins.annotated(&experiment).is_ok());
        if experiment.validate().is_ok() {
            costs(&experiment);
        }
        true
    }

    /// Arithmetic over sizes that are said to be in range.
    fn costs(experiment: &Experiment) {
        let _ = experiment.data.load();
        let _ = experiment.generator.widths();
        let _ = experiment.generator.label_channels(256);
        for step in [0, 1, u64::MAX] {
            assert!(!experiment.optimizer.rate_share(step, 10).is_nan());
            assert!(!experiment.ema.decay_at(step).is_nan());
        }
    }
}

/// A study.
pub mod study {
    use dp_sims::experiments::{Overrides, Study};

    pub fn seeds() -> Vec<Vec<u8>> {
        let text = "name = \"mine\"\nbase = \"quickstart\"\nseeds = [1, 2]\n\
            [[rows]]\nname = \"a\"\n[[rows]]\nname = \"b\"\nbase = \"camvid\"\n\
            settings = [\"run.batch=2\"]\n";
        [
            text,
            include_str!("../../../experiments/studies/table7.toml"),
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    }

    pub fn run(data: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(data) else {
            return false;
        };
        let Ok(study) = Study::parse(text, "study.toml") else {
            return false;
        };
        let _ = study.resolve(&Overrides::default());
        true
    }
}

/// A protocol.
pub mod protocol {
    use dp_sims::evaluate::Protocol;

    use super::*;

    pub fn seeds() -> Vec<Vec<u8>> {
        Protocol::names()
            .map(|name| {
                let protocol = Protocol::load(name).unwrap();
                toml::to_string(&protocol).unwrap().into_bytes()
            })
            .collect()
    }

    pub fn run(data: &[u8]) -> bool {
        let Ok(protocol) = Protocol::load(&named("protocol.toml", data)) else {
            return false;
        };
        let written = toml::to_string(&protocol).unwrap();
        let again = Protocol::load(&named("again.toml", written.as_bytes())).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), written);
        let _ = (protocol.size(), protocol.accept("camvid"));
        assert!(again.means_the_same(&protocol) || written.contains("nan"));
        true
    }
}

/// The results of an evaluation.
pub mod results {
    use std::collections::BTreeMap;

    use dp_sims::evaluate::{
        ClassValue, Comparison, DataRecord, NetworkRecord, Protocol, Results, Subject, Value,
    };

    use super::*;

    pub fn seeds() -> Vec<Vec<u8>> {
        let results = Results {
            format: Results::format(),
            software: Results::software(),
            protocol: Protocol::load("folder-v1").unwrap(),
            complete: true,
            subject: Subject {
                kind: "checkpoint".to_string(),
                path: "runs/a".to_string(),
                experiment: Some("quickstart".to_string()),
                step: Some(10),
                sha256: "0".repeat(64),
                sample: None,
            },
            data: DataRecord {
                dataset: "scenes".to_string(),
                split: "validation".to_string(),
                images: 10,
                of: 10,
                size: [64, 64],
                sha256: "1".repeat(64),
            },
            networks: BTreeMap::from([(
                "fid".to_string(),
                NetworkRecord {
                    name: "inception".to_string(),
                    files: BTreeMap::from([("w".to_string(), "2".repeat(64))]),
                },
            )]),
            backend: "flex".to_string(),
            values: BTreeMap::from([
                ("fid".to_string(), Value::plain(12.25, 10)),
                ("kid".to_string(), Value::plain(f64::INFINITY, 10)),
                (
                    "miou".to_string(),
                    Value {
                        value: 40.1,
                        standard_error: Some(0.5),
                        count: 10,
                    },
                ),
            ]),
            classes: BTreeMap::from([(
                "miou".to_string(),
                vec![ClassValue {
                    name: "road".to_string(),
                    pixels: 12,
                    iou: Some(50.0),
                    accuracy: None,
                }],
            )]),
            timing: None,
            seconds: BTreeMap::from([("fid".to_string(), 1.5)]),
        };
        vec![
            serde_json::to_vec(&results).unwrap(),
            serde_json::to_vec_pretty(&results).unwrap(),
        ]
    }

    pub fn run(data: &[u8]) -> bool {
        let path = file("results.json", data);
        let Ok(results) = Results::read(&path) else {
            return false;
        };
        let written = serde_json::to_string(&results).unwrap();
        let again = Results::read(&file("again.json", written.as_bytes())).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
        let named = [("a".to_string(), results), ("b".to_string(), again)];
        let _ = Comparison::new(&named).map(|comparison| comparison.table());
        true
    }
}

/// What a model file says of itself.
pub mod record {
    use dp_sims::checkpoint::snapshot::{Record, TrainingRecord};
    use dp_sims_datasets::{Description, Size};
    use dp_sims_model::generator::GeneratorConfig;

    use super::*;

    /// Bytes that the file is said to have.
    const BYTES: usize = 1 << 32;

    pub fn seeds() -> Vec<Vec<u8>> {
        let text = "name = \"garden\"\nvoid = [255]\n\
            [[class]]\nname = \"grass\"\ncolour = \"#40a040\"\nids = [1, 2]\n\
            [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
        let description = Description::parse(text, Path::new("dataset.toml")).unwrap();
        let training = TrainingRecord {
            step: 10,
            images_seen: 20,
            finished: "2026-11-29".to_string(),
            software: "dp-sims 0.1.0".to_string(),
            backend: "flex".to_string(),
        };
        let generator = GeneratorConfig::default();
        let size = Size::square(256);
        let record = Record::new("garden", size, generator, &description, training).unwrap();
        vec![serde_json::to_vec(&record).unwrap()]
    }

    pub fn run(data: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(data) else {
            return false;
        };
        let Ok((record, description)) = Record::parse(text, BYTES) else {
            return false;
        };
        assert!((2..=256).contains(&description.class_table().len()));
        let written = serde_json::to_string(&record).unwrap();
        let (again, _) = Record::parse(&written, BYTES).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
        let _ = record.card();
        true
    }
}
