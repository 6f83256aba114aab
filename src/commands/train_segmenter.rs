use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Args;
use dp_sims_backends::Task;
use dp_sims_datasets::{ClassSet, Description, LabelledImages, Size, Split};
use dp_sims_metrics::ClassesInMean;
use dp_sims_model::backbones::BackboneKind;
use serde::Serialize;

use super::device::run_on;
use super::{BackendArgs, User, count, parse_size, steps};
use crate::config::{DataConfig, parse_backbone};
use crate::data::{self, Data, checks_folder};
use crate::evaluate::{
    ClassValue, Judge, OwnSegmenter, OwnSegmenterConfig, Photos, SEGMENTER_WEIGHTS,
    SegmentationSettings,
};
use crate::runtime::files::{keep, make_folder, write_whole};
use crate::runtime::memory::use_large_pages;
use crate::runtime::progress::progress_bar;
use crate::runtime::units::number;
use crate::train::{Stop, train_segmenter};
use crate::weights::default_weights_folder;

/// Photos that are judged at once.
const BATCH: usize = 4;

/// Arguments of `train-segmenter`.
#[derive(Debug, Args)]
pub struct TrainSegmenterArgs {
    /// Root folder of the dataset.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Dataset: a built-in name, `scenes`, or the path of a description [default: found in the
    /// folder].
    #[arg(long, value_name = "NAME | FILE.toml")]
    dataset: Option<String>,
    /// Frozen backbone. Take another one than the discriminator trains against, whose features the
    /// images were made to fit.
    #[arg(long, default_value = "efficientnet-lite2", value_parser = parse_backbone, value_name = "NAME")]
    backbone: BackboneKind,
    /// Height and width of the images in pixels.
    #[arg(long, default_value = "96x128", value_parser = parse_size, value_name = "HxW")]
    size: Size,
    /// Training steps.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = steps())]
    steps: u64,
    /// Batch size.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = count(65_536))]
    batch: usize,
    /// Largest learning rate; it falls along a half cosine.
    #[arg(long, default_value_t = 1e-3, value_name = "X")]
    learning_rate: f64,
    /// Seed of the first weights and of the order of the images.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Validate on the first N photos only.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Folder for the segmenter.
    #[arg(long, default_value = "runs/segmenter", value_name = "DIR")]
    out: PathBuf,
    /// Replace a segmenter that is in the folder already.
    #[arg(long)]
    overwrite: bool,
    /// Folder of pre-trained weight files [default: dp-sims/weights in the user's cache].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
}

/// How well a segmenter recognises real photos: `validation.json`.
#[derive(Debug, Serialize)]
struct Validation {
    dataset: String,
    split: String,
    images: usize,
    /// Percent.
    miou: Option<f64>,
    /// Percent.
    accuracy: Option<f64>,
    classes: Vec<ClassValue>,
}

struct Job {
    args: TrainSegmenterArgs,
    config: OwnSegmenterConfig,
    description: Description,
    images: Arc<dyn LabelledImages>,
    presence: Vec<ClassSet>,
    validation: Photos,
    weights: PathBuf,
}

/// Trains a segmentation network on photos and tells how well it recognises others.
pub fn run(args: TrainSegmenterArgs) -> Result<()> {
    use_large_pages();
    let selected = args.backend.select().user()?;
    let job = Job::open(args).user()?;
    run_on(selected, job, "lower --batch or --size")
}

