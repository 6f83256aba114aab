use std::path::Path;

use anyhow::{Result, ensure};
use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::backbones::{Backbone, info};
use dp_sims_model::discriminator::Discriminator;
use dp_sims_model::generator::Generator;
use dp_sims_model::init::InitRng;
use dp_sims_model::losses::Projector;
use dp_sims_model::segments::Segments;
use dp_sims_model::tape::{Tape, Value};

use crate::config::Experiment;
use crate::weights::load_backbone;

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
        let (generator, discriminator) = adversaries(experiment, classes, device)?;
        let backbone = if experiment.discriminator.has_backbone() {
            let network = load_backbone(kind, &experiment.backbone.weights, weights, seed, device)?;
            Some(Frozen::new(network, (0..entry.strides.len()).collect()))
        } else {
            None
        };
        let term = &experiment.loss.contrastive;
        let contrastive = if experiment.loss.has_network() {
            let entry = info(term.network);
            let taps: Vec<usize> = CONTRASTIVE_STRIDES
                .into_iter()
                .filter_map(|stride| entry.strides.iter().position(|&s| s == stride))
                .collect();
            ensure!(
                taps.len() == CONTRASTIVE_STRIDES.len(),
                "configuration key `loss.contrastive.network`: {} has no features at strides \
                 {CONTRASTIVE_STRIDES:?}",
                term.network.name()
            );
            let projector = projector(experiment, &taps, device)?;
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

    /// The networks before the first step, over the same frozen ones.
    ///
    /// # Errors
    /// Those of [`Self::new`], but for files.
    pub(super) fn anew(
        &self,
        experiment: &Experiment,
        classes: usize,
        device: &B::Device,
    ) -> Result<Self> {
        let (generator, discriminator) = adversaries(experiment, classes, device)?;
        let contrastive = self.contrastive.as_ref().map(|(_, network)| {
            let projector = projector(experiment, &network.taps, device)?;
            anyhow::Ok((projector, network.clone()))
        });
        Ok(Self {
            ema: generator.valid(),
            generator,
            discriminator,
            backbone: self.backbone.clone(),
            contrastive: contrastive.transpose()?,
        })
    }
}

/// Generator and discriminator with their initial weights.
fn adversaries<B: AutodiffBackend>(
    experiment: &Experiment,
    classes: usize,
    device: &B::Device,
) -> Result<(Generator<B>, Discriminator<B>)> {
    let seed = experiment.run.seed;
    let entry = info(experiment.backbone.network);
    let generator = experiment.generator.init(classes, seed, device)?;
    let discriminator =
        experiment
            .discriminator
            .init(&entry.channels, &entry.strides, classes, seed, device)?;
    Ok((generator, discriminator))
}

/// The projector of the contrastive loss over these taps of its network, with its initial weights.
fn projector<B: AutodiffBackend>(
    experiment: &Experiment,
    taps: &[usize],
    device: &B::Device,
) -> Result<Projector<B>> {
    let term = &experiment.loss.contrastive;
    let entry = info(term.network);
    let channels: Vec<usize> = taps.iter().map(|&tap| entry.channels[tap]).collect();
    let rng = &mut InitRng::new(experiment.run.seed, "projector");
    Ok(term.loss.init(&channels, rng, device)?)
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

    /// Features of generated images on a tape, through which the gradient passes; what lies behind the last of its
    /// taps does not run.
    pub(super) fn features(&self, tape: &mut Tape<B>, images: Value<B>) -> Vec<Value<B>> {
        let last = self.taps.iter().max();
        let mut features = images;
        let mut taps = Vec::new();
        tape.pass(&mut self.tracked.clone(), |pass| {
            for segment in self.tracked.segments() {
                if last.is_none_or(|&last| taps.len() > last) {
                    break;
                }
                let is_tap = segment.is_tap;
                [features] = pass.run([features.clone()], move |network, [input]| {
                    [network.run(&segment, input)]
                });
                if is_tap {
                    taps.push(features.clone());
                }
            }
        });
        self.select(&taps)
    }

    /// Features without a graph.
    pub(super) fn plain_features(
        &self,
        images: Tensor<B::InnerBackend, 4>,
    ) -> Vec<Tensor<B::InnerBackend, 4>> {
        self.select(&self.plain.forward(images))
    }
}
