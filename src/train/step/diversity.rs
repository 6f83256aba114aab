use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::losses::{diversity, diversity_everywhere, diversity_of_features};

use super::super::batch::StepScalars;
use super::super::networks::Frozen;
use super::{gradient, norm};
use crate::config::LossConfig;

/// What the noise did to a batch: the maps and latents of both halves of it.
pub(super) struct Pair<B: AutodiffBackend> {
    /// Features before the last convolution, `[2N, C, H, W]`.
    pub(super) features: Tensor<B, 4>,
    /// Images, `[2N, 3, H, W]` where the image is asked for diversity, or else the first `N`.
    pub(super) images: Tensor<B, 4>,
    /// Latents, `[2N, d_z]`.
    pub(super) latents: Tensor<B, 2>,
}

impl<B: AutodiffBackend> Pair<B> {
    /// The diversity terms: their sum, weighted, and a number whose backward pass takes their gradients
    /// through the generator.
    pub(super) fn terms(
        self,
        loss: &LossConfig,
        network: Option<&Frozen<B>>,
        scalars: &mut StepScalars<B::InnerBackend>,
    ) -> [Tensor<B, 1>; 2] {
        let Self {
            features,
            images,
            latents,
        } = self;
        let zero = || Tensor::zeros([1], &features.device());
        let (mut total, mut surrogate) = (zero(), zero());
        if loss.lambda_diversity > 0.0 {
            let (term, pull) = pulled(&features, &latents, |[first, second], [z1, z2]| {
                diversity(first, second, z1, z2, loss.diversity_cutoff) * loss.lambda_diversity
            });
            scalars.push("g_diversity", term.clone().inner());
            scalars.push("norm_diversity", norm(pull.clone()));
            total = total + term;
            surrogate = surrogate + (features * Tensor::from_inner(pull)).sum();
        }
        let everywhere = &loss.image_diversity;
        if everywhere.lambda > 0.0 {
            let (term, pull) = pulled(&images, &latents, |[first, second], [z1, z2]| {
                let (cutoff, cell) = (everywhere.cutoff, everywhere.cell);
                diversity_everywhere(first, second, z1, z2, cutoff, cell) * everywhere.lambda
            });
            scalars.push("g_image_diversity", term.clone().inner());
            scalars.push("norm_image_diversity", norm(pull.clone()));
            total = total + term;
            surrogate = surrogate + (images.clone() * Tensor::from_inner(pull)).sum();
        }
        let perceived = &loss.feature_diversity;
        if let Some(network) = network.filter(|_| perceived.lambda > 0.0) {
            let (term, pull) = pulled(&images, &latents, |[first, second], [z1, z2]| {
                let features = network.features(first);
                let other = network.plain_features(second.inner());
                diversity_of_features(features, other, z1, z2, perceived.cutoff) * perceived.lambda
            });
            scalars.push("g_feature_diversity", term.clone().inner());
            scalars.push("norm_feature_diversity", norm(pull.clone()));
            total = total + term;
            surrogate = surrogate + (images * Tensor::from_inner(pull)).sum();
        }
        [total, surrogate]
    }
}

/// A term over both halves of `maps` and `latents`, and its gradient at `maps`, where the graph is cut.
fn pulled<B: AutodiffBackend>(
    maps: &Tensor<B, 4>,
    latents: &Tensor<B, 2>,
    term: impl FnOnce([Tensor<B, 4>; 2], [Tensor<B, 2>; 2]) -> Tensor<B, 1>,
) -> (Tensor<B, 1>, Tensor<B::InnerBackend, 4>) {
    let cut = maps.clone().detach().require_grad();
    let images = maps.dims()[0] / 2;
    let halves = [0, images].map(|start| cut.clone().narrow(0, start, images));
    let sides = [0, images].map(|start| latents.clone().narrow(0, start, images));
    let term = term(halves, sides);
    let pull = gradient(&cut, &term.backward());
    (term, pull)
}
