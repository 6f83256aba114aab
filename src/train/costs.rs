use std::collections::BTreeMap;

use dp_sims_model::backbones::info;
use dp_sims_model::cost::{self, Convention, Cost, DiscriminatorCost, GeneratorCost};

use super::networks::CONTRASTIVE_STRIDES;
use crate::config::Experiment;

/// What the networks of a training step cost, once for one image.
pub(crate) struct StepCosts {
    /// The generator.
    pub(crate) generator: GeneratorCost,
    /// The trained part of the discriminator.
    pub(crate) discriminator: DiscriminatorCost,
    /// The frozen network below the discriminator.
    pub(crate) backbone: Option<Cost>,
    /// Network and projections of the contrastive loss, where a loss reads features of that network.
    pub(crate) contrastive: Option<[Cost; 2]>,
}

impl StepCosts {
    /// Of the networks of an experiment for so many classes, void included.
    pub(crate) fn of(experiment: &Experiment, classes: usize, counting: Convention) -> Self {
        let size @ [height, width] = [experiment.data.height, experiment.data.width];
        let kind = experiment.backbone.network;
        let entry = info(kind);
        let config = &experiment.discriminator;
        let (channels, strides) = (&entry.channels, &entry.strides);
        let term = &experiment.loss.contrastive;
        Self {
            generator: cost::generator(&experiment.generator, classes, size, counting),
            discriminator: cost::discriminator(config, channels, strides, classes, size, counting),
            backbone: config
                .has_backbone()
                .then(|| cost::backbone(kind, height, width)),
            contrastive: experiment.loss.has_network().then(|| {
                let entry = info(term.network);
                let taps = entry.strides.iter().zip(&entry.channels);
                let taps = taps.filter(|(stride, _)| CONTRASTIVE_STRIDES.contains(stride));
                let (maps, channels): (Vec<_>, Vec<_>) = taps
                    .map(|(stride, channels)| ([height / stride, width / stride], *channels))
                    .unzip();
                let projector = cost::projector(&term.loss, &channels, &maps);
                [cost::backbone(term.network, height, width), projector]
            }),
        }
    }
}

/// Parameters of the networks of a training step, without buffers.
pub(crate) fn step_parameters(experiment: &Experiment, classes: usize) -> BTreeMap<String, u64> {
    let costs = StepCosts::of(experiment, classes, Convention::Executed);
    let [contrastive, projector] = match costs.contrastive {
        Some([network, projector]) => [Some(network), Some(projector)],
        None => [None, None],
    };
    let networks = [
        ("generator", Some(costs.generator.total())),
        ("discriminator", Some(costs.discriminator.total())),
        ("backbone", costs.backbone),
        ("contrastive", contrastive),
        ("projector", projector),
    ];
    let present = networks
        .into_iter()
        .filter_map(|(name, cost)| Some((name.to_string(), cost?.parameters)));
    present.collect()
}
