//! What the book shows of plans and of memory: files that are held to what the program says, and written
//! where `DP_SIMS_WRITE_PAGES` is set.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{Hardware, HardwarePlan};
use crate::config::{Experiment, load};
use crate::data::classes;
use crate::train::{Estimate, fits};

/// What is measured, with which script, and how much that was.
const MEASURED: &str = include_str!("../../tests/bench/memory.toml");

/// Largest part of a measurement by which an estimate may be off.
const BOUND: f64 = 0.2;

const MIB: f64 = (1 << 20) as f64;

#[derive(Deserialize)]
struct Runs {
    run: Vec<Measurement>,
}

/// Peak of the training steps of an experiment with random weights on procedural scenes.
#[derive(Deserialize)]
struct Measurement {
    name: String,
    experiment: String,
    settings: Vec<String>,
    peak_mib: f64,
}

fn experiment(name: &str, settings: &[&str]) -> Experiment {
    let settings: Vec<_> = settings.iter().map(|text| text.to_string()).collect();
    let experiment = load(name, &settings).unwrap();
    experiment.validate().unwrap();
    experiment
}

fn hold(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/generated");
    let path = path.join(name);
    if std::env::var_os("DP_SIMS_WRITE_PAGES").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found,
        expected,
        "{}: `DP_SIMS_WRITE_PAGES=1 cargo test -p dp-sims --lib -- plan::pages` writes it",
        path.display()
    );
}

#[test]
fn the_estimate_of_memory_is_within_a_fifth_of_what_was_measured() {
    let runs: Runs = toml::from_str(MEASURED).unwrap();
    let mut table =
        "| run | estimate, MiB | measured, MiB | ratio |\n|---|---|---|---|\n".to_string();
    let mut wrong = String::new();
    for run in &runs.run {
        let always = [
            "backbone.weights=random",
            "loss.contrastive.weights=random",
            "data.dataset=scenes",
        ];
        let settings: Vec<&str> = always
            .into_iter()
            .chain(run.settings.iter().map(String::as_str))
            .collect();
        let experiment = experiment(&run.experiment, &settings);
        let classes = classes(&experiment.data).unwrap();
        let there = (run.peak_mib * MIB) as u64;
        assert!(fits(&experiment, classes, there), "{} is refused", run.name);
        let estimate = Estimate::of(&experiment, classes);
        // The checkpoint comes after what was measured.
        let estimate = Estimate {
            checkpoint: 0.0,
            ..estimate
        }
        .process()
            / MIB;
        let ratio = estimate / run.peak_mib;
        let Measurement {
            name,
            experiment,
            peak_mib,
            ..
        } = run;
        writeln!(
            table,
            "| {experiment}: {name} | {estimate:.0} | {peak_mib:.0} | {ratio:.2} |"
        )
        .unwrap();
        if (ratio - 1.0).abs() > BOUND {
            writeln!(wrong, "{name}: {estimate:.0} of {peak_mib:.0} MiB").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    hold("memory.md", &table);
}

#[test]
fn the_book_plans_the_runs_of_the_paper() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/how-to/plan.md");
    let page = fs::read_to_string(page).unwrap();
    for (name, gpus, bandwidth) in [("ade20k", 8, 100.0), ("coco-stuff", 16, 25.0)] {
        let hardware = Hardware {
            gpus,
            memory_gib: 80.0,
            tflops: 60.0,
            price: Some(2.5),
            bandwidth: Some(bandwidth),
        };
        let experiment = experiment(name, &[]);
        let classes = classes(&experiment.data).unwrap();
        let plan = HardwarePlan::new(&experiment, classes, None, hardware).unwrap();
        let text = plan.to_string();
        assert!(
            page.contains(text.trim_end()),
            "plan.md has other figures than\n{text}"
        );
    }
}

#[test]
fn the_book_says_how_many_images_fit() {
    let sizes = [8.0, 16.0, 24.0, 80.0];
    let mut table = "| backbone | losses |".to_string();
    for size in sizes {
        write!(table, " {size} GiB |").unwrap();
    }
    table += "\n|---|---|---|---|---|---|\n";
    for (title, backbone) in [
        ("ConvNeXt-B", "convnext_base"),
        ("ConvNeXt-L", "convnext_large"),
    ] {
        for (losses, diversity) in [("all", "10.0"), ("without diversity", "0.0")] {
            let settings = [
                format!("backbone.network={backbone}"),
                "backbone.weights=random".to_string(),
                format!("loss.lambda_diversity={diversity}"),
            ];
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            let experiment = experiment("ade20k", &settings);
            write!(table, "| {title} | {losses} |").unwrap();
            for memory_gib in sizes {
                let hardware = Hardware {
                    gpus: 1,
                    memory_gib,
                    tflops: 60.0,
                    price: None,
                    bandwidth: None,
                };
                let plan = HardwarePlan::new(&experiment, 151, None, hardware).unwrap();
                write!(table, " {} |", plan.largest_batch).unwrap();
            }
            table += "\n";
        }
    }
    hold("fits.md", &table);
}
