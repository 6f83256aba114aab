use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_datasets::scenes::Scenes;
use dp_sims_datasets::{Batch, LabelledImages, Size};
use dp_sims_model::cost::{self, Convention};
use dp_sims_model::generator::GeneratorConfig;
use dp_sims_model::layers::Mode;

use serde::Serialize;

use super::count::{step_macs, step_parameters};
use super::speed::{ProbeSizes, matmul_speed};
use crate::config::{self, Experiment, Weights};
use crate::data::progress_bar;
use crate::device::wait;
use crate::train::{DeviceBatch, Networks, Purpose, SeededDraws, Training, label_tensor, latents};

/// Classes of the training step, void included: those of CamVid.
pub const STEP_CLASSES: usize = 12;

/// Classes of the generator, void included: those of ADE20K.
pub const GENERATOR_CLASSES: usize = 151;

/// Repetitions before the clock runs: kernels are tuned and memory is taken then.
const WARM_UP: usize = 2;

/// What can be changed about a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Size of images and label maps.
    pub size: Size,
    /// Images at once.
    pub batch: usize,
    /// Width of the generator's last block.
    pub base_width: usize,
    /// Timed repetitions.
    pub repeats: usize,
    /// Whether one more repetition tells where the time goes, on flex alone.
    pub profile: bool,
}

/// Calls and time of an operation within one repetition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operation {
    /// Name, as burn's backend traits call it; what lies between operations is `other`.
    pub name: &'static str,
    /// Calls; none of `other`.
    pub calls: u64,
    /// Time by the clock.
    pub seconds: f64,
}

/// Times of a benchmark, and what they are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Seconds of each repetition, in the order in which they ran.
    pub seconds: Vec<f64>,
    /// Multiply-adds of one repetition.
    pub macs: u64,
    /// GFLOP/s of a matrix product: the better of one before and one after.
    pub matmul_speed: f64,
    /// Trained and frozen parameters by network, without buffers.
    pub parameters: BTreeMap<&'static str, u64>,
    /// Largest resident memory of the process in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// The operations of one repetition, the longest first, where they were asked for.
    pub operations: Vec<Operation>,
}

impl Settings {
    /// The experiment whose step is timed: the built-in `camvid` at this size, with random weights
    /// in both frozen networks, so that no file is needed.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn experiment(&self) -> Result<Experiment> {
        self.check()?;
        let mut experiment = config::load("camvid", &[])?;
        experiment.data.height = self.size.height;
        experiment.data.width = self.size.width;
        experiment.run.batch = self.batch;
        experiment.generator.base_width = self.base_width;
        experiment.backbone.weights = Weights::Random;
        experiment.loss.contrastive.weights = Weights::Random;
        experiment.validate()?;
        Ok(experiment)
    }

    /// The generator that is timed: the paper's with another base width.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn generator(&self) -> Result<GeneratorConfig> {
        self.check()?;
        let config = GeneratorConfig {
            base_width: self.base_width,
            ..GeneratorConfig::default()
        };
        config.validate(self.size.height, self.size.width)?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        ensure!(self.batch > 0, "--batch must be at least 1");
        ensure!(self.repeats > 0, "at least 1 repetition is needed");
        Ok(())
    }
}

/// Times training steps on procedural scenes that lie on the device.
///
/// # Errors
/// When a setting is out of range or the device fails.
pub fn step<B: AutodiffBackend>(
    settings: &Settings,
    sizes: ProbeSizes,
    device: &B::Device,
) -> Result<Measured> {
    let experiment = settings.experiment()?;
    let batch = scenes(settings, STEP_CLASSES)?;
    let batch = DeviceBatch::<B::InnerBackend>::new(&batch, STEP_CLASSES, device);
    // No frozen network of the experiment is read from a file.
    let networks = Networks::<B>::new(&experiment, STEP_CLASSES, "".as_ref(), device)?;
    let mut training = Training::new(networks, &experiment, device)?;
    let mut number = 0;
    let macs = step_macs(&experiment, STEP_CLASSES);
    let parameters = step_parameters(&experiment, STEP_CLASSES);
    let measured = measure::<B::InnerBackend>(settings, macs, sizes, device, || {
        number += 1;
        training
            .step(number, std::slice::from_ref(&batch))?
            .read()?;
        // The moving average is the last thing that a step computes.
        wait(training.networks.ema.to_image().weight.val())
    })?;
    Ok(Measured {
        parameters,
        ..measured
    })
}

/// Times the generator alone, in evaluation mode and without a graph.
///
/// # Errors
/// When a setting is out of range or the device fails.
pub fn generator<B: Backend>(
    settings: &Settings,
    sizes: ProbeSizes,
    device: &B::Device,
) -> Result<Measured> {
    let config = settings.generator()?;
    let Size { height, width } = settings.size;
    let batch = scenes(settings, GENERATOR_CLASSES)?;
    let labels = label_tensor::<B>(&batch.labels, [batch.len, height, width], device);
    let shape = [batch.len, config.latent_dim];
    let latent = latents::<B>(
        &SeededDraws { seed: 0 },
        0,
        Purpose::Generate,
        shape,
        device,
    );
    let network = config.init::<B>(GENERATOR_CLASSES, 0, device)?;
    let mut network = network.for_inference();
    let cost = cost::generator(
        &config,
        GENERATOR_CLASSES,
        [height, width],
        Convention::Executed,
    );
    let macs = cost.total().macs * settings.batch as u64;
    let measured = measure::<B>(settings, macs, sizes, device, || {
        wait(network.forward(labels.clone(), latent.clone(), Mode::Eval))
    })?;
    Ok(Measured {
        parameters: [("generator", cost.total().parameters)].into(),
        ..measured
    })
}

