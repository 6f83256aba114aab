//! Pre-trains the scenes backbone, `convnext_pico_scenes`, the frozen network of the `quickstart`
//! experiment. The weights inside the program, model/weights/convnext_pico_scenes.safetensors, took the
//! default number of steps:
//!
//! ```sh
//! cargo run --release --example pretrain -- --out convnext_pico_scenes.safetensors
//! ```
//!
//! Recipe: semantic segmentation of procedural scenes at 64×64 from each of the four taps
//! through a linear head, so that every tap carries class semantics at its own resolution.
//! Batch 16, Adam with learning rate 2e-3 falling along a half cosine. The heads are dropped, and the
//! weights are written in half precision.
#![recursion_limit = "256"]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, ElementConversion, Tensor};
use clap::Parser;
use dp_sims::commands::{BackendArgs, User, program, steps};
use dp_sims::config::half_cosine;
use dp_sims::runtime::batch::DeviceBatch;
use dp_sims::runtime::files::{check_place, keep};
use dp_sims::runtime::logging::LogArgs;
use dp_sims::runtime::memory::use_large_pages;
use dp_sims::runtime::progress::progress_bar;
use dp_sims_backends::Task;
use dp_sims_datasets::{LabelledImages, Loader, LoaderConfig, Share, Size};
use dp_sims_model::backbones::{BackboneKind, ConvNext, ConvNextConfig, info};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::{Conv, ConvConfig, nearest_labels};
use dp_sims_model::losses::{PixelLoss, PixelLossConfig, pixel_accuracy};
use dp_sims_model::weights::{state_dict, write_safetensors};
use dp_sims_scenes::Scenes;

const SIDE: usize = 64;
const BATCH: usize = 16;
const LEARNING_RATE: f64 = 2e-3;
const SEED: u64 = 1;
/// Scenes to learn from; a different sequence from those of the `scenes` dataset.
const SCENES: usize = 100_000;
const SCENES_SEED: u64 = 2;
/// Steps between two looks at whether the loss is finite.
const LOOK_EVERY: u64 = 10;

/// Pre-trains the small backbone of the `quickstart` experiment on procedural scenes.
#[derive(Debug, Parser)]
#[command(name = "pretrain", max_term_width = 100)]
struct Args {
    /// File for the weights, in half precision.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    /// Optimizer steps. The weights inside the program took the default.
    #[arg(long, default_value_t = 2500, value_name = "N", value_parser = steps())]
    steps: u64,
    /// Replace the file where it is there already.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    backend: BackendArgs,
    #[command(flatten)]
    log: LogArgs,
}

fn main() -> ExitCode {
    program(|args: Args| {
        args.log.install().user()?;
        run(args)
    })
}

fn run(args: Args) -> Result<()> {
    use_large_pages();
    let selected = args.backend.select().user()?;
    keep(&args.out, args.overwrite).user()?;
    check_place(&args.out).user()?;
    selected.run(PretrainTask(args))
}

struct PretrainTask(Args);

impl Task for PretrainTask {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        pretrain::<B>(self.0.steps, &self.0.out, device)
    }
}

/// The backbone with a linear head per tap.
#[derive(Module, Debug)]
struct BackboneWithHeads<B: Backend> {
    trunk: ConvNext<B>,
    heads: Vec<Conv<B>>,
}

impl<B: AutodiffBackend> BackboneWithHeads<B> {
    /// Sum of the losses of the four taps, and the accuracy of the finest.
    fn loss(
        &mut self,
        batch: &DeviceBatch<B::InnerBackend>,
        pixel: &PixelLoss,
    ) -> (Tensor<B, 1>, Tensor<B::InnerBackend, 1>) {
        let features = self.trunk.forward(Tensor::from_inner(batch.images.clone()));
        let mut total = Tensor::zeros([1], &batch.images.device());
        let mut accuracy = Tensor::zeros([1], &batch.images.device());
        for (index, (features, head)) in features.into_iter().zip(&self.heads).enumerate() {
            let [_, _, rows, columns] = features.dims();
            // The centre of each cell rather than its corner.
            let offset = SIDE / rows / 2;
            let centred = batch
                .maps
                .labels
                .clone()
                .slice([0..BATCH, offset..SIDE, offset..SIDE]);
            let padded = centred.pad((0, offset, 0, offset), 0);
            let labels = nearest_labels(padded, rows, columns);
            let logits = head.forward(features);
            if index == 1 {
                accuracy = pixel_accuracy(logits.clone().inner(), labels.clone());
            }
            let alpha = Tensor::from_inner(batch.class_weights.clone());
            total = total + pixel.generator(logits, Tensor::from_inner(labels), alpha);
        }
        (total, accuracy)
    }
}

