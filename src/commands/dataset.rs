//! Looking at datasets, checking them and making them.

mod pack;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use dp_sims_datasets::Description;

use super::Failure;
use crate::data::source;

/// Arguments of `dataset`.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Debug, Subcommand)]
enum DatasetCommand {
    /// Write every sample at its training size into one file per split, for fast loading.
    Pack(pack::PackArgs),
}

/// Which described dataset is meant.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Built-in dataset (camvid, ade20k, coco-stuff, coco-stuff-spade, cityscapes) or path of a
    /// description [default: `dataset.toml` in the data folder, or the built-in dataset whose
    /// layout the folder has].
    #[arg(value_name = "DATASET.toml | NAME")]
    dataset: Option<String>,
    /// Root folder of the dataset [default: the folder of the description].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl SourceArgs {
    /// Whether neither was given.
    pub(super) fn is_empty(&self) -> bool {
        self.dataset.is_none() && self.data.is_none()
    }

    /// The description and the root folder.
    pub(super) fn open(&self) -> Result<(Description, PathBuf)> {
        source(self.dataset.as_deref(), self.data.as_deref())
    }
}

/// Looks at, checks or makes a dataset.
pub fn run(args: DatasetArgs) -> Result<(), Failure> {
    match args.command {
        DatasetCommand::Pack(args) => pack::run(&args),
    }
}
