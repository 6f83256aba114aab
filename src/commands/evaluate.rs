mod choice;
mod place;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Args;
use dp_sims_backends::Task;
use dp_sims_datasets::Size;

use choice::{dataset, metrics};
use place::{refuse_place, results_folder, with_evaluation};

use super::device::run_on;
use super::{BackendArgs, TrustArgs, User, count, up_to};
use crate::checkpoint::snapshot::Snapshot;
use crate::config::{Metric, described};
use crate::data::refuse_among_inputs;
use crate::evaluate::{
    DataRecord, Evaluator, Gallery, ImageFolder, Outcome, Photos, Plan, Protocol, Results, Source,
    Subject, Together, page, statistics_folder, time_generator,
};
use crate::runtime::files::{check_place, make_folder, write_whole};
use crate::runtime::memory::use_large_pages;
use crate::runtime::paths::beside;
use crate::runtime::units::number;
use crate::weights::default_weights_folder;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Checkpoint folder, run folder for its newest checkpoint, model file of `dp-sims export`, or the
    /// name of the model inside the program: its averaged generator is judged.
    #[arg(
        long,
        value_name = "DIR | FILE.safetensors | NAME",
        required_unless_present = "images",
        conflicts_with = "images"
    )]
    checkpoint: Option<PathBuf>,
    /// Folder of images of any method, one per label map and of its name.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Image number K of every label map, of a folder that `generate --samples` wrote.
    #[arg(long, value_name = "K", requires = "images", value_parser = up_to(1_000_000))]
    sample: Option<usize>,
    /// Root folder of the dataset.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Dataset of the images: a built-in name or the path of a description [default: that of the
    /// checkpoint, or found in the folder].
    #[arg(long, value_name = "NAME | FILE.toml")]
    dataset: Option<String>,
    /// Protocol: ade20k-256-v1, coco-stuff-256-v1, cityscapes-256x512-v1, camvid-64x96-v2 or -v1,
    /// scenes-64-v1, scenes-128-v1, scenes-256-v1, folder-v1 or the path of a TOML file [default: that of the dataset
    /// at the size of the images, or folder-v1].
    #[arg(long, value_name = "NAME | FILE.toml")]
    protocol: Option<String>,
    /// What to measure: fid, kid, swav-fid, lpips, diversity-vgg16, miou, miou-mf, accuracy, timing, or fd- or
    /// kd- and a backbone, such as fd-efficientnet-lite2 [default: all that the protocol defines].
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    metrics: Vec<Metric>,
    /// Use the first N label maps only. The result is marked as not the whole protocol.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Folder for results.json and report.html [default: evaluation in the folder of the run, or beside
    /// the model file or the images].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Segmentation network of your own dataset: a folder of `dp-sims train-segmenter`.
    #[arg(long, value_name = "DIR")]
    segmenter: Option<PathBuf>,
    /// Statistics of the photos for FID: an .npz file of this program or of pytorch-fid.
    #[arg(long, value_name = "FILE.npz")]
    real_statistics: Option<PathBuf>,
    /// Write the statistics of the photos for FID, as pytorch-fid reads them.
    #[arg(long, value_name = "FILE.npz")]
    save_statistics: Option<PathBuf>,
    /// Images at once.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = count(65_536))]
    batch: usize,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
    /// Folder of pre-trained weight files [default: dp-sims/weights in the user's cache].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// What is judged.
enum Judged {
    Model(Box<Snapshot>),
    Images(PathBuf, ImageFolder),
}

struct Job {
    judged: Judged,
    photos: Photos,
    plan: Plan,
    out: PathBuf,
    weights: PathBuf,
    /// What computes, for the report; settled once everything small was read.
    backend: String,
    json: bool,
    sample: Option<usize>,
}

/// Judges images.
pub fn run(args: EvaluateArgs) -> Result<()> {
    use_large_pages();
    let selected = args.backend.select().user()?;
    let trust = args.trust.clone();
    let mut job = Job::open(args).user()?;
    job.backend = trust.check(selected, None)?;
    run_on(selected, job, "lower --batch")
}

