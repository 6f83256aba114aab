use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use dp_sims::bench::{GENERATOR_CLASSES, Images, Machine, Settings, Timing, WARM_UP, line};
use dp_sims::checkpoint::snapshot::{State, generator_files};
use dp_sims::checkpoint::{self, MANIFEST};
use dp_sims::config::{self, Experiment};
use dp_sims::data::description;
use dp_sims::runtime::device::wait;
use dp_sims::runtime::progress::progress_bar;
use dp_sims_datasets::Description;
use dp_sims_model::generator::Generator;
use image::{GrayImage, ImageFormat};
use serde::{Deserialize, Serialize};

use super::child::{Child, MAP};

/// Time from the start of the program to the first image, as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartReport {
    /// `start`.
    pub bench: String,
    /// Where.
    #[serde(flatten)]
    pub machine: Machine,
    /// Height of the image in pixels.
    pub height: usize,
    /// Width of the image in pixels.
    pub width: usize,
    /// Width of the generator's last block.
    pub base_width: usize,
    /// Classes, void included.
    pub classes: usize,
    /// Timed repetitions.
    pub repeats: usize,
    /// From the start of `generate` to its end.
    #[serde(flatten)]
    pub timing: Timing,
    /// The generator alone in this process, as `dp-sims bench generator` times it.
    pub generator: Timing,
    /// The median of the one over the median of the other.
    pub ratio: f64,
    /// What the checkpoint takes on disk in bytes.
    pub checkpoint_bytes: u64,
}

/// Times `generate` from the start of its process to the end, for one label map and a
/// checkpoint with random weights, and in turn with it the generator alone in this process.
///
/// # Errors
/// When a setting is out of range, the temporary folder cannot be written, or a process fails.
pub fn start<B: Backend>(
    settings: &Settings,
    machine: Machine,
    child: &Child,
    device: &B::Device,
) -> Result<StartReport> {
    let settings = Settings {
        batch: 1,
        ..*settings
    };
    let mut experiment = config::load("ade20k", &[])?;
    experiment.generator = settings.generator()?;
    (experiment.data.height, experiment.data.width) = (settings.size.height, settings.size.width);
    let description = description("ade20k")?;
    let folder = tempfile::tempdir()
        .context("cannot make a temporary folder; name another place with TMPDIR")?;
    let network = experiment
        .generator
        .init::<B>(GENERATOR_CLASSES, 0, device)?;
    let checkpoint = write_checkpoint(
        &folder.path().join("checkpoints"),
        &network,
        &experiment,
        &description,
        child,
    )?;
    let labels = folder.path().join(MAP);
    write_labels(&labels, &settings, &description)?;
    let out = folder.path().join("out");

    let mut images = Images::new(network, &settings, device)?;
    let bar = progress_bar("starting", (1 + settings.repeats) as u64);
    let (mut starts, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..WARM_UP {
        wait(images.make())?;
    }
    for repeat in 0..=settings.repeats {
        let seconds = child.generate(&checkpoint, &labels, &out)?;
        let started = Instant::now();
        wait(images.make())?;
        if repeat > 0 {
            starts.push(seconds);
            alone.push(started.elapsed().as_secs_f64());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let (timing, generator) = (Timing::of(&starts), Timing::of(&alone));
    Ok(StartReport {
        bench: "start".to_string(),
        machine,
        height: settings.size.height,
        width: settings.size.width,
        base_width: settings.base_width,
        classes: GENERATOR_CLASSES,
        repeats: settings.repeats,
        timing,
        generator,
        ratio: timing.median_seconds / generator.median_seconds,
        checkpoint_bytes: bytes_of(&checkpoint)?,
    })
}

/// Writes a checkpoint with all that `generate` reads and nothing else.
fn write_checkpoint<B: Backend>(
    root: &Path,
    network: &Generator<B>,
    experiment: &Experiment,
    description: &Description,
    child: &Child,
) -> Result<PathBuf> {
    let state = State::new(0, 0, child.selected.kind.name());
    let files = generator_files(network, &state, experiment, description);
    checkpoint::write(root, 0, files).context(
        "cannot write a checkpoint into the temporary folder; name another place with TMPDIR",
    )
}

fn bytes_of(checkpoint: &Path) -> Result<u64> {
    let unreadable = || format!("cannot read {}", checkpoint.display());
    let files = checkpoint::open(checkpoint)?;
    let listed: u64 = files.manifest().files.values().map(|file| file.bytes).sum();
    let manifest = std::fs::metadata(checkpoint.join(MANIFEST)).with_context(unreadable)?;
    Ok(listed + manifest.len())
}

/// A procedural scene as a label map in the ids of the dataset.
fn write_labels(path: &Path, settings: &Settings, description: &Description) -> Result<()> {
    let void = description.void.first().copied().unwrap_or_default();
    let id = |class: u8| match usize::from(class) {
        0 => void,
        index => {
            let class = description.classes.get(index - 1);
            let id = class.and_then(|class| class.ids.first());
            id.copied().unwrap_or(void)
        }
    };
    let labels = settings.scenes(GENERATOR_CLASSES)?.labels;
    let (width, height) = (settings.size.width as u32, settings.size.height as u32);
    let pixels = labels.into_iter().map(id).collect();
    GrayImage::from_raw(width, height, pixels)
        .context("a scene has another size than was asked for")?
        .save_with_format(path, ImageFormat::Png)
        .with_context(|| format!("cannot write {}", path.display()))
}

impl fmt::Display for StartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "bench", "program start to first image")?;
        line(f, "device", &self.machine)?;
        line(
            f,
            "images",
            format!("[1, 3, {}, {}]", self.height, self.width),
        )?;
        line(f, "base width", self.base_width)?;
        line(f, "classes", format!("{} with void", self.classes))?;
        let repeats = self.repeats;
        for (label, timing) in [
            ("start to end", self.timing),
            ("generator alone", self.generator),
        ] {
            line(f, label, format!("{timing}, the median of {repeats}"))?;
        }
        line(f, "ratio", format!("{:.2}", self.ratio))?;
        let megabytes = self.checkpoint_bytes as f64 / (1 << 20) as f64;
        line(f, "checkpoint", format!("{megabytes:.1} MiB"))
    }
}

