use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use clap::Args;
use dp_sims_backends::Task;
use dp_sims_datasets::resize::resize_labels;
use dp_sims_datasets::{ClassTable, Description, Sample, Split, read_instance_png, read_labels};
use dp_sims_model::generator::Generator;
use dp_sims_model::layers::Mode;
use dp_sims_model::weights::{load_state_dict, read_weights};
use image::{ImageFormat, RgbImage};

use super::train::open_or_newest;
use super::{BackendArgs, Failure, failed, mistake};
use crate::checkpoint::Checkpoint;
use crate::config::Experiment;
use crate::consumers::preview::{GridRow, grid};
use crate::data::progress_bar;
use crate::files::write_whole;
use crate::train::{
    Purpose, SeededDraws, latents, read_description, read_experiment, sample_maps, tensors, to_rgb,
};

/// Name of the tensor in a file of latents.
const LATENTS: &str = "latents";

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Checkpoint folder, or a run folder for its newest whole checkpoint.
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Label map (PNG) or folder of label maps, with the ids the model was trained on.
    #[arg(long, value_name = "FILE | DIR")]
    labels: PathBuf,
    /// Instance map (PNG of up to 16 bits) or folder of instance maps with the names of the label
    /// maps, for a model trained with offsets. Without it no pixel belongs to an object.
    #[arg(long, value_name = "FILE | DIR")]
    instances: Option<PathBuf>,
    /// Folder for the images.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Images per label map.
    #[arg(long, default_value_t = 1, value_name = "K")]
    samples: usize,
    /// Seed of the noise. Sample k of every label map has the same noise.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Latents to use instead: a safetensors file with a float tensor `latents` of shape
    /// [K, latent_dim].
    #[arg(long, value_name = "FILE.safetensors", conflicts_with_all = ["seed", "samples"])]
    latents: Option<PathBuf>,
    /// Also write grid.png: a row per label map, label map first, then the samples.
    #[arg(long)]
    grid: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Makes images.
pub fn run(args: GenerateArgs) -> Result<(), Failure> {
    let selected = args.backend.select().map_err(mistake)?;
    let job = Job::open(args).map_err(mistake)?;
    selected.run(job)
}

struct Job {
    args: GenerateArgs,
    checkpoint: Checkpoint,
    experiment: Experiment,
    classes: ClassTable,
    /// Every label map, at the size of the model.
    maps: Vec<Sample>,
}

impl Job {
    /// Reads the checkpoint's configuration and every label map, so that a wrong file is found
    /// before anything is computed.
    fn open(args: GenerateArgs) -> Result<Self> {
        ensure!(args.samples > 0, "--samples must be at least 1");
        let checkpoint = open_or_newest(&args.checkpoint)?;
        let experiment = read_experiment(&checkpoint)?;
        experiment.validate()?;
        let description = read_description(&checkpoint)?;
        let offsets = experiment.generator.offsets;
        ensure!(
            args.instances.is_none() || offsets,
            "--instances: the model was trained without offsets and cannot use them"
        );
        if offsets && args.instances.is_none() {
            eprintln!("no --instances: every pixel counts as outside of objects");
        }
        let maps = label_files(&args.labels)?
            .into_iter()
            .map(|path| read_map(&path, args.instances.as_deref(), &description, &experiment))
            .collect::<Result<Vec<_>>>()?;
        for (index, map) in maps.iter().enumerate() {
            let name = &map.name;
            ensure!(
                maps[..index].iter().all(|other| other.name != *name),
                "two label maps are called `{name}`: their images would overwrite each other"
            );
        }
        let classes = description.class_table();
        Ok(Self {
            args,
            checkpoint,
            experiment,
            classes,
            maps,
        })
    }

    fn generator<B: Backend>(&self, device: &B::Device) -> Result<Generator<B>> {
        let generator = self
            .experiment
            .generator
            .init(self.classes.len(), 0, device)?;
        let (state, origin) = tensors(&self.checkpoint, "ema")?;
        Ok(load_state_dict(generator, &state, &origin)?.for_inference())
    }

