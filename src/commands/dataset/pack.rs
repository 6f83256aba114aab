use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use dp_sims_datasets::{DescribedFolder, LabelledImages, Size, Split, pack};
use indicatif::HumanBytes;

use super::SourceArgs;
use crate::commands::{User, parse_size};
use crate::data::{checked, checks_folder, packed_path, refuse_among_inputs};
use crate::runtime::progress::progress_bar;

/// Arguments of `dataset pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Height and width of the samples in pixels: `data.height` and `data.width` of the experiment.
    #[arg(long, value_parser = parse_size, value_name = "HxW")]
    size: Size,
    /// Folder to write, for `data.packed` of the experiment; a file per split.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Pack the instances too, for training with offsets.
    #[arg(long)]
    offsets: bool,
    /// Only this split; may be repeated [default: train, and validation where it is described].
    #[arg(long, value_name = "SPLIT")]
    split: Vec<Split>,
}

/// Writes the splits of a dataset at their training size, one file each.
pub fn run(args: &PackArgs) -> Result<()> {
    let (description, root) = args.source.open().user()?;
    refuse_among_inputs(&args.out, &description, Some(&root), false).user()?;
    let splits = if args.split.is_empty() {
        let described = |split: &Split| description.files(*split).is_some();
        let mut splits = vec![Split::Train];
        splits.extend([Split::Validation].into_iter().filter(described));
        splits
    } else {
        args.split.clone()
    };
    for split in splits {
        let mut folder = DescribedFolder::open(&description, &root, split).user()?;
        if args.offsets {
            folder = folder.with_instances().user()?;
        }
        let report = checked(&folder, &checks_folder()).user()?;
        let path = packed_path(&args.out, split);
        let bar = progress_bar("packing", folder.len() as u64);
        let packed = pack(&folder, &report, args.size, &path, &|done, _| {
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        let packed = packed.user()?;
        let bytes = path.metadata()?.len();
        println!(
            "{}: {} samples of {}, {}",
            path.display(),
            packed.len(),
            packed.size(),
            HumanBytes(bytes)
        );
    }
    println!("train on it with --set data.packed={}", args.out.display());
    Ok(())
}
