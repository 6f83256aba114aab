//! Looking at datasets, checking them and making them.

mod check;
mod export;
mod init;
mod pack;
mod view;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use dp_sims_datasets::Description;

use crate::data::{schema, source};

/// Arguments of `dataset`.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Debug, Subcommand)]
enum DatasetCommand {
    /// Look at a folder of photos and label maps and write a first description of it.
    Init(init::InitArgs),
    /// Find all faults of a dataset, count its classes and write a report.
    Check(check::CheckArgs),
    /// Draw photos, label maps, boundaries and offsets side by side.
    View(view::ViewArgs),
    /// Write every sample at its training size into one file per split, for fast loading.
    Pack(pack::PackArgs),
    /// Write the procedural dataset to disk in the layout of ADE20K, COCO-Stuff or Cityscapes, or
    /// as a described folder.
    Export(export::ExportArgs),
    /// Print the JSON schema of dataset descriptions, by which editors complete and check them.
    Schema,
}

/// Which described dataset is meant.
#[derive(Debug, Args)]
pub struct SourceArgs {
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
    pub fn is_empty(&self) -> bool {
        self.dataset.is_none() && self.data.is_none()
    }

    /// The description and the root folder.
    ///
    /// # Errors
    /// When there is no such dataset.
    pub fn open(&self) -> Result<(Description, PathBuf)> {
        source(self.dataset.as_deref(), self.data.as_deref())
    }
}

/// Looks at, checks or makes a dataset.
pub fn run(args: DatasetArgs) -> Result<()> {
    match args.command {
        DatasetCommand::Pack(args) => pack::run(&args),
        DatasetCommand::Export(args) => export::run(args),
        DatasetCommand::Init(args) => init::run(args),
        DatasetCommand::View(args) => view::run(args),
        DatasetCommand::Check(args) => check::run(args),
        DatasetCommand::Schema => {
            println!("{:#}", schema());
            Ok(())
        }
    }
}
