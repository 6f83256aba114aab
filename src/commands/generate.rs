//! Making images from label maps.

mod outputs;
mod stream;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use clap::Args;
use dp_sims_backends::Task;
use dp_sims_datasets::ClassTable;
use dp_sims_model::generator::Generator;
use dp_sims_model::layers::Mode;
use dp_sims_model::weights::read_weights;

use self::outputs::Outputs;
use self::stream::stream;
use super::device::run_on;
use super::maps::Maps;
use super::{BackendArgs, TrustArgs, User, count};
use crate::checkpoint::snapshot::Snapshot;
use crate::runtime::batch::{label_maps, to_rgb};
use crate::runtime::memory::use_large_pages;
use crate::runtime::noise::{Purpose, SeededDraws, latents};
use crate::runtime::pictures::save;
use crate::runtime::pictures::{GridRow, grid};

/// Name of the tensor in a file of latents.
const LATENTS: &str = "latents";

/// Images from which on large pages pay, wherever the program runs.
const MANY: usize = 4;

/// Most rows of grid.png, which is kept in memory.
const GRID_ROWS: usize = 32;

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Checkpoint folder, run folder for its newest checkpoint, or model file of `dp-sims export`
    /// [default: the model inside the program].
    #[arg(long, value_name = "DIR | FILE.safetensors | NAME")]
    checkpoint: Option<PathBuf>,
    /// Label map (PNG) or folder of label maps with its sub-folders, as the model was trained on: with
    /// the ids or colours, and of several PNGs those with the end of the names, of its dataset.
    #[arg(long, value_name = "FILE | DIR")]
    labels: PathBuf,
    /// Instance map (PNG of up to 16 bits) or folder of instance maps named as those of the dataset or as
    /// the label maps, for a model trained with offsets. Without it no pixel belongs to an object.
    #[arg(long, value_name = "FILE | DIR")]
    instances: Option<PathBuf>,
    /// Folder for the images; none of them is written over what is read.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Images per label map.
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = count(1_000_000))]
    samples: usize,
    /// Seed of the noise. Sample k of every label map has the same noise.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Latents to use instead: a safetensors file with a float tensor `latents` of shape
    /// [K, latent_dim].
    #[arg(long, value_name = "FILE.safetensors", conflicts_with_all = ["seed", "samples"])]
    latents: Option<PathBuf>,
    /// Also write grid.png (grid-2.png where a label map is called grid): a row for each of the first 32 label maps, label map first, then the
    /// samples.
    #[arg(long)]
    grid: bool,
    #[command(flatten)]
    backend: BackendArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Makes images.
pub fn run(args: GenerateArgs) -> Result<()> {
    let selected = args.backend.select().user()?;
    let job = Job::open(args).user()?;
    job.args.trust.check(selected, None)?;
    run_on(selected, job, "lower --samples")
}

struct Job {
    args: GenerateArgs,
    model: Snapshot,
    classes: ClassTable,
    maps: Maps,
}

impl Job {
    /// Reads the model's configuration and every label map once, so that a wrong file is found
    /// before anything is computed.
    fn open(args: GenerateArgs) -> Result<Self> {
        ensure!(args.samples > 0, "--samples must be at least 1");
        let model = match &args.checkpoint {
            Some(place) => Snapshot::open(place)?,
            None => Snapshot::built_in()?,
        };
        let offsets = model.generator.offsets;
        ensure!(
            args.instances.is_none() || offsets,
            "--instances: the model was trained without offsets and cannot use them"
        );
        if offsets && args.instances.is_none() {
            tracing::info!("no --instances: every pixel counts as outside of objects");
        }
        let description = model.description.clone();
        let classes = description.class_table();
        let instances = args.instances.as_deref();
        let out = Some(args.out.as_path());
        let maps = Maps::open(&args.labels, instances, description, model.size, out)?.checked()?;
        if args.grid && maps.len() > GRID_ROWS {
            let count = maps.len();
            tracing::info!("grid.png shows the first {GRID_ROWS} of {count} label maps");
        }
        if maps.len() * args.samples >= MANY {
            use_large_pages();
        }
        Ok(Self {
            args,
            model,
            classes,
            maps,
        })
    }

    /// Where `count` images of every label map go.
    fn outputs(&self, count: usize) -> Outputs<'_> {
        Outputs {
            out: &self.args.out,
            maps: &self.maps,
            count,
        }
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
        let (out, outputs) = (&self.args.out, self.outputs(latent.dims()[0]));
        outputs.make_folders()?;
        let mut rows = Vec::new();
        stream(&self.maps, out, |map| {
            let shape = [1, map.height, map.width];
            let tensors = label_maps(&map.labels, map.offsets(), shape, device);
            let samples = to_rgb(generator.forward(tensors, latent.clone(), Mode::Eval))?;
            if self.args.grid && rows.len() < GRID_ROWS {
                rows.push(GridRow {
                    label_rgb: self.classes.colourise(&map.labels),
                    real_rgb: None,
                    samples: samples.clone(),
                });
            }
            Ok(samples)
        })?;
        if self.args.grid {
            let size = self.model.size;
            let picture = grid(&rows, size.width as u32, size.height as u32)?;
            save(&picture, &out.join(outputs.grid()))?;
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
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let mut generator = self.model.load::<B::InnerBackend>(device).user()?;
        let latent = self.latent(generator.latent_dim(), device).user()?;
        self.outputs(latent.dims()[0])
            .refuse_inputs(self.args.grid, &self.model)
            .user()?;
        self.write(&mut generator, &latent, device)
    }
}
