//! Finding, hashing and loading the networks of an evaluation.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::backend::Backend;
use dp_sims_model::backbones::{Backbone, BackboneKind, WeightSource};
use dp_sims_model::evaluators::{
    FidInception, INCEPTION_FILE, Lpips, LpipsTrunk, Mask2Former, Mask2FormerKind, PublishedFile,
    Segmenter, SegmenterKind,
};
use dp_sims_model::weights::read_weights;

use super::metric::dashed;
use super::results::NetworkRecord;
use crate::config::Weights;
use crate::train::{BackboneFile, load_backbone};
use crate::weights::sha256;

/// A loaded network and what it was loaded from.
pub struct Weighted<N> {
    /// The network.
    pub network: N,
    /// Its name and weight files.
    pub record: NetworkRecord,
}

/// The folder of weight files.
pub struct NetworkFolder {
    path: PathBuf,
}

impl NetworkFolder {
    /// The folder at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The Inception network of FID.
    ///
    /// # Errors
    /// When its file is missing, is another one than the published, or does not fit.
    pub fn inception<B: Backend>(&self, device: &B::Device) -> Result<Weighted<FidInception<B>>> {
        let (path, file) = self.published(&INCEPTION_FILE)?;
        let network = FidInception::load(state(&path)?, device)
            .with_context(|| format!("cannot load {}", path.display()))?;
        Ok(Weighted {
            network,
            record: record("fid-inception", [file]),
        })
    }

    /// LPIPS, and whether its trunk is the published one. With another VGG-16 that the folder holds,
    /// distances are not LPIPS.
    ///
    /// # Errors
    /// When there is no file of the trunk, or it does not fit.
    pub fn lpips<B: Backend>(
        &self,
        trunk: LpipsTrunk,
        device: &B::Device,
    ) -> Result<(Weighted<Lpips<B>>, bool)> {
        let published = trunk.file();
        let other = match trunk {
            LpipsTrunk::Vgg => {
                BackboneFile::find(BackboneKind::Vgg16, &Weights::Pretrained, &self.path).ok()
            }
            LpipsTrunk::AlexNet => None,
        };
        let other = other.filter(|_| !self.path.join(published.name).is_file());
        let (path, file, is_published) = match other {
            Some(BackboneFile::File(path)) => {
                let file = hashed(&path)?;
                let is_published = published.check(&file.1, "").is_ok();
                (path, file, is_published)
            }
            _ => {
                let (path, file) = self.published(&published)?;
                (path, file, true)
            }
        };
        let network = Lpips::load(trunk, state(&path)?, trunk.heads()?, device)
            .with_context(|| format!("cannot load {}", path.display()))?;
        let name = if is_published {
            "lpips 0.1"
        } else {
            "lpips 0.1 on another trunk"
        };
        let weighted = Weighted {
            network,
            record: record(name, [file]),
        };
        Ok((weighted, is_published))
    }

    /// A published segmentation network.
    ///
    /// # Errors
    /// When one of its files is missing or does not fit.
    pub fn segmenter<B: Backend>(
        &self,
        kind: SegmenterKind,
        device: &B::Device,
    ) -> Result<Weighted<Segmenter<B>>> {
        let info = kind.info();
        let mut files = Vec::new();
        let mut states = Vec::new();
        for name in info.files {
            let path = self.find(info.name, &[name])?;
            files.push(hashed(&path)?);
            states.push((read_weights(&path)?, path.display().to_string()));
        }
        let network = Segmenter::load(kind, states, device)
            .with_context(|| format!("cannot load {}", info.name))?;
        Ok(Weighted {
            network,
            record: record(info.name, files),
        })
    }

    /// A published Mask2Former. The folder holds the files of its repository under the repository's
    /// name, or its `model.safetensors` as `REPOSITORY.safetensors`.
    ///
    /// # Errors
    /// When its file is missing or does not fit.
    pub fn mask2former<B: Backend>(
        &self,
        kind: Mask2FormerKind,
        device: &B::Device,
    ) -> Result<Weighted<Mask2Former<B>>> {
        let info = kind.info();
        let name = info
            .repository
            .rsplit('/')
            .next()
            .unwrap_or(info.repository);
        let names = [
            format!("{name}.safetensors"),
            format!("{name}/model.safetensors"),
            format!("{name}/pytorch_model.bin"),
        ];
        let path = self.find(info.repository, &names.each_ref().map(String::as_str))?;
        let file = hashed(&path)?;
        let network = kind
            .config()
            .load(state(&path)?, device)
            .with_context(|| format!("cannot load {}", path.display()))?;
        Ok(Weighted {
            network,
            record: record(info.name, [file]),
        })
    }

    /// A file that must be the published one, with its name and hash.
    fn published(&self, file: &PublishedFile) -> Result<(PathBuf, (String, String))> {
        let path = self.find(file.source, &[file.name])?;
        let hashed = hashed(&path)?;
        file.check(&hashed.1, &path.display().to_string())?;
        Ok((path, hashed))
    }

    /// A backbone with its pre-trained weights.
    ///
    /// # Errors
    /// When its file is missing or does not fit.
    pub fn backbone<B: Backend>(
        &self,
        kind: BackboneKind,
        device: &B::Device,
    ) -> Result<Weighted<Backbone<B>>> {
        let network = load_backbone(kind, &Weights::Pretrained, &self.path, 0, device)?;
        let file = BackboneFile::find(kind, &Weights::Pretrained, &self.path)?.hash()?;
        Ok(Weighted {
            network,
            record: record(dashed(kind), file),
        })
    }

    /// The first of `names` that the folder holds.
    ///
    /// # Errors
    /// Names what was looked for and where.
    pub fn find(&self, what: &str, names: &[&str]) -> Result<PathBuf> {
        let mut paths = names.iter().map(|name| self.path.join(name));
        match paths.find(|path| path.is_file()) {
            Some(path) => Ok(path),
            None => bail!(
                "no weights of {what} in {}: looked for {}. Name the folder that has them with \
                 --weights",
                self.path.display(),
                names.join(", ")
            ),
        }
    }
}

/// A weight file as the source of a network.
pub(super) fn state(path: &Path) -> Result<WeightSource> {
    Ok(WeightSource::State(
        read_weights(path)?,
        path.display().to_string(),
    ))
}

/// A network with the names and hashes of its files.
pub(super) fn record(
    name: impl Into<String>,
    files: impl IntoIterator<Item = (String, String)>,
) -> NetworkRecord {
    NetworkRecord {
        name: name.into(),
        files: files.into_iter().collect(),
    }
}

/// Name and SHA-256 of a file.
pub(super) fn hashed(path: &Path) -> Result<(String, String)> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok((name.to_string_lossy().into_owned(), sha256(path)?))
}
