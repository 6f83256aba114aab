use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims_backends::Task;

use super::User;
use super::weights::processor;
use crate::checkpoint::snapshot::Snapshot;
use crate::runtime::files::write_whole;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Checkpoint folder, run folder for its newest checkpoint, or another model file.
    #[arg(long, value_name = "DIR | FILE.safetensors")]
    checkpoint: PathBuf,
    /// File to write; one that is there is replaced.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    /// Write matrices and convolutions in half precision: half the size, and pixels that differ by a
    /// level or two of 256.
    #[arg(long)]
    half: bool,
}

/// Writes a generator into one file.
pub fn run(args: ExportArgs) -> Result<()> {
    let model = Snapshot::open(&args.checkpoint).user()?;
    let half = args.half;
    let job = ExportJob {
        model: &model,
        half,
    };
    let bytes = processor()?.run(job).user()?;
    write_whole(&args.out, &bytes)?;
    println!("{}", described(&args.out, bytes.len(), &model));
    Ok(())
}

struct ExportJob<'a> {
    model: &'a Snapshot,
    half: bool,
}

impl Task for ExportJob<'_> {
    type Output = Result<Vec<u8>>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        self.model.export::<B::InnerBackend>(self.half, device)
    }
}

fn described(out: &Path, bytes: usize, model: &Snapshot) -> String {
    format!(
        "{}: {} after {} steps, images of {} pixels, {:.1} MB; make images with `dp-sims generate \
         --checkpoint {0}`",
        out.display(),
        model.name,
        model.step,
        model.size,
        bytes as f64 / 1e6
    )
}
