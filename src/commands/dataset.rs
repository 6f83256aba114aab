//! Looking at datasets, checking them and making them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;

/// Arguments of `dataset`.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Debug, Subcommand)]
enum DatasetCommand {}

/// Which described dataset is meant.
#[derive(Debug, Args)]
struct SourceArgs {
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
    /// The description and the root folder.
    fn open(&self) -> anyhow::Result<(dp_sims_datasets::Description, PathBuf)> {
        crate::data::source(self.dataset.as_deref(), self.data.as_deref())
    }
}

/// Looks at, checks or makes a dataset.
pub fn run(args: DatasetArgs) -> Result<(), Failure> {
    match args.command {}
}
