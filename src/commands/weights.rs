mod fetch;
mod list;
mod reporter;

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use clap::{Args, Subcommand};
use dp_sims_backends::{BackendChoice, BackendKind, Selected, Task, select};
use dp_sims_model::weights::WeightsError;
use serde::Serialize;

use super::User;
use crate::checkpoint::snapshot::{BUILT_IN, ModelFile, Record, Snapshot};
use crate::weights::default_weights_folder;
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
    /// Show the tensors of a weight file and which networks it fits, and what a model file says of
    /// itself.
    Inspect {
        /// The file: safetensors or a PyTorch checkpoint; or the name of the model inside the program.
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
pub fn run(args: WeightsArgs) -> Result<()> {
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
            let imported = processor()?
                .run(job)
                .user_unless(|error| matches!(error, ImportError::Folder(_)))?;
            println!("{}", described(&imported));
            Ok(())
        }
        WeightsCommand::Inspect { file, json } => {
            if file == Path::new(BUILT_IN) && !file.exists() {
                let model = Snapshot::built_in().user()?;
                let record = model.record().user()?;
                return match json {
                    true => print_json(&record),
                    false => print_card(&record),
                };
            }
            let described = processor()?.run(InspectJob(&file)).user()?;
            if json {
                return print_json(&described);
            }
            print!("{}", described.inspection);
            described.model.map_or(Ok(()), |record| {
                println!();
                print_card(&record)
            })
        }
    }
}

/// Networks are only compared, for which a processor is as good as anything else.
pub(super) fn processor() -> Result<Selected> {
    select(BackendChoice::Named(BackendKind::Flex), 0)
        .or_else(|_| select(BackendChoice::Auto, 0))
        .user()
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
    type Output = Result<Described, WeightsError>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let mut inspection = inspect::<B::InnerBackend>(self.0, device)?;
        // Any other weight file is no model, and says nothing of itself.
        let Ok(model) = ModelFile::read(self.0) else {
            return Ok(Described {
                inspection,
                model: None,
            });
        };
        inspection.nearest = None;
        match model.generator::<B::InnerBackend>(device) {
            Ok(_) => inspection.fits = vec!["the generator it describes"],
            Err(error) => inspection.not_finite = Some(error.to_string()),
        }
        Ok(Described {
            inspection,
            model: Some(model.record().clone()),
        })
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

/// A weight file with what a model file says of itself.
#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    inspection: Inspection,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Record>,
}

fn print_card(record: &Record) -> Result<()> {
    print!("{}", record.card().user()?);
    Ok(())
}

fn print_json(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
