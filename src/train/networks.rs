use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_model::backbones::{Backbone, BackboneKind, WeightSource, build, info};
use dp_sims_model::discriminator::Discriminator;
use dp_sims_model::generator::Generator;
use dp_sims_model::init::InitRng;
use dp_sims_model::known::{KnownWeights, known_weights_of};
use dp_sims_model::losses::Projector;
use dp_sims_model::weights::{from_safetensors_bytes, read_weights};
use sha2::{Digest, Sha256};

use crate::config::{Experiment, Weights};
use crate::files::hex;
use crate::weights::sha256;

/// The frozen scenes backbone, part of the program so that the default experiment needs no file.
const SCENES_BACKBONE: &[u8] =
    include_bytes!("../../model/weights/convnext_pico_scenes.safetensors");

/// Strides of the features that the contrastive loss compares (section 3.3).
pub(crate) const CONTRASTIVE_STRIDES: [usize; 3] = [4, 8, 16];

/// A frozen network in both forms it is needed in: without a graph for real images, and with one
/// for generated images, whose gradient passes through it.
#[derive(Clone)]
pub struct Frozen<B: AutodiffBackend> {
    /// Without a graph.
    pub plain: Backbone<B::InnerBackend>,
    /// On the autodiff backend; its weights take no gradient.
    pub tracked: Backbone<B>,
    /// Which of its taps are used.
    pub taps: Vec<usize>,
}

/// Every network of a run.
pub struct Networks<B: AutodiffBackend> {
    /// The generator being trained.
    pub generator: Generator<B>,
    /// Its moving average.
    pub ema: Generator<B::InnerBackend>,
    /// The trained part of the discriminator.
    pub discriminator: Discriminator<B>,
    /// The frozen part of the discriminator; OASIS has none.
    pub backbone: Option<Frozen<B>>,
    /// Projection and frozen network of the contrastive loss, if it or the diversity in the features
    /// of that network has a weight.
    pub contrastive: Option<(Projector<B>, Frozen<B>)>,
}

impl<B: AutodiffBackend> Networks<B> {
    /// Builds every network with its initial weights.
    ///
    /// # Errors
    /// When sizes do not fit together or a weight file is missing or wrong.
    pub fn new(
        experiment: &Experiment,
        classes: usize,
        weights: &Path,
        device: &B::Device,
    ) -> Result<Self> {
        let seed = experiment.run.seed;
        let kind = experiment.backbone.network;
        let entry = info(kind);
        let generator: Generator<B> = experiment.generator.init(classes, seed, device)?;
        let discriminator = experiment.discriminator.init(
            &entry.channels,
            &entry.strides,
            classes,
            seed,
            device,
        )?;
        let backbone = if experiment.discriminator.has_backbone() {
            let network = load_backbone(kind, &experiment.backbone.weights, weights, seed, device)?;
            Some(Frozen::new(network, (0..entry.strides.len()).collect()))
        } else {
            None
        };
        let term = &experiment.loss.contrastive;
        let contrastive = if term.lambda > 0.0 || experiment.loss.feature_diversity.lambda > 0.0 {
            let entry = info(term.network);
            let taps: Vec<usize> = CONTRASTIVE_STRIDES
                .into_iter()
                .filter_map(|stride| entry.strides.iter().position(|&s| s == stride))
                .collect();
            ensure!(
                taps.len() == CONTRASTIVE_STRIDES.len(),
                "configuration key `loss.contrastive.network`: {} has no features at strides \
                 {CONTRASTIVE_STRIDES:?}",
                entry.name
            );
            let channels: Vec<usize> = taps.iter().map(|&tap| entry.channels[tap]).collect();
            let rng = &mut InitRng::new(seed, "projector");
            let projector = term.loss.init(&channels, rng, device)?;
            let network = match &backbone {
                Some(backbone) if experiment.shares_features() => Frozen {
                    taps,
                    ..backbone.clone()
                },
                _ => {
                    let weights = (&term.weights, weights);
                    Frozen::new(
                        load_backbone(term.network, weights.0, weights.1, seed, device)?,
                        taps,
                    )
                }
            };
            Some((projector, network))
        } else {
            None
        };
        let ema = generator.valid();
        Ok(Self {
            generator,
            ema,
            discriminator,
            backbone,
            contrastive,
        })
    }
}

impl<B: AutodiffBackend> Frozen<B> {
    /// The features at its own taps, out of those at every tap.
    pub(super) fn select<T: Clone>(&self, features: &[T]) -> Vec<T> {
        self.taps.iter().map(|&tap| features[tap].clone()).collect()
    }

    pub(super) fn new(plain: Backbone<B::InnerBackend>, taps: Vec<usize>) -> Self {
        let tracked = Backbone::<B>::from_inner(plain.clone()).no_grad();
        Self {
            plain,
            tracked,
            taps,
        }
    }

    /// Features of generated images, through which the gradient passes.
    pub(super) fn features(&self, images: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        self.select(&self.tracked.forward(images))
    }

    /// Features without a graph.
    pub(super) fn plain_features(
        &self,
        images: Tensor<B::InnerBackend, 4>,
    ) -> Vec<Tensor<B::InnerBackend, 4>> {
        self.select(&self.plain.forward(images))
    }
}

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
        let name = info(kind).name;
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
    build(kind, source, device).with_context(|| format!("cannot load {}", info(kind).name))
}

/// Names that the weights of a network may have in the weights folder, in the order they are looked
/// for: a known file as published or converted, or [`pretrained_names`].
fn candidates(kind: BackboneKind, weights: &Weights) -> Vec<String> {
    let Weights::Known(id) = weights else {
        return pretrained_names(kind);
    };
    let known = known_weights_of(kind).find(|known| known.id == id);
    known.map_or(vec![], |known| known.names_for(kind))
}

/// Names of the files that `weights = "pretrained"` stands for, in the order they are looked for:
/// what was imported for the network, its published files, its preferred file converted.
pub(crate) fn pretrained_names(kind: BackboneKind) -> Vec<String> {
    let entry = info(kind);
    let mut names = vec![format!("{}.safetensors", entry.name)];
    let published = entry.files.iter().map(|file| file.to_string());
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
