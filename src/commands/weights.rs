mod fetch;
mod list;
mod reporter;

use std::path::{Path, PathBuf};

use burn::tensor::backend::AutodiffBackend;
use clap::{Args, Subcommand};
use dp_sims_backends::{BackendChoice, BackendKind, Selected, Task, select};
use serde::Serialize;

use super::{Failure, failed, mistake};
use crate::train::default_weights_folder;
use crate::weights::{ImportError, Imported, Inspection, WeightsFolder, import, inspect};

/// Arguments of `weights`.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    #[command(subcommand)]
    command: WeightsCommand,
}

#[derive(Debug, Subcommand)]
enum WeightsCommand {
    /// Show the known weight files and which of them are there.
    List {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Download known weight files, or check those that are there.
    Fetch {
        /// Known file, or a network for its preferred file; all files of one that judges images.
        #[arg(value_name = "ID|NETWORK")]
        name: String,
        /// Another address: https://, http:// or file:///.
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Check that a weight file fits a network and put it into the folder as safetensors.
    Import {
        /// The file: safetensors or a PyTorch checkpoint.
        file: PathBuf,
        /// Known file or network that it is; otherwise its name or its tensors decide.
        #[arg(long = "as", value_name = "ID|NETWORK")]
        name: Option<String>,
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Show the tensors of a weight file and which networks it fits.
    Inspect {
        /// The file: safetensors or a PyTorch checkpoint.
        file: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct FolderArgs {
    /// Folder of pre-trained weight files [default: dp-sims/weights in the user's cache].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
}

impl FolderArgs {
    fn open(self) -> WeightsFolder {
        WeightsFolder::new(self.weights.unwrap_or_else(default_weights_folder))
    }
}

/// Lists, downloads, converts or describes weight files.
pub fn run(args: WeightsArgs) -> Result<(), Failure> {
    match args.command {
        WeightsCommand::List { json, folder } => list::run(&folder.open(), json),
        WeightsCommand::Fetch { name, from, folder } => {
            fetch::run(&name, from.as_deref(), &folder.open())
        }
        WeightsCommand::Import { file, name, folder } => {
            let job = ImportJob {
                file: &file,
                name: name.as_deref(),
                folder: &folder.open(),
            };
            let imported = processor()?.run(job).map_err(|error| match error {
                ImportError::Folder(_) => failed(error),
                _ => mistake(error),
            })?;
            println!("{}", described(&imported));
            Ok(())
        }
        WeightsCommand::Inspect { file, json } => {
            let inspection = processor()?.run(InspectJob(&file)).map_err(mistake)?;
            if json {
                print_json(&inspection)
            } else {
                print!("{inspection}");
                Ok(())
            }
        }
    }
}

/// Networks are only compared, for which a processor is as good as anything else.
fn processor() -> Result<Selected, Failure> {
    select(BackendChoice::Named(BackendKind::Flex), 0)
        .or_else(|_| select(BackendChoice::Auto, 0))
        .map_err(mistake)
}

struct ImportJob<'a> {
    file: &'a Path,
    name: Option<&'a str>,
    folder: &'a WeightsFolder,
}

impl Task for ImportJob<'_> {
    type Output = Result<Imported, ImportError>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        import::<B::InnerBackend>(self.file, self.name, self.folder, device)
    }
}

struct InspectJob<'a>(&'a Path);

impl Task for InspectJob<'_> {
    type Output = Result<Inspection, dp_sims_model::weights::WeightsError>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        inspect::<B::InnerBackend>(self.0, device)
    }
}

fn described(imported: &Imported) -> String {
    let Imported {
        path,
        backbone,
        id,
        tensors,
    } = imported;
    let key = id.unwrap_or("pretrained");
    format!(
        "{} fits {backbone}: wrote {tensors} float tensors in f32; experiments name it \
         network = \"{backbone}\", weights = \"{key}\"",
        path.display()
    )
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(value).map_err(failed)?);
    Ok(())
}
