//! Timing the loader.

mod report;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use dp_sims::commands::bench::print;
use dp_sims::commands::{SourceArgs, User, count, parse_size};
use dp_sims::data::packed_split;
use dp_sims_datasets::{DescribedFolder, LabelledImages, LoaderConfig, Share, Size, Split};
use dp_sims_scenes::Scenes;

use self::report::{LoaderReport, loader, shares};

/// Scenes that are drawn when no dataset is given.
const SCENES: usize = 1000;

/// Arguments of `loader`.
#[derive(Debug, Args)]
pub struct LoaderArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Read the packed training split of this folder instead.
    #[arg(long, value_name = "DIR")]
    packed: Option<PathBuf>,
    /// Height and width of the samples in pixels.
    #[arg(long, default_value = "256x256", value_parser = parse_size, value_name = "HxW")]
    size: Size,
    /// Samples per batch.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = count(65_536))]
    batch: usize,
    /// Threads that read.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = count(1024))]
    workers: usize,
    /// Samples of a timed repetition.
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = count(100_000_000))]
    samples: usize,
    /// Timed repetitions; the median counts.
    #[arg(long, alias = "rounds", default_value_t = 7, value_name = "N", value_parser = count(1_000_000))]
    repeats: usize,
    /// Decode large JPEGs at a fraction of their size, as `data.reduced_jpeg` does.
    #[arg(long)]
    reduced_jpeg: bool,
    /// Read instances and compute their centre offsets too.
    #[arg(long)]
    offsets: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Times the reading of the training split and prints what it found.
pub fn run(args: LoaderArgs) -> Result<()> {
    let config = LoaderConfig {
        size: args.size,
        load: None,
        batch: args.batch,
        workers: args.workers,
        queue: 2 * args.workers,
        seed: 0,
        flip: true,
        balanced: false,
        offsets: args.offsets,
        share: Share::default(),
    };
    let time = |dataset: Arc<dyn LabelledImages>| {
        loader(dataset, &config, args.samples, args.repeats).user()
    };
    let report = if let Some(folder) = &args.packed {
        let packed = packed_split(folder, Split::Train).user()?;
        LoaderReport {
            packed: true,
            ..time(Arc::new(packed))?
        }
    } else if args.source.is_empty() {
        time(Arc::new(Scenes::new(SCENES, 0)))?
    } else {
        let (description, root) = args.source.open().user()?;
        let mut folder = DescribedFolder::open(&description, &root, Split::Train).user()?;
        if args.offsets {
            folder = folder.with_instances().user()?;
        }
        if args.reduced_jpeg {
            folder = folder.with_reduced_photos();
        }
        let shares = shares(&folder, &config).user()?;
        LoaderReport {
            shares: Some(shares),
            ..time(Arc::new(folder))?
        }
    };
    print(&report, args.json)
}