/// Pre-trains the scenes backbone and writes its weights in half precision.
///
/// # Errors
/// When the file cannot be written or the device fails.
fn pretrain<B: AutodiffBackend>(steps: u64, out: &Path, device: &B::Device) -> Result<()> {
    let scenes = Scenes::new(SCENES, SCENES_SEED);
    let classes = scenes.classes().len();
    let config = LoaderConfig {
        size: Size::square(SIDE),
        load: None,
        batch: BATCH,
        workers: 1,
        queue: 8,
        seed: SEED,
        flip: true,
        balanced: false,
        offsets: false,
        share: Share::default(),
    };
    let loader = Loader::new(Arc::new(scenes), None, config, 0)?;
    let rng = &mut InitRng::new(SEED, "pretrain");
    let channels = info(BackboneKind::ConvnextPicoScenes).channels;
    let mut network = BackboneWithHeads::<B> {
        trunk: ConvNextConfig::pico_scenes().init(rng, device),
        heads: channels
            .iter()
            .map(|&channels| ConvConfig::new(channels, classes + 1, 1).init(rng, device))
            .collect(),
    };
    let pixel = PixelLossConfig {
        gamma: 0.0,
        class_weights: false,
        ..Default::default()
    }
    .init()?;
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    let bar = progress_bar("pre-training", steps);
    for (step, batch) in (0..steps).zip(loader) {
        let batch = DeviceBatch::new(&batch?, classes, device);
        let (loss, accuracy) = network.loss(&batch, &pixel);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let progress = step as f64 / steps as f64;
        let rate = LEARNING_RATE * half_cosine(progress);
        network = adam.step(rate, network, gradients);
        bar.inc(1);
        let is_reported = (step + 1) % 100 == 0 || step + 1 == steps;
        if is_reported || (step + 1) % LOOK_EVERY == 0 {
            let loss: f64 = loss.into_scalar().elem();
            ensure!(
                loss.is_finite(),
                "the loss is not finite after step {}",
                step + 1
            );
            if !is_reported {
                continue;
            }
            let accuracy: f64 = accuracy.into_scalar().elem();
            println!(
                "step {:>5}  loss {loss:.3}  accuracy at stride 8 {accuracy:.3}",
                step + 1
            );
        }
    }
    bar.finish_and_clear();
    let mut state = state_dict(&network.trunk);
    for tensor in state.values_mut() {
        *tensor = tensor.clone().convert_dtype(DType::F16);
    }
    write_safetensors(out, &state).context("cannot save the backbone")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dp_sims::commands::Mistake;

    use super::*;

    /// The message of a mistake of the user.
    fn refusal(out: &Path) -> String {
        let flags = ["pretrain", "--backend", "flex", "--steps", "1", "--out"];
        let line = flags
            .map(AsRef::as_ref)
            .into_iter()
            .chain([out.as_os_str()]);
        let error = run(Args::parse_from(line)).unwrap_err();
        assert!(error.is::<Mistake>(), "{error}");
        error.to_string()
    }

    #[test]
    fn weights_have_a_place_before_they_are_worked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        let message = refusal(&file.join("x.safetensors"));
        assert!(message.contains("cannot create"), "{message}");
        // Nor is what took long to make written over.
        let message = refusal(&file);
        assert!(message.contains("--overwrite"), "{message}");
        assert_eq!(std::fs::read(&file).unwrap(), b"text");
    }
}
