use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use dp_sims_model::backbones::{
    BackboneKind, KnownWeights, WeightSource, build, info, known_weights, known_weights_of,
};
use dp_sims_model::weights::{WeightsError, read_weights, write_safetensors};
use thiserror::Error;

use super::files::{beside, sync_folder};
use super::inspect::{Nearest, fits};
use super::{FetchError, WeightsFolder};

/// Why a file could not be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The name is neither a known file nor a network.
    #[error(
        "`{name}` is neither a known weight file nor a network; `dp-sims weights list` shows both"
    )]
    Name {
        /// The name that was given.
        name: String,
    },
    /// No network takes the tensors of the file.
    #[error("{file} fits no network; {nearest}")]
    NoFit {
        /// The file.
        file: PathBuf,
        /// The network with the fewest differences.
        nearest: Nearest,
    },
    /// Several networks take them.
    #[error("{file} fits {names}; say which with --as")]
    SeveralFit {
        /// The file.
        file: PathBuf,
        /// The networks.
        names: String,
    },
    /// A file of this name is there already.
    #[error("{path} is there already; move it away or name another folder with --weights")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read, is another network, or cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The result cannot be moved into place.
    #[error(transparent)]
    Folder(#[from] FetchError),
}

/// A file that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The new file.
    pub path: PathBuf,
    /// Network it fits.
    pub backbone: &'static str,
    /// Known weights it was imported as, if any.
    pub id: Option<&'static str>,
    /// Number of tensors.
    pub tensors: usize,
}

/// What a file is imported as.
#[derive(Clone, Copy)]
enum Target {
    Known(&'static KnownWeights),
    Network(BackboneKind),
}

impl Target {
    /// The known file or the network of this name.
    fn named(name: &str) -> Option<Self> {
        let network = || {
            BackboneKind::ALL
                .into_iter()
                .find(|&kind| info(kind).name == name)
        };
        known_weights(name)
            .map(Self::Known)
            .or_else(|| network().map(Self::Network))
    }

    /// The known file whose name this file still has.
    fn called(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        BackboneKind::ALL
            .into_iter()
            .flat_map(known_weights_of)
            .find(|known| known.file() == name || known.imported_file() == name)
            .map(Self::Known)
    }

    fn kind(self) -> BackboneKind {
        match self {
            Self::Known(known) => known.backbone,
            Self::Network(kind) => kind,
        }
    }

    fn file(self) -> String {
        match self {
            Self::Known(known) => known.imported_file(),
            Self::Network(kind) => format!("{}.safetensors", info(kind).name),
        }
    }
}

/// Checks that a weight file fits a network and writes it as safetensors to the folder, under a
/// name that training looks for.
///
/// `name` is a known file or a network; without it, the name of the file or the tensors decide.
///
/// # Errors
/// [`ImportError`]; nothing is written then.
pub fn import<B: Backend>(
    file: &Path,
    name: Option<&str>,
    folder: &WeightsFolder,
    device: &B::Device,
) -> Result<Imported, ImportError> {
    let named = match name {
        Some(name) => Some(Target::named(name).ok_or_else(|| ImportError::Name {
            name: name.to_string(),
        })?),
        None => Target::called(file),
    };
    let dict = read_weights(file)?;
    let target = match named {
        Some(target) => {
            let source = WeightSource::State(dict.clone(), file.display().to_string());
            build::<B>(target.kind(), source, device)?;
            target
        }
        None => {
            let fit = fits::<B>(&dict, device);
            match (fit.kinds.as_slice(), fit.nearest) {
                (&[kind], _) => Target::Network(kind),
                ([], Some(nearest)) => {
                    return Err(ImportError::NoFit {
                        file: file.to_path_buf(),
                        nearest,
                    });
                }
                (kinds, _) => {
                    let names: Vec<_> = kinds.iter().map(|&kind| info(kind).name).collect();
                    return Err(ImportError::SeveralFit {
                        file: file.to_path_buf(),
                        names: names.join(" and "),
                    });
                }
            }
        }
    };
    let path = folder.path().join(target.file());
    if path.exists() {
        return Err(ImportError::Exists { path });
    }
    let part = beside(&path, ".part");
    let failed = |action, path: &Path, source| FetchError::Io {
        action,
        path: path.to_path_buf(),
        source,
    };
    fs::create_dir_all(folder.path()).map_err(|error| failed("create", folder.path(), error))?;
    write_safetensors(&part, &dict)?;
    fs::OpenOptions::new()
        .write(true)
        .open(&part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&part, &path))
        .map_err(|error| failed("write", &path, error))?;
    sync_folder(&path)?;
    Ok(Imported {
        path,
        backbone: info(target.kind()).name,
        id: match target {
            Target::Known(known) => Some(known.id),
            Target::Network(_) => None,
        },
        tensors: dict.len(),
    })
}
