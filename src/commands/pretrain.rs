use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use burn::tensor::backend::AutodiffBackend;
use dp_sims_backends::Task;

use super::{BackendArgs, User, steps};
use crate::runtime::files::{check_place, keep};
use crate::runtime::memory::use_large_pages;
use crate::train::pretrain;

/// Arguments of `pretrain`.
#[derive(Debug, Args)]
pub struct PretrainArgs {
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
}

/// Pre-trains the scenes backbone.
pub fn run(args: PretrainArgs) -> Result<()> {
    use_large_pages();
    let selected = args.backend.select().user()?;
    keep(&args.out, args.overwrite).user()?;
    check_place(&args.out).user()?;
    selected.run(PretrainTask(args))
}

struct PretrainTask(PretrainArgs);

impl Task for PretrainTask {
    type Output = anyhow::Result<()>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        pretrain::<B>(self.0.steps, &self.0.out, device)
    }
}