impl Job {
    fn open(args: TrainSegmenterArgs) -> Result<Self> {
        keep(&args.out.join(SEGMENTER_WEIGHTS), args.overwrite)?;
        ensure!(
            args.learning_rate.is_finite() && args.learning_rate > 0.0,
            "--learning-rate must be a number above 0"
        );
        let weights = args.weights.clone().unwrap_or_else(default_weights_folder);
        let mut config = OwnSegmenterConfig::new(args.backbone, args.size, &weights)?;
        (config.steps, config.batch) = (args.steps, args.batch);
        (config.learning_rate, config.seed) = (args.learning_rate, args.seed);
        let opened = if args.dataset.as_deref() == Some("scenes") {
            ensure!(
                args.data.is_none(),
                "--data: `scenes` is procedural and has no files: leave out one of --data and --dataset"
            );
            // Drawn by rarity, so that the classes of every scene are known.
            let scenes = DataConfig {
                balanced: true,
                ..Default::default()
            };
            Data::open(&scenes, false, &checks_folder())?
        } else {
            let (description, root) = data::source(args.dataset.as_deref(), args.data.as_deref())?;
            data::refuse_among_inputs(&args.out, &description, Some(&root), false)?;
            Data::folder(description, &root, false, false, &checks_folder())?
        };
        make_folder(&args.out)?;
        let split = Split::Validation;
        let validation = Photos::of(opened.validation, split, args.size, args.limit)?;
        Ok(Self {
            config,
            description: opened.description,
            images: opened.train,
            presence: opened.presence,
            validation,
            weights,
            args,
        })
    }

    fn validate<B: Backend>(&self, device: &B::Device) -> Result<Validation> {
        let settings = SegmentationSettings {
            network: "own".to_string(),
            mean_over: ClassesInMean::InTruth,
        };
        let photos = &self.validation;
        let own = Some(self.args.out.as_path());
        let mut judge = Judge::<B>::new(&settings, own, &self.weights, photos.classes(), device)?;
        let mut confusion = judge.confusion();
        let bar = progress_bar("validating", photos.len() as u64);
        for first in (0..photos.len()).step_by(BATCH) {
            let samples = (first..photos.len().min(first + BATCH))
                .map(|index| photos.sample(index))
                .collect::<Result<Vec<_>>>()?;
            let images: Vec<&[u8]> = samples.iter().map(|s| s.image.as_slice()).collect();
            let labels: Vec<&[u8]> = samples.iter().map(|s| s.labels.as_slice()).collect();
            for found in judge.judge(&images, &labels, photos.size(), device)? {
                confusion.merge(&found)?;
            }
            bar.inc(samples.len() as u64);
        }
        bar.finish_and_clear();
        let (miou, accuracy, classes) = judge.values(&settings, &confusion);
        Ok(Validation {
            dataset: photos.dataset().to_string(),
            split: photos.split().to_string(),
            images: photos.len(),
            miou: miou.map(|value| value.value),
            accuracy: accuracy.map(|value| value.value),
            classes,
        })
    }

    fn work<B: AutodiffBackend>(&self, device: &B::Device) -> Result<()> {
        let stop = Stop::listen()?;
        let classes = self.images.classes().len();
        let segmenter =
            OwnSegmenter::<B>::new(self.config.clone(), classes, &self.weights, device)?;
        let images = self.images.clone();
        let (mut segmenter, steps) =
            train_segmenter(segmenter, images, Some(&self.presence), &stop, device)?;
        segmenter.config.steps = steps;
        segmenter.valid().save(&self.args.out, &self.description)?;
        let found = self.validate::<B::InnerBackend>(device)?;
        let text = serde_json::to_string_pretty(&found)?;
        write_whole(&self.args.out.join("validation.json"), text.as_bytes())?;
        let width = found
            .classes
            .iter()
            .map(|class| class.name.chars().count())
            .max()
            .unwrap_or(0);
        let share = |value: Option<f64>| value.map_or_else(|| "–".to_string(), number);
        for class in &found.classes {
            println!("{:<width$}  IoU {:>6} %", class.name, share(class.iou));
        }
        println!(
            "mIoU {} %, pixel accuracy {} % on {} photos of {} ({}), after {steps} steps; the \
             segmenter is in {}",
            share(found.miou),
            share(found.accuracy),
            found.images,
            found.dataset,
            found.split,
            self.args.out.display()
        );
        Ok(())
    }
}

impl Task for Job {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        self.work::<B>(device).context("training the segmenter")
    }
}
