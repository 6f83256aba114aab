use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use dp_sims_evaluators::EvaluatorKind;
use dp_sims_model::backbones::{BackboneKind, WeightSource, build};
use dp_sims_model::known::KnownWeights;
use dp_sims_model::weights::{WeightsError, read_weights, write_safetensors};
use thiserror::Error;

use super::files::{beside, sync_name};
use super::inspect::{Nearest, fits};
use super::{FetchError, KnownNetwork, WeightsFolder, all_known_weights, known_weights};

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
    /// The name, of the file or given, is that of a network that judges images.
    #[error(
        "`{name}` is not imported: {network} judges images, and `dp-sims evaluate` reads its files \
         as they are published. `dp-sims weights fetch {ids} --from file:///...` brings one that \
         you have into the folder"
    )]
    Evaluator {
        /// The name.
        name: String,
        /// The network.
        network: &'static str,
        /// The known file, or those of the network.
        ids: String,
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
    Known(&'static KnownWeights, BackboneKind),
    Network(BackboneKind),
}

impl Target {
    /// The known file or the network of this name.
    fn named(name: &str) -> Result<Self, ImportError> {
        if let Some((network, known)) = known_weights(name) {
            return Self::known(network, known, name);
        }
        match KnownNetwork::named(name) {
            Some(KnownNetwork::Backbone(kind)) => Ok(Self::Network(kind)),
            Some(network @ KnownNetwork::Evaluator(kind)) => {
                let ids: Vec<_> = network.files().iter().map(|known| known.id).collect();
                Err(evaluator(kind, name, ids.join("|")))
            }
            None => Err(ImportError::Name {
                name: name.to_string(),
            }),
        }
    }

    /// The known file whose name this file still has.
    fn called(path: &Path) -> Result<Option<Self>, ImportError> {
        let Some(name) = path.file_name().and_then(OsStr::to_str) else {
            return Ok(None);
        };
        all_known_weights()
            .find(|(_, known)| known.file() == name || known.imported_file() == name)
            .map(|(network, known)| Self::known(network, known, name))
            .transpose()
    }

    fn known(
        network: KnownNetwork,
        known: &'static KnownWeights,
        name: &str,
    ) -> Result<Self, ImportError> {
        match network {
            KnownNetwork::Backbone(kind) => Ok(Self::Known(known, kind)),
            KnownNetwork::Evaluator(kind) => Err(evaluator(kind, name, known.id.to_string())),
        }
    }

    fn kind(self) -> BackboneKind {
        match self {
            Self::Known(_, kind) | Self::Network(kind) => kind,
        }
    }

    fn file(self) -> String {
        match self {
            Self::Known(known, _) => known.imported_file(),
            Self::Network(kind) => format!("{}.safetensors", kind.name()),
        }
    }
}

fn evaluator(kind: EvaluatorKind, name: &str, ids: String) -> ImportError {
    ImportError::Evaluator {
        name: name.to_string(),
        network: kind.name(),
        ids,
    }
}

/// Checks that a weight file fits a network and writes it as safetensors to the folder, under a
/// name that training looks for.
///
/// `name` is a known file or a network; without it, the name of the file or the tensors decide.
/// Evaluators read their files as they are published and are none of these networks.
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
        Some(name) => Some(Target::named(name)?),
        None => Target::called(file)?,
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
                    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
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
    let failed = |action, path: &Path, cause| FetchError::Io {
        action,
        path: path.to_path_buf(),
        cause,
    };
    fs::create_dir_all(folder.path()).map_err(|error| failed("create", folder.path(), error))?;
    write_safetensors(&part, &dict)?;
    fs::OpenOptions::new()
        .write(true)
        .open(&part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&part, &path))
        .map_err(|error| failed("write", &path, error))?;
    sync_name(&path)?;
    Ok(Imported {
        path,
        backbone: target.kind().name(),
        id: match target {
            Target::Known(known, _) => Some(known.id),
            Target::Network(_) => None,
        },
        tensors: dict.len(),
    })
}