    fn latent<B: Backend>(&self, dim: usize, device: &B::Device) -> Result<Tensor<B, 2>> {
        let Some(path) = &self.args.latents else {
            // One stream per sample: sample k does not depend on how many there are.
            let draws = SeededDraws {
                seed: self.args.seed,
            };
            let rows = (0..self.args.samples as u64)
                .map(|k| latents(&draws, k, Purpose::Generate, [1, dim], device))
                .collect();
            return Ok(Tensor::cat(rows, 0));
        };
        let mut state = read_weights(path)?;
        let data: TensorData = state.remove(LATENTS).with_context(|| {
            format!(
                "{}: no tensor `{LATENTS}` of shape [K, {dim}]",
                path.display()
            )
        })?;
        let shape = data.shape.to_vec();
        ensure!(
            shape.len() == 2 && shape[0] > 0 && shape[1] == dim,
            "{}: tensor `{LATENTS}` has shape {shape:?}, the model needs [K, {dim}]",
            path.display()
        );
        Ok(Tensor::from_data(data, device))
    }

    fn write<B: Backend>(
        &self,
        generator: &mut Generator<B>,
        latent: &Tensor<B, 2>,
        device: &B::Device,
    ) -> Result<()> {
        let out = &self.args.out;
        std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        let size = self.experiment.data.size();
        let (width, height) = (size.width as u32, size.height as u32);
        let bar = progress_bar("generating", self.maps.len() as u64);
        let mut rows = Vec::new();
        for map in &self.maps {
            let name = &map.name;
            let tensors = sample_maps(map, device);
            let samples = to_rgb(generator.forward(tensors, latent.clone(), Mode::Eval))?;
            for (k, pixels) in samples.iter().enumerate() {
                let file = if samples.len() == 1 {
                    format!("{name}.png")
                } else {
                    format!("{name}_{k:02}.png")
                };
                let image = RgbImage::from_raw(width, height, pixels.clone())
                    .context("the generator made an image of another size")?;
                save(&image, &out.join(file))?;
            }
            if self.args.grid {
                let label_rgb = self.classes.colourise(&map.labels);
                rows.push(GridRow {
                    label_rgb,
                    real_rgb: None,
                    samples,
                });
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        if self.args.grid {
            save(&grid(&rows, width, height)?, &out.join("grid.png"))?;
        }
        println!(
            "{} label map(s), {} image(s) each, in {}",
            self.maps.len(),
            latent.dims()[0],
            out.display()
        );
        Ok(())
    }
}

impl Task for Job {
    type Output = Result<(), Failure>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let mut generator = self.generator::<B::InnerBackend>(device).map_err(mistake)?;
        let latent = self
            .latent(generator.latent_dim(), device)
            .map_err(mistake)?;
        self.write(&mut generator, &latent, device).map_err(failed)
    }
}

fn label_files(path: &Path) -> Result<Vec<PathBuf>> {
    let shown = path.display();
    let unreadable = || format!("cannot read label maps from {shown}");
    if !std::fs::metadata(path).with_context(unreadable)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(unreadable)? {
        let file = entry.with_context(unreadable)?.path();
        if file
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
        {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!("{shown} has no PNG file: label maps are PNG files of class ids");
    }
    files.sort();
    Ok(files)
}

/// Reads a label map, and the instance map of the same name where there are any.
fn read_map(
    path: &Path,
    instances: Option<&Path>,
    description: &Description,
    experiment: &Experiment,
) -> Result<Sample> {
    let map = read_labels(path, description)?;
    let size = experiment.data.size();
    let name = path.file_stem().context("a label map without a name")?;
    let instances = instances
        .map(|place| -> Result<Vec<u16>> {
            let file = if place.is_dir() {
                place.join(path.file_name().unwrap_or_default())
            } else {
                place.to_path_buf()
            };
            let files = Split::ALL
                .iter()
                .filter_map(|&split| description.files(split));
            let first = files.filter_map(|files| files.first_instance()).next();
            let (found, mut numbers) = read_instance_png(&file, first.unwrap_or(1))?;
            ensure!(
                found == map.size,
                "{} is {found}, but its label map {} is {}: both must have the same size",
                file.display(),
                path.display(),
                map.size
            );
            let classes = description.class_table().classes;
            for (number, &label) in numbers.iter_mut().zip(&map.labels) {
                if !classes[usize::from(label)].thing {
                    *number = 0;
                }
            }
            Ok(resize_labels(&numbers, map.size, size)?.into_owned())
        })
        .transpose()?;
    Ok(Sample {
        name: name.to_string_lossy().into_owned(),
        width: size.width,
        height: size.height,
        image: Vec::new(),
        labels: resize_labels(&map.labels, map.size, size)?.into_owned(),
        instances,
    })
}

fn save(image: &RgbImage, path: &Path) -> Result<()> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png)?;
    write_whole(path, bytes.get_ref())
}