#[cfg(test)]
mod tests {
    use dp_sims_backends::Selected;

    use super::*;
    use crate::testing::{some_machine, tiny};

    #[test]
    fn the_report_has_both_times() {
        let report = StartReport {
            bench: "start".to_string(),
            machine: some_machine(),
            height: 64,
            width: 96,
            base_width: 8,
            classes: 151,
            repeats: 1,
            timing: Timing::of(&[3.0]),
            generator: Timing::of(&[2.0]),
            ratio: 1.5,
            checkpoint_bytes: 3 << 19,
        };
        let text = report.to_string();
        for part in [
            "start to end      3.0000 s",
            "generator alone   2.0000 s",
            "1.50\n",
            "1.5 MiB",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["median_seconds"], 3.0);
        assert_eq!(json["generator"]["median_seconds"], 2.0);
        assert_eq!(serde_json::from_value::<StartReport>(json).unwrap(), report);
    }

    #[test]
    fn label_maps_are_in_the_ids_of_the_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.png");
        let settings = tiny();
        let mut description = description("ade20k").unwrap();
        for class in &mut description.classes {
            class.ids = vec![255 - class.ids[0]];
        }
        write_labels(&path, &settings, &description).unwrap();
        let scene = settings.scenes(GENERATOR_CLASSES).unwrap();
        let found = image::open(&path).unwrap().to_luma8();
        for (id, class) in found.iter().zip(scene.labels) {
            assert_eq!(*id, if class == 0 { 0 } else { 255 - class });
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn a_program_that_fails_is_quoted() {
        let selected = Selected {
            kind: dp_sims_backends::BackendKind::Flex,
            device: 0,
        };
        let child = Child {
            program: "no-such-program".into(),
            selected,
            threads: 1,
        };
        let settings = tiny();
        let device = Default::default();
        let error =
            start::<dp_sims_backends::FlexAutodiff>(&settings, some_machine(), &child, &device)
                .unwrap_err();
        assert_eq!(error.to_string(), "cannot start no-such-program");
    }
}
