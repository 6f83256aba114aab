use dp_sims_model::cost::Convention;
use serde::Serialize;

use super::costs::StepCosts;
use super::step::MEASURED_EVERY;
use crate::config::Experiment;

/// Multiply-adds of one network in the generator's or the discriminator's part of a training step, for
/// one image of the batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkWork {
    /// `G step` or `D step`.
    pub step: &'static str,
    /// The network.
    pub network: &'static str,
    /// Multiply-adds of its forward passes.
    pub forward: u64,
    /// Multiply-adds of its backward passes.
    pub backward: u64,
}

impl NetworkWork {
    /// Both directions.
    pub fn macs(&self) -> u64 {
        self.forward + self.backward
    }
}

/// Multiply-adds of one training step by network, for one image of the batch.
///
/// A forward pass costs what [`dp_sims_model::cost`] says; a backward pass costs the same once for
/// gradients of weights and once for gradients of inputs, where each is needed; products with
/// constants have but one:
///
/// | | forward | gradients |
/// |---|---|---|
/// | G step: generator, one latent or a pair per label map | 1 | weights and inputs |
/// | frozen discriminator and backbone, on fakes | 1 | inputs |
/// | contrastive network, on fakes | 1 | inputs |
/// | contrastive network, on photos | 1 | none |
/// | projections of fakes | 1 | weights and inputs |
/// | projections of photos | 1 | none |
/// | with diversity in features, contrastive network on fakes and on their partners | 2 | inputs, of fakes |
/// | D step: generator, unless it reuses the fakes | 1 | none |
/// | backbone, on fakes and on photos | 2 | none |
/// | discriminator, on fakes and on photos | 2 | weights, and inputs but for its first layers |
/// | with LabelMix, backbone and discriminator on mixed images | 1 | the same |
///
/// With `run.recompute` every pass that has gradients has one more forward pass, as part of its backward pass.
///
/// Where backbone and contrastive network are the same, all losses share a pass through it at all steps
/// but every tenth, and the D step takes over the features of photos and of reused fakes.
///
/// Losses, normalisation, optimizers and the moving average are left out. The contrastive network counts as a
/// whole, though no gradient comes from what lies behind its features of stride 16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepWork {
    /// The networks in the order in which a step runs them first, without those that do nothing.
    pub networks: Vec<NetworkWork>,
}

impl StepWork {
    /// Of the steps of an experiment for so many classes, void included, on average.
    pub fn of(experiment: &Experiment, classes: usize, counting: Convention) -> Self {
        let shared = experiment.shares_features();
        let usual = rows(experiment, classes, counting, shared);
        let measured = rows(experiment, classes, counting, false);
        let average =
            |usual: u64, measured| ((MEASURED_EVERY - 1) * usual + measured) / MEASURED_EVERY;
        let both = usual.into_iter().zip(measured);
        Self::without_idle(both.map(|(usual, measured)| NetworkWork {
            forward: average(usual.forward, measured.forward),
            backward: average(usual.backward, measured.backward),
            ..usual
        }))
    }

    /// Of a step whose losses share a pass through the backbone, or of one whose losses each have their own.
    #[cfg(test)]
    pub(crate) fn of_one(
        experiment: &Experiment,
        classes: usize,
        counting: Convention,
        shared: bool,
    ) -> Self {
        Self::without_idle(rows(experiment, classes, counting, shared).into_iter())
    }

    /// Multiply-adds for one image.
    pub fn macs(&self) -> u64 {
        self.networks.iter().map(NetworkWork::macs).sum()
    }

    fn without_idle(rows: impl Iterator<Item = NetworkWork>) -> Self {
        Self {
            networks: rows.filter(|row| row.macs() > 0).collect(),
        }
    }
}

/// Every network, in both parts of the step.
fn rows(
    experiment: &Experiment,
    classes: usize,
    counting: Convention,
    shared: bool,
) -> Vec<NetworkWork> {
    let StepCosts {
        generator,
        discriminator,
        backbone,
        contrastive,
    } = StepCosts::of(experiment, classes, counting);
    let loss = &experiment.loss;
    let number = u64::from;
    let [
        contrasts,
        has_pairs,
        compares_images,
        compares_features,
        mixes,
    ] = [
        loss.contrastive.lambda > 0.0,
        loss.has_pairs(),
        loss.compares_images(),
        loss.feature_diversity.lambda > 0.0,
        loss.lambda_label_mix > 0.0,
    ];
    let reuses = experiment.run.reuse_fakes;
    let backbone = backbone.map_or(0, |cost| cost.macs);
    let [network, projector] = contrastive.map_or([0; 2], |costs| costs.map(|cost| cost.macs));

    let latents = 1 + number(has_pairs);
    let features = generator.labels.macs + latents * generator.features().macs;
    let images = (1 + number(compares_images)) * generator.to_image.macs;
    // The second image of a pair that no loss looks at is made for what the log tells of it.
    let unseen = number(has_pairs && !compares_images) * generator.to_image.macs;
    // Passes of the network of the contrastive loss.
    let [own_forward, own_backward, shared_forward] = if shared {
        [0, 0, number(contrasts) + number(compares_features)]
    } else {
        let losses = number(contrasts) + number(compares_features);
        [2 * losses, losses, 0]
    };
    // Features of fakes and photos that are there from the generator step.
    let known = number(shared && reuses) + number(shared && contrasts);
    let judged = 2 + number(mixes);
    let judge = discriminator.total().macs;
    let trained = discriminator.inputs.macs + 2 * discriminator.inner.macs;

    // Forward passes on the way back.
    let again = number(experiment.run.recompute);
    let row = |step, network, forward, backward| NetworkWork {
        step,
        network,
        forward,
        backward,
    };
    vec![
        row(
            "G step",
            "generator",
            features + images + unseen,
            (2 + again) * (features + images) - latents * generator.resizes,
        ),
        row(
            "G step",
            "backbone",
            (1 + shared_forward) * backbone,
            (1 + again) * backbone,
        ),
        row("G step", "discriminator", judge, (1 + again) * judge),
        row(
            "G step",
            "contrastive network",
            own_forward * network,
            (1 + again) * own_backward * network,
        ),
        row(
            "G step",
            "projector",
            2 * number(contrasts) * projector,
            2 * number(contrasts) * projector,
        ),
        row(
            "D step",
            "generator",
            number(!reuses) * generator.total().macs,
            0,
        ),
        row("D step", "backbone", (judged - known) * backbone, 0),
        row(
            "D step",
            "discriminator",
            judged * judge,
            judged * (trained + again * judge),
        ),
    ]
}
