//! Writing the procedural dataset to disk.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use dp_sims_datasets::{DatasetError, Description, LabelledImages, Size};
use dp_sims_scenes::Scenes;
use dp_sims_scenes::export::{ExportConfig, ExportError, Layout, export, folder_description};

use crate::commands::{User, parse_size, up_to};
use crate::data::description;
use crate::runtime::progress::progress_bar;

/// Arguments of `dataset export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Dataset to write; `scenes`, the procedural one, is the only one.
    dataset: Source,
    /// Layout of the files: ade20k, coco-stuff, cityscapes or folder (PNGs with a dataset.toml).
    #[arg(long, value_name = "LAYOUT")]
    layout: Layout,
    /// Folder for the files, new or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Images in the training split.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = up_to(10_000_000))]
    train: usize,
    /// Images in the validation split.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = up_to(10_000_000))]
    validation: usize,
    /// Size of the images in pixels [default: 256x256, for cityscapes 256x512].
    #[arg(long, value_parser = parse_size, value_name = "HxW")]
    size: Option<Size>,
    /// Which scenes; those of seed 0 are the ones that training on `scenes` has.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
}

/// Datasets that can be written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Source {
    /// Procedural street scenes.
    Scenes,
}

/// Writes a dataset.
pub fn run(args: ExportArgs) -> Result<()> {
    let Source::Scenes = args.dataset;
    let layout = args.layout;
    let config = ExportConfig {
        layout,
        train: args.train,
        validation: args.validation,
        size: args.size.unwrap_or(layout.default_size()),
        seed: args.seed,
    };
    let description = reader(layout).user()?;
    let bar = progress_bar("writing scenes", 0);
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let written = export(&config, &description, &args.out, &progress);
    bar.finish_and_clear();
    written
        .user_unless(|error| matches!(error, ExportError::Dataset(DatasetError::Write { .. })))?;
    println!(
        "{} training and {} validation images of {} in the layout of {layout}, in {}",
        config.train,
        config.validation,
        config.size,
        args.out.display()
    );
    Ok(())
}

/// The description that reads a layout.
fn reader(layout: Layout) -> anyhow::Result<Description> {
    match layout {
        Layout::Folder => Ok(folder_description(Scenes::new(1, 0).classes())),
        _ => description(&layout.to_string()),
    }
}
