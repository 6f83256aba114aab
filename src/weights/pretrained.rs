//! Loading of frozen backbones.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::backend::Backend;
use dp_sims_model::backbones::{Backbone, BackboneKind, WeightSource, build, info};
use dp_sims_model::known::{KnownWeights, known_weights_of};
use dp_sims_model::naming::same_name;
use dp_sims_model::weights::{from_safetensors_bytes, read_weights};
use sha2::{Digest, Sha256};

use super::sha256;
use crate::config::Weights;
use crate::runtime::files::hex;

/// The frozen scenes backbone, part of the program so that the default experiment needs no file.
const SCENES_BACKBONE: &[u8] =
    include_bytes!("../../model/weights/convnext_pico_scenes.safetensors");

/// Where the weights of a backbone are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackboneFile {
    /// In a file of the weights folder.
    File(PathBuf),
    /// In the program: the scenes backbone.
    Program,
    /// Nowhere: they are drawn at random.
    Random,
}

impl BackboneFile {
    /// Looks for the weights of a backbone.
    ///
    /// # Errors
    /// When no file is found; the error lists the names looked for, where, and the command that
    /// fetches it.
    pub fn find(kind: BackboneKind, weights: &Weights, folder: &Path) -> Result<Self> {
        if *weights == Weights::Random {
            return Ok(Self::Random);
        }
        let name = kind.name();
        let names = candidates(kind, weights);
        let mut paths = names.iter().map(|name| folder.join(name));
        match paths.find(|path| path.is_file()) {
            Some(path) => Ok(Self::File(path)),
            None if kind == BackboneKind::ConvnextPicoScenes => Ok(Self::Program),
            None => {
                let id = match weights {
                    Weights::Known(id) => id,
                    _ => name,
                };
                bail!(
                    "no weights of {name} in {}: looked for {}. Run `dp-sims weights fetch {id}`, \
                     name the folder that has them with --weights, or set weights = \"random\"",
                    folder.display(),
                    names.join(", ")
                )
            }
        }
    }

    /// What identifies the weights: the file's name and its SHA-256.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn hash(&self) -> Result<Option<(String, String)>> {
        Ok(match self {
            Self::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                Some((name.to_string_lossy().into_owned(), sha256(path)?))
            }
            Self::Program => {
                let digits = hex(&Sha256::digest(SCENES_BACKBONE));
                Some(("convnext_pico_scenes.safetensors".to_string(), digits))
            }
            Self::Random => None,
        })
    }
}

/// Loads a frozen network: from the program itself, from the weights folder by one of the file
/// names that [`candidates`] lists, or at random.
///
/// # Errors
/// Those of [`BackboneFile::find`], or when a file does not fit.
pub fn load_backbone<B: Backend>(
    kind: BackboneKind,
    weights: &Weights,
    folder: &Path,
    seed: u64,
    device: &B::Device,
) -> Result<Backbone<B>> {
    let source = match BackboneFile::find(kind, weights, folder)? {
        BackboneFile::File(path) => {
            WeightSource::State(read_weights(&path)?, path.display().to_string())
        }
        BackboneFile::Program => {
            let origin = "the scenes backbone inside the program";
            let state = from_safetensors_bytes(SCENES_BACKBONE, origin)?;
            WeightSource::State(state, origin.to_string())
        }
        BackboneFile::Random => WeightSource::Random { seed },
    };
    match &source {
        WeightSource::State(_, origin) => tracing::debug!("{}: {origin}", kind.name()),
        WeightSource::Random { seed } => {
            tracing::debug!("{}: random, seed {seed}", kind.name())
        }
    }
    build(kind, source, device).with_context(|| format!("cannot load {}", kind.name()))
}

/// Names that the weights of a network may have in the weights folder, in the order they are looked
/// for: a known file as published or converted, or [`pretrained_names`].
fn candidates(kind: BackboneKind, weights: &Weights) -> Vec<String> {
    let Weights::Known(id) = weights else {
        return pretrained_names(kind);
    };
    let known = known_weights_of(kind).find(|known| same_name(known.id, id));
    known.map_or(vec![], KnownWeights::names_for_backbone)
}

/// Names of the files that `weights = "pretrained"` stands for, in the order they are looked for:
/// what was imported for the network, its published files, its preferred file converted.
pub(crate) fn pretrained_names(kind: BackboneKind) -> Vec<String> {
    let mut names = vec![format!("{}.safetensors", kind.name())];
    let published = info(kind).files.iter().map(|file| file.to_string());
    let converted = known_weights_of(kind).next();
    for name in published.chain(converted.map(KnownWeights::imported_file)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Folder in which weight files are looked up by default: `dp-sims/weights` in the user's cache.
pub fn default_weights_folder() -> PathBuf {
    dirs::cache_dir()
        .unwrap_or_else(|| PathBuf::from("."))
        .join("dp-sims")
        .join("weights")
}
