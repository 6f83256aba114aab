//! Looking at samples.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use dp_sims_dataset_tools::view::{Shown, fitted, view};
use dp_sims_datasets::{DescribedFolder, LabelledImages, Size, Split};
use image::RgbImage;
use rayon::prelude::*;

use super::SourceArgs;
use crate::commands::{User, parse_size};
use crate::data::{refuse_among_inputs, scenes};
use crate::runtime::pictures::save;
use crate::runtime::progress::progress_bar;

/// Size at which procedural scenes are drawn where none is asked for.
const SCENES_SIZE: Size = Size {
    height: 256,
    width: 384,
};

/// Longest side that can be asked for, in pixels.
const MAX_SIDE: usize = 1024;

/// Arguments of `dataset view`.
#[derive(Debug, Args)]
pub struct ViewArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Split to show: train, validation or test.
    #[arg(long, default_value = "train", value_name = "SPLIT")]
    split: Split,
    /// Images to show, 1 to 100.
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    images: u16,
    /// Number of the first image, counted from 0.
    #[arg(long, default_value_t = 0, value_name = "I")]
    first: usize,
    /// Size of the images in pixels, as training would see them, each side up to 1024 [default: as
    /// they are, reduced or enlarged to tiles of 256x384].
    #[arg(long, value_parser = parse_size, value_name = "HxW")]
    size: Option<Size>,
    /// Picture to write.
    #[arg(long, value_name = "FILE.png")]
    out: PathBuf,
}

/// Draws the picture.
pub fn run(args: ViewArgs) -> Result<()> {
    let picture = draw(&args).user()?;
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot write {}", args.out.display()))?;
    }
    save(&picture, &args.out)?;
    println!(
        "wrote {} ({}x{} pixels)",
        args.out.display(),
        picture.width(),
        picture.height()
    );
    Ok(())
}

fn draw(args: &ViewArgs) -> Result<RgbImage> {
    let png = args.out.extension();
    ensure!(
        png.is_some_and(|ending| ending.eq_ignore_ascii_case("png")),
        "--out {}: the picture is a PNG, name it FILE.png",
        args.out.display()
    );
    if let Some(size) = args.size {
        ensure!(
            (1..=MAX_SIDE).contains(&size.height) && (1..=MAX_SIDE).contains(&size.width),
            "--size {}x{}: give sides of 1 to {MAX_SIDE} pixels",
            size.height,
            size.width
        );
    }
    let procedural = match args.source.dataset.as_deref() {
        Some(name) => name == "scenes",
        None => args.source.data.is_none(),
    };
    if procedural {
        let scenes = scenes(args.split).with_context(|| {
            format!(
                "`scenes` has no {} split: use train or validation",
                args.split
            )
        })?;
        return picture(args, &scenes, |index| {
            let sample = scenes.sample(index, args.size.unwrap_or(SCENES_SIZE))?;
            let caption = format!("{index}  {}", sample.name);
            Ok(Shown { caption, sample })
        });
    }
    let (description, root) = args.source.open()?;
    refuse_among_inputs(&args.out, &description, Some(&root), true)?;
    let mut dataset = DescribedFolder::open(&description, &root, args.split)?;
    let files = description.files(args.split);
    if files.is_some_and(|files| files.instances().is_some()) {
        // Datasets are often unpacked without their annotation files, and most is there to see.
        match dataset.clone().with_instances() {
            Ok(with) => dataset = with,
            Err(error) => tracing::info!("note: no column of offsets: {error}"),
        }
    }
    picture(args, &dataset, |index| {
        let native = dataset.label_map(index)?.size;
        let sample = dataset.sample(index, args.size.unwrap_or(fitted(native)))?;
        let caption = format!(
            "{index}  {}  {}x{}",
            sample.name, native.height, native.width
        );
        Ok(Shown { caption, sample })
    })
}

/// Draws the images of a dataset that were asked for.
fn picture(
    args: &ViewArgs,
    dataset: &dyn LabelledImages,
    image: impl Fn(usize) -> Result<Shown> + Sync,
) -> Result<RgbImage> {
    let len = dataset.len();
    ensure!(
        args.first < len,
        "--first {}: the {} split has {len} images, counted from 0",
        args.first,
        args.split
    );
    let end = args.first.saturating_add(args.images.into()).min(len);
    let bar = progress_bar("drawing", (end - args.first) as u64);
    let images: Result<Vec<Shown>> = (args.first..end)
        .into_par_iter()
        .map(|index| image(index).inspect(|_| bar.inc(1)))
        .collect();
    bar.finish_and_clear();
    let title = format!("{}, {}", dataset.name(), args.split);
    let last = end - 1;
    let mut subtitle = match last == args.first {
        true => format!("image {last} of {len}"),
        false => format!("images {} to {last} of {len}", args.first),
    };
    if let Some(size) = args.size {
        subtitle += &format!(" at {size}");
    }
    Ok(view(&title, &subtitle, dataset.classes(), &images?)?)
}