fn measure<B: Backend>(
    settings: &Settings,
    macs: u64,
    sizes: ProbeSizes,
    device: &B::Device,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Measured> {
    let before = matmul_speed::<B>(sizes, device)?;
    let bar = progress_bar("timing", (WARM_UP + settings.repeats) as u64);
    let mut seconds = Vec::with_capacity(settings.repeats);
    for repeat in 0..WARM_UP + settings.repeats {
        let started = Instant::now();
        work()?;
        if repeat >= WARM_UP {
            seconds.push(started.elapsed().as_secs_f64());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let peak_memory_bytes = crate::memory::peak();
    let operations = if settings.profile {
        profile(&mut work)?
    } else {
        Vec::new()
    };
    let matmul_speed = before.max(matmul_speed::<B>(sizes, device)?);
    Ok(Measured {
        seconds,
        macs,
        matmul_speed,
        parameters: BTreeMap::new(),
        peak_memory_bytes,
        operations,
    })
}

/// The operations of one repetition.
#[cfg(feature = "flex")]
fn profile(mut work: impl FnMut() -> Result<()>) -> Result<Vec<Operation>> {
    use dp_sims_backends::cpu::profile;

    let started = Instant::now();
    profile::start();
    let outcome = work();
    let times = profile::stop();
    let all = started.elapsed().as_secs_f64();
    outcome?;
    let inside: f64 = times.iter().map(|time| time.seconds).sum();
    let mut operations: Vec<_> = times
        .into_iter()
        .map(|time| Operation {
            name: time.name,
            calls: time.calls,
            seconds: time.seconds,
        })
        .collect();
    operations.push(Operation {
        name: "other",
        calls: 0,
        seconds: all - inside,
    });
    operations.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(operations)
}

#[cfg(not(feature = "flex"))]
fn profile(_: impl FnMut() -> Result<()>) -> Result<Vec<Operation>> {
    anyhow::bail!("--profile needs the backend flex, which this program was built without")
}

/// A batch of procedural scenes; classes beyond the table become void.
fn scenes(settings: &Settings, classes: usize) -> Result<Batch> {
    let dataset = Scenes::new(settings.batch, 0);
    let mut batch = Batch {
        images: Vec::new(),
        labels: Vec::new(),
        size: settings.size,
        len: settings.batch,
        names: Vec::new(),
        first_position: 0,
        offsets: None,
        unreadable: Vec::new(),
    };
    for index in 0..settings.batch {
        let sample = dataset
            .sample(index, settings.size)
            .context("cannot draw a scene")?;
        batch.images.extend(sample.image);
        let known = |label: u8| {
            if usize::from(label) < classes {
                label
            } else {
                0
            }
        };
        batch.labels.extend(sample.labels.into_iter().map(known));
        batch.names.push(sample.name);
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            size: Size::new(32, 64),
            batch: 2,
            base_width: 1,
            repeats: 3,
            profile: false,
        }
    }

    #[test]
    fn the_step_is_that_of_camvid_and_needs_no_file() {
        let experiment = settings().experiment().unwrap();
        let camvid = config::load("camvid", &[]).unwrap();
        assert_eq!(experiment.discriminator, camvid.discriminator);
        assert_eq!(experiment.backbone.network, camvid.backbone.network);
        assert_eq!(experiment.backbone.weights, Weights::Random);
        assert_eq!(experiment.loss.contrastive.weights, Weights::Random);
        assert_eq!(experiment.data.size(), settings().size);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let size = Settings {
            size: Size::new(48, 64),
            ..settings()
        };
        for error in [
            size.experiment().unwrap_err(),
            size.generator().unwrap_err(),
        ] {
            assert!(error.to_string().contains("data.height"), "{error}");
        }
        let error = Settings {
            batch: 0,
            ..settings()
        }
        .generator()
        .unwrap_err();
        assert!(error.to_string().contains("--batch"), "{error}");
        assert!(
            Settings {
                repeats: 0,
                ..settings()
            }
            .experiment()
            .is_err()
        );
    }

    #[test]
    fn labels_stay_inside_the_table() {
        let all = scenes(&settings(), GENERATOR_CLASSES).unwrap();
        let few = scenes(&settings(), 3).unwrap();
        assert_eq!(few.images.len(), 2 * 32 * 64 * 3);
        assert!(all.labels.iter().any(|&label| label >= 3));
        for (all, few) in all.labels.iter().zip(&few.labels) {
            assert_eq!(*few, if *all < 3 { *all } else { 0 });
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn a_narrow_generator_is_timed() {
        let sizes = ProbeSizes {
            matmul: 8,
            channels: 2,
            side: 4,
        };
        let settings = Settings {
            size: Size::square(32),
            batch: 1,
            ..settings()
        };
        let device = Default::default();
        let measured =
            generator::<dp_sims_backends::FlexAutodiff>(&settings, sizes, &device).unwrap();
        assert_eq!(measured.seconds.len(), settings.repeats);
        let config = settings.generator().unwrap();
        let cost = cost::generator(&config, GENERATOR_CLASSES, [32, 32], Convention::Executed);
        assert_eq!(measured.macs, cost.total().macs);
    }
}