impl Job {
    /// Reads everything small, so that mistakes are found before anything is computed.
    fn open(args: EvaluateArgs) -> Result<Self> {
        ensure!(args.batch > 0, "--batch must be at least 1");
        let model = args.checkpoint.as_deref().map(Snapshot::open).transpose()?;
        let (description, root) = dataset(&args, model.as_ref())?;
        let own = model.as_ref().map(|model| model.size);
        let protocol = match (&args.protocol, own, &args.images) {
            (Some(name), ..) => Protocol::load(name)?,
            (None, Some(size), _) => Protocol::of_dataset(&description.name, size)?,
            (None, None, Some(folder)) => {
                Protocol::of_dataset(&description.name, ImageFolder::first_size(folder)?)?
            }
            (None, None, None) => anyhow::bail!("give --checkpoint or --images"),
        };
        protocol.accept(&description.name)?;
        let weights = args.weights.clone().unwrap_or_else(default_weights_folder);
        let metrics = metrics(&args, &protocol, &weights)?;
        if let (Some(own), Some(size)) = (own, protocol.size()) {
            ensure!(
                own == size,
                "protocol `{}` is for images of {size}, the model makes {own}: train one of that size, \
                 or use --protocol folder-v1",
                protocol.name
            );
        }
        let offsets = model.as_ref().is_some_and(|m| m.generator.offsets);
        let open = |size| {
            Photos::open(
                &description,
                root.as_deref(),
                protocol.split,
                size,
                offsets,
                args.limit,
            )
        };
        let (photos, judged, out) = match (model, &args.images) {
            (Some(model), _) => {
                let photos = open(model.size)?;
                let out = results_folder(&model);
                (photos, Judged::Model(Box::new(model)), out)
            }
            (None, Some(folder)) => {
                // Names first: they do not depend on the size, which the images tell.
                let photos = open(protocol.size().unwrap_or(Size::square(1)))?;
                let names = photos.names().context(
                    "procedural scenes have no files to compare images with: name a dataset",
                )?;
                let images = ImageFolder::open(folder, names, args.sample)?;
                if let Some(size) = protocol.size() {
                    ensure!(
                        images.size() == size,
                        "protocol `{}` is for images of {size}, those in {} are {}: resize them the \
                         way their method does, or use --protocol folder-v1",
                        protocol.name,
                        folder.display(),
                        images.size()
                    );
                }
                let photos = photos.at(images.size());
                let out = beside(folder, with_evaluation);
                (photos, Judged::Images(folder.clone(), images), out)
            }
            (None, None) => anyhow::bail!("give --checkpoint or --images"),
        };
        let plan = Plan {
            protocol,
            metrics,
            batch: args.batch,
            segmenter: args.segmenter.clone(),
            real_statistics: args.real_statistics.clone(),
            save_statistics: args.save_statistics.clone(),
            cache: Some(statistics_folder()),
            progress: true,
        };
        let out = args.out.unwrap_or(out);
        refuse_place(&out, args.images.as_deref())?;
        refuse_among_inputs(&out, &description, root.as_deref(), false)?;
        // What cannot be kept is not worked for.
        make_folder(&out)?;
        if let Some(path) = &plan.save_statistics {
            check_place(path)?;
        }
        Ok(Self {
            judged,
            photos,
            plan,
            out,
            weights,
            backend: String::new(),
            json: args.json,
            sample: args.sample,
        })
    }

