//! Finding, hashing and loading the networks of an evaluation.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::backend::Backend;
use dp_sims_evaluators::known::known_weights_of;
use dp_sims_evaluators::{
    EvaluatorKind, FidInception, INCEPTION_FILE, Lpips, LpipsTrunk, Mask2Former, Mask2FormerKind,
    Segmenter, SegmenterKind, SwavResNet,
};
use dp_sims_model::backbones::{Backbone, BackboneKind, LiteHead, WeightSource};
use dp_sims_model::known::PublishedFile;
use dp_sims_model::weights::read_weights;

use super::protocol::{OWN, Protocol, SegmentationSettings};
use super::results::NetworkRecord;
use crate::config::Weights;
use crate::config::{Metric, dashed};
use crate::weights::sha256;
use crate::weights::{BackboneFile, load_backbone};

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
        let (path, file) = self.published(EvaluatorKind::FidInception, &INCEPTION_FILE)?;
        let network = FidInception::load(state(&path)?, device)
            .with_context(|| format!("cannot load {}", path.display()))?;
        Ok(Weighted {
            network,
            record: record("fid-inception", [file]),
        })
    }

    /// The ResNet-50 of SwAV-FID. No hash of its file is published; results carry that of the file that
    /// was read.
    ///
    /// # Errors
    /// When its file is missing or does not fit.
    pub fn swav<B: Backend>(&self, device: &B::Device) -> Result<Weighted<SwavResNet<B>>> {
        let kind = EvaluatorKind::SwavResnet50;
        let path = self.file(kind)?;
        let file = hashed(&path)?;
        let network = SwavResNet::load(state(&path)?, device)
            .with_context(|| format!("cannot load {}", path.display()))?;
        Ok(Weighted {
            network,
            record: record(kind.name(), [file]),
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
        let (path, file, is_published) = self.trunk(trunk)?;
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

    /// VGG-16 under heads that all count the same, with whichever file of it the folder holds.
    ///
    /// # Errors
    /// When there is no file of VGG-16, or it does not fit.
    pub fn even_vgg<B: Backend>(&self, device: &B::Device) -> Result<Weighted<Lpips<B>>> {
        let trunk = LpipsTrunk::Vgg;
        let (path, file, _) = self.trunk(trunk)?;
        let network = Lpips::load(trunk, state(&path)?, trunk.even_heads(), device)
            .with_context(|| format!("cannot load {}", path.display()))?;
        Ok(Weighted {
            network,
            record: record("vgg16", [file]),
        })
    }

    /// The file of a trunk of LPIPS with its name and hash, and whether it is the published one.
    fn trunk(&self, trunk: LpipsTrunk) -> Result<(PathBuf, (String, String), bool)> {
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
                let (path, file) = self.published(EvaluatorKind::Lpips(trunk), &published)?;
                (path, file, true)
            }
        };
        Ok((path, file, is_published))
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
        for path in self.files(EvaluatorKind::Segmenter(kind))? {
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

    /// A published Mask2Former.
    ///
    /// # Errors
    /// When its file is missing or does not fit.
    pub fn mask2former<B: Backend>(
        &self,
        kind: Mask2FormerKind,
        device: &B::Device,
    ) -> Result<Weighted<Mask2Former<B>>> {
        let path = self.file(EvaluatorKind::Mask2Former(kind))?;
        let file = hashed(&path)?;
        let network = kind
            .config()
            .load(state(&path)?, device)
            .with_context(|| format!("cannot load {}", path.display()))?;
        Ok(Weighted {
            network,
            record: record(kind.info().name, [file]),
        })
    }

    /// The file of a network that must be the published one, with its name and hash.
    fn published(
        &self,
        kind: EvaluatorKind,
        file: &PublishedFile,
    ) -> Result<(PathBuf, (String, String))> {
        let path = self.file(kind)?;
        let hashed = hashed(&path)?;
        file.check(&hashed.1, &path.display().to_string())?;
        Ok((path, hashed))
    }

    /// Whether what a metric needs is at hand, apart from the images.
    ///
    /// # Errors
    /// Names what is missing and the command that fetches it.
    pub fn has(&self, metric: Metric, protocol: &Protocol, segmenter: Option<&Path>) -> Result<()> {
        let pretrained = Weights::Pretrained;
        match metric {
            Metric::Fid | Metric::Kid => self.files(EvaluatorKind::FidInception).map(drop),
            Metric::SwavFid => self.files(EvaluatorKind::SwavResnet50).map(drop),
            Metric::Lpips | Metric::Diversity => {
                let trunk = protocol.lpips.trunk.into();
                let published = self.files(EvaluatorKind::Lpips(trunk)).map(drop);
                match trunk {
                    LpipsTrunk::Vgg => published.or_else(|error| {
                        let other =
                            BackboneFile::find(BackboneKind::Vgg16, &pretrained, &self.path);
                        other.map(drop).map_err(|_| error)
                    }),
                    LpipsTrunk::AlexNet => published,
                }
            }
            Metric::Miou | Metric::Accuracy => self.judges(protocol.miou.as_ref(), segmenter),
            Metric::MiouMf => self.judges(protocol.miou_mf.as_ref(), segmenter),
            Metric::Timing => Ok(()),
            Metric::Frechet(kind) | Metric::Kernel(kind) => {
                BackboneFile::find(kind, &pretrained, &self.path).map(drop)
            }
        }
    }

    fn judges(
        &self,
        settings: Option<&SegmentationSettings>,
        segmenter: Option<&Path>,
    ) -> Result<()> {
        let network = &settings.context("the protocol does not define it")?.network;
        if network == OWN {
            segmenter.map(drop).context(
                "no segmentation network: train one with `dp-sims train-segmenter` and give its \
                 folder with --segmenter",
            )?;
            return Ok(());
        }
        match EvaluatorKind::named(network) {
            Some(kind) => self.files(kind).map(drop),
            // An unknown name is told when it is loaded.
            None => Ok(()),
        }
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

    /// What a backbone classifies by, behind its last map.
    ///
    /// # Errors
    /// When the backbone has no such head here, or its file is missing or does not fit.
    pub fn head<B: Backend>(&self, kind: BackboneKind, device: &B::Device) -> Result<LiteHead<B>> {
        let file = BackboneFile::find(kind, &Weights::Pretrained, &self.path)?;
        let head = match &file {
            BackboneFile::File(path) => LiteHead::load(kind, state(path)?, device)?,
            BackboneFile::Program | BackboneFile::Random => None,
        };
        head.with_context(|| {
            format!(
                "the protocol compares the features that a network classifies by, which {} does not have \
                 here: measure fd- or kd- of an EfficientNet-Lite, or choose a protocol whose \
                 features.layer is \"last-map\"",
                dashed(kind)
            )
        })
    }

    /// The files of a network that judges images, in the order in which it reads them.
    ///
    /// # Errors
    /// When one is missing. Names what was looked for and where, and the command that fetches it.
    pub fn files(&self, kind: EvaluatorKind) -> Result<Vec<PathBuf>> {
        known_weights_of(kind)
            .map(|known| {
                let names = kind.names_of(known);
                let mut paths = names.iter().map(|name| self.path.join(name));
                match paths.find(|path| path.is_file()) {
                    Some(path) => Ok(path),
                    None => bail!(
                        "no weights of {name} in {}: looked for {}. Fetch them with `dp-sims \
                         weights fetch {name}`, or name the folder that has them with --weights",
                        self.path.display(),
                        names.join(", "),
                        name = kind.name(),
                    ),
                }
            })
            .collect()
    }

    /// The file of a network that has one.
    fn file(&self, kind: EvaluatorKind) -> Result<PathBuf> {
        let path = self.files(kind)?.pop();
        path.with_context(|| format!("{} has no weight file", kind.name()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{FileState, KnownNetwork, WeightsFolder};

    /// What `weights fetch NETWORK` brings is what an evaluation loads.
    #[test]
    fn fetched_files_are_the_ones_that_are_looked_for() {
        for kind in EvaluatorKind::all() {
            let temporary = tempfile::tempdir().unwrap();
            let fetched = KnownNetwork::Evaluator(kind).needed();
            let paths: Vec<_> = fetched
                .iter()
                .map(|known| temporary.path().join(known.file()))
                .collect();
            for path in &paths {
                std::fs::write(path, "x").unwrap();
            }
            let folder = NetworkFolder::new(temporary.path().to_path_buf());
            assert_eq!(folder.files(kind).unwrap(), paths, "{}", kind.name());
            // `weights list` sees them as well.
            let listed = WeightsFolder::new(temporary.path().to_path_buf());
            for known in fetched {
                let state = listed.state(known, KnownNetwork::Evaluator(kind));
                assert!(matches!(state, FileState::Present { .. }), "{state:?}");
            }
        }
    }

    #[test]
    fn a_missing_file_is_answered_with_the_command_that_fetches_it() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = NetworkFolder::new(temporary.path().to_path_buf());
        for kind in EvaluatorKind::all() {
            let text = folder.files(kind).unwrap_err().to_string();
            let file = KnownNetwork::Evaluator(kind).needed()[0].file();
            let command = format!("`dp-sims weights fetch {}`", kind.name());
            for part in [&file, &command, &temporary.path().display().to_string()] {
                assert!(text.contains(part), "{part} is missing in {text}");
            }
        }
        // One of two files is not enough.
        std::fs::write(temporary.path().join("encoder_epoch_50.pth"), "x").unwrap();
        let upernet = EvaluatorKind::Segmenter(SegmenterKind::UperNetAde20k);
        let text = folder.files(upernet).unwrap_err().to_string();
        assert!(text.contains("looked for decoder_epoch_50.pth"), "{text}");
    }

    #[test]
    fn a_mask2former_is_found_in_a_folder_of_its_repository() {
        let temporary = tempfile::tempdir().unwrap();
        let repository = temporary.path().join("mask2former-swin-large-ade-semantic");
        std::fs::create_dir(&repository).unwrap();
        let folder = NetworkFolder::new(temporary.path().to_path_buf());
        let kind = EvaluatorKind::Mask2Former(Mask2FormerKind::AdeSemantic);
        for name in ["pytorch_model.bin", "model.safetensors"] {
            let path = repository.join(name);
            std::fs::write(&path, "x").unwrap();
            assert_eq!(folder.files(kind).unwrap(), [path]);
        }
    }
}
