mod reporter;

use std::path::{Path, PathBuf};

use burn::tensor::backend::AutodiffBackend;
use clap::{Args, Subcommand};
use dp_sims_backends::{BackendChoice, BackendKind, Selected, Task, select};
use dp_sims_model::backbones::{
    BackboneKind, FileSize, Hash, KnownWeights, info, known_weights, known_weights_of,
};
use indicatif::HumanBytes;
use serde::Serialize;

use self::reporter::Reporter;
use super::{Failure, failed, mistake};
use crate::train::default_weights_folder;
use crate::weights::{
    Check, FileState, ImportError, Imported, Inspection, Outcome, Patience, WeightsFolder, import,
    inspect,
};

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
    /// Download a known weight file, or check the one that is there.
    Fetch {
        /// Known file, or a network for its preferred file.
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
        WeightsCommand::List { json, folder } => list(&folder.open(), json),
        WeightsCommand::Fetch { name, from, folder } => {
            fetch(&name, from.as_deref(), &folder.open())
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

/// The known files as `list --json` prints them.
#[derive(Serialize)]
struct Catalogue<'a> {
    folder: &'a Path,
    files: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: &'static str,
    backbone: &'static str,
    address: String,
    licence: &'static str,
    bytes: u64,
    /// Whether `bytes` is the length of the file and not an estimate.
    exact: bool,
    hash: String,
    note: &'static str,
    #[serde(flatten)]
    state: FileState,
}

impl Entry {
    fn of(known: &KnownWeights, folder: &WeightsFolder) -> Self {
        let (bytes, exact) = match known.size {
            FileSize::Bytes(bytes) => (bytes, true),
            FileSize::About(bytes) => (bytes, false),
        };
        Self {
            id: known.id,
            backbone: info(known.backbone).name,
            address: known.address(),
            licence: known.licence,
            bytes,
            exact,
            hash: match known.hash {
                Hash::Sha256(hash) => format!("sha256 {hash}"),
                Hash::Prefix(digits) => format!("sha256 {digits}..."),
                Hash::Announced => "sha256 announced by the server".to_string(),
                Hash::Unpublished => "none published".to_string(),
            },
            note: known.note,
            state: folder.state(known),
        }
    }

    fn size(&self) -> String {
        let about = if self.exact { "" } else { "about " };
        format!("{about}{} MB", (self.bytes as f64 / 1e6).round())
    }

    fn state(&self) -> String {
        match &self.state {
            FileState::Absent => "not there".to_string(),
            FileState::Unfinished { bytes } => format!("unfinished, {}", HumanBytes(*bytes)),
            FileState::Present { file, check, .. } => match check {
                Some(Check::Unverified) => format!("there, without a hash to check: {file}"),
                Some(_) => format!("there, hash checked when fetched: {file}"),
                None => format!("there, hash not checked: {file}"),
            },
        }
    }
}

fn list(folder: &WeightsFolder, json: bool) -> Result<(), Failure> {
    let entries = BackboneKind::ALL
        .into_iter()
        .flat_map(known_weights_of)
        .map(|known| Entry::of(known, folder));
    let catalogue = Catalogue {
        folder: folder.path(),
        files: entries.collect(),
    };
    if json {
        return print_json(&catalogue);
    }
    println!("weights in {}", catalogue.folder.display());
    let mut backbone = "";
    for entry in &catalogue.files {
        if entry.backbone != backbone {
            backbone = entry.backbone;
            println!("\n{backbone}");
        }
        println!("  {}", entry.id);
        println!("    {}", entry.note);
        let (size, licence, hash) = (entry.size(), entry.licence, &entry.hash);
        println!("    {size}, {licence}, {hash}");
        println!("    {}", entry.state());
    }
    Ok(())
}

fn fetch(name: &str, from: Option<&str>, folder: &WeightsFolder) -> Result<(), Failure> {
    let known = resolve(name).map_err(mistake)?;
    let path = folder.path().join(known.file());
    eprintln!("{}: {}, {}", known.id, known.note, known.licence);
    let mut reporter = Reporter::new();
    let outcome = folder.fetch(known, from, Patience::default(), &mut |progress| {
        reporter.show(progress);
    });
    reporter.finish();
    let outcome = outcome.map_err(|error| match error.is_mistake() {
        true => mistake(error),
        false => failed(error),
    })?;
    let (what, sha256, check) = match outcome {
        Outcome::Present { sha256, check } => ("is there already", sha256, check),
        Outcome::Fetched(fetched) => ("is complete", fetched.sha256, fetched.check),
    };
    println!("{} {what}", path.display());
    println!("sha256 {sha256}");
    println!("{}", explained(check));
    Ok(())
}

/// The known file of this name, or the preferred file of the network of this name.
fn resolve(name: &str) -> anyhow::Result<&'static KnownWeights> {
    let preferred = || {
        BackboneKind::ALL
            .into_iter()
            .find(|&kind| info(kind).name == name)
            .and_then(|kind| known_weights_of(kind).next())
    };
    known_weights(name).or_else(preferred).ok_or_else(|| {
        let networks = BackboneKind::ALL
            .into_iter()
            .filter(|&kind| known_weights_of(kind).next().is_some())
            .map(|kind| info(kind).name)
            .collect::<Vec<_>>();
        anyhow::anyhow!(
            "no weight file of `{name}` is published; networks that have one: {}. `dp-sims weights \
             list` shows every file",
            networks.join(", ")
        )
    })
}

fn explained(check: Check) -> &'static str {
    match check {
        Check::Sha256 => "checked: the whole SHA-256 is the known one",
        Check::Prefix => {
            "checked: the SHA-256 begins with the eight digits that the publisher put into the \
             file name"
        }
        Check::Announced => "checked: the SHA-256 is the one that the server announced",
        Check::Unverified => {
            "not verified: no SHA-256 is published or announced for this file; compare the one \
             above with a source that you trust"
        }
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(value).map_err(failed)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_files_or_networks() {
        assert_eq!(resolve("vgg19").unwrap().id, "vgg19.tv_in1k");
        let best = "convnext_large.fb_in22k_ft_in1k_384";
        assert_eq!(resolve("convnext_large").unwrap().id, best);
        assert_eq!(resolve(best).unwrap().id, best);
        for unknown in ["convnext_pico_scenes", "vgg", ""] {
            let error = resolve(unknown).unwrap_err().to_string();
            assert!(error.contains("convnext_large, "), "{error}");
        }
    }

    #[test]
    fn an_entry_says_what_is_known() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = WeightsFolder::new(temporary.path().to_path_buf());
        let vgg = Entry::of(known_weights("vgg19.tv_in1k").unwrap(), &folder);
        assert_eq!(
            (vgg.size(), vgg.state()),
            ("575 MB".into(), "not there".into())
        );
        let timm = Entry::of(known_weights("convnext_tiny.fb_in1k").unwrap(), &folder);
        assert_eq!(timm.size(), "about 114 MB");
        let json = serde_json::to_value(&timm).unwrap();
        assert_eq!(json["state"], "absent");
        assert_eq!(json["exact"], false);
    }
}