    fn work<B: Backend>(&mut self, device: &B::Device) -> Result<(Results, Gallery)> {
        let mut evaluator =
            Evaluator::<B>::load(self.plan.clone(), &self.photos, &self.weights, device).user()?;
        match &self.judged {
            Judged::Model(model) => {
                let started = Instant::now();
                let mut generator = model.load::<B>(device).user()?;
                let sha256 = model.sha256()?;
                let seed = self.plan.protocol.seed;
                let mut source = Source::Generator {
                    generator: &mut generator,
                    seed,
                };
                let first = [self.photos.sample(0).user()?];
                source.images(&first, 0, device)?;
                let start_seconds = started.elapsed().as_secs_f64();
                let outcome = evaluator.run(&self.photos, &mut source, &Together::alone())?;
                let timing = self
                    .plan
                    .metrics
                    .contains(&Metric::Timing)
                    .then(|| {
                        let settings = &self.plan.protocol.timing;
                        let config = &model.generator;
                        let photos = &self.photos;
                        time_generator(
                            &mut generator,
                            config,
                            photos,
                            settings,
                            start_seconds,
                            device,
                        )
                    })
                    .transpose()?;
                let subject = Subject {
                    kind: model.kind().to_string(),
                    sample: None,
                    path: model.path().display().to_string(),
                    experiment: Some(model.name.clone()),
                    step: Some(model.step),
                    sha256,
                };
                let (mut results, gallery) = self.results(subject, outcome);
                results.timing = timing;
                Ok((results, gallery))
            }
            Judged::Images(folder, images) => {
                let mut source = Source::Folder(images);
                let outcome = evaluator.run(&self.photos, &mut source, &Together::alone())?;
                let subject = Subject {
                    kind: "images".to_string(),
                    sample: self.sample,
                    path: folder.display().to_string(),
                    experiment: None,
                    step: None,
                    sha256: outcome.image_hash.clone(),
                };
                Ok(self.results(subject, outcome))
            }
        }
    }

    fn results(&self, subject: Subject, outcome: Outcome) -> (Results, Gallery) {
        let photos = &self.photos;
        let wanted = self.plan.protocol.images.unwrap_or(photos.all());
        let results = Results {
            format: Results::format(),
            software: Results::software(),
            protocol: self.plan.protocol.clone(),
            complete: photos.len() == wanted,
            subject,
            data: DataRecord {
                dataset: photos.dataset().to_string(),
                split: photos.split().to_string(),
                images: photos.len(),
                of: photos.all(),
                size: [photos.size().height, photos.size().width],
                sha256: outcome.data_hash,
            },
            networks: outcome.networks,
            backend: self.backend.clone(),
            values: outcome.values,
            classes: outcome.classes,
            timing: None,
            seconds: outcome.seconds,
        };
        (results, outcome.gallery)
    }

    fn write(&self, results: &Results, gallery: &Gallery) -> Result<()> {
        let out = &self.out;
        let json = serde_json::to_string_pretty(results)?;
        write_whole(&out.join("results.json"), json.as_bytes())?;
        let size = self.photos.size();
        let html = page(results, Some(gallery), [size.height, size.width])?;
        write_whole(&out.join("report.html"), html.as_bytes())?;
        if self.json {
            println!("{json}");
            return Ok(());
        }
        for (name, value) in &results.values {
            let (title, unit, _) = described(name);
            let error = value
                .standard_error
                .map(|error| format!(" ± {}", number(error)));
            println!(
                "{title:<36}{:>12}{unit}{}",
                number(value.value),
                error.unwrap_or_default()
            );
        }
        if let Some(timing) = &results.timing {
            println!(
                "{:<36}{:>12}s median, {} s mean, {} s p95",
                "seconds per image",
                number(timing.median_seconds),
                number(timing.mean_seconds),
                number(timing.p95_seconds)
            );
        }
        if !results.complete {
            tracing::warn!(
                "{} of {} images: not the whole protocol, not comparable with published \
                 figures",
                results.data.images,
                self.plan.protocol.images.unwrap_or(results.data.of)
            );
        }
        println!(
            "protocol {}, report in {}",
            results.protocol.name,
            out.join("report.html").display()
        );
        Ok(())
    }
}

impl Task for Job {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(mut self, device: &B::Device) -> Self::Output {
        let (results, gallery) = self.work::<B::InnerBackend>(device)?;
        self.write(&results, &gallery)
    }
}
