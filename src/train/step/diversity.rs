use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_backends::collective::backward;
use dp_sims_model::layers::Conv;
use dp_sims_model::losses::{Shift, diversity, diversity_everywhere, diversity_of_features};

use super::super::loss_scale::Scale;
use super::super::networks::Frozen;
use super::super::report::{Scalar, StepScalars};
use super::view::{Views, pulls, tracked};
use super::{gradient, norm};
use crate::config::LossConfig;
use crate::events::Term;

/// What the noise did to a batch: the maps and latents of both halves of it.
pub(super) struct Pair<B: AutodiffBackend> {
    /// Features before the last convolution, `[2N, C, H, W]`.
    pub(super) features: Tensor<B, 4>,
    /// Images, `[2N, 3, H, W]` where a term compares images, or else the first `N`.
    pub(super) images: Tensor<B, 4>,
    /// Latents, `[2N, d_z]`.
    pub(super) latents: Tensor<B, 2>,
    /// Where a frozen network looks at the images.
    pub(super) shift: Shift,
}

/// The diversity terms together.
pub(super) struct Terms<B: Backend> {
    /// Their sum, weighted, `[1]`.
    pub(super) total: Tensor<B, 1>,
    /// Gradient at the features before the last convolution, if a term compares them.
    pub(super) at_features: Option<Tensor<B, 4>>,
    /// Gradient at the images, if a term compares them pixel by pixel.
    pub(super) at_images: Option<Tensor<B, 4>>,
}

/// A term, and its gradient where the graph is cut.
type Pulled<B> = (Tensor<B, 1>, Tensor<B, 4>);

impl<B: AutodiffBackend> Pair<B> {
    /// The images of the second latents, without a graph: made here by the last convolution where no
    /// term asked for them.
    pub(super) fn second_image(&self, to_image: &Conv<B>) -> Tensor<B::InnerBackend, 4> {
        let count = self.features.dims()[0] / 2;
        if self.images.dims()[0] > count {
            return self.images.clone().inner().narrow(0, count, count);
        }
        let second = self.features.clone().inner().narrow(0, count, count);
        to_image.valid().forward(second).tanh()
    }

    /// The diversity terms.
    pub(super) fn terms(
        self,
        loss: &LossConfig,
        network: Option<&Frozen<B>>,
        scale: Scale,
        views: &mut Views<B>,
        scalars: &mut StepScalars<B::InnerBackend>,
    ) -> Terms<B::InnerBackend> {
        let device = self.features.device();
        let mut total = Tensor::zeros([1], &device);
        let (mut at_features, mut at_images) = (None, None);
        let mut add = |name: Term, pulled| {
            let (term, pull): Pulled<B::InnerBackend> = pulled;
            scalars.push(Scalar::generator(name), term.clone());
            scalars.push(Scalar::GradientNorm(name), norm(pull.clone()));
            total = total.clone() + term;
            Some(pull)
        };
        if loss.lambda_diversity > 0.0 {
            let pulled = self.pulled(&self.features, |[first, second], [z1, z2]| {
                diversity(first, second, z1, z2, loss.diversity_cutoff) * loss.lambda_diversity
            });
            at_features = add(Term::Diversity, pulled);
        }
        let everywhere = &loss.image_diversity;
        if everywhere.lambda > 0.0 {
            let pulled = self.pulled(&self.images, |[first, second], [z1, z2]| {
                let (cutoff, cell) = (everywhere.cutoff, everywhere.cell);
                diversity_everywhere(first, second, z1, z2, cutoff, cell) * everywhere.lambda
            });
            at_images = add(Term::ImageDiversity, pulled);
        }
        let perceived = &loss.feature_diversity;
        if let Some(network) = network.filter(|_| perceived.lambda > 0.0) {
            let second = self.halves(&self.images)[1].clone().inner();
            let other = network.plain_features(self.shift.images(second));
            let [z1, z2] = self.halves(&self.latents);
            let mut value = Tensor::zeros([1], &device);
            let name = Term::FeatureDiversity;
            views.ask(Some(network), 1.0, name, scalars, |seen| {
                let leaves = tracked(seen);
                let features = leaves[1..].to_vec();
                let term = diversity_of_features(features, other, z1, z2, perceived.cutoff);
                let term = term * perceived.lambda;
                value = term.clone().inner();
                pulls(&leaves, &scale.backward(term))
            });
            scalars.push(Scalar::generator(name), value.clone());
            total = total + value;
        }
        Terms {
            total,
            at_features,
            at_images,
        }
    }

    /// Both halves of a batch.
    fn halves<const D: usize>(&self, batch: &Tensor<B, D>) -> [Tensor<B, D>; 2] {
        let count = batch.dims()[0] / 2;
        [0, count].map(|start| batch.clone().narrow(0, start, count))
    }

    /// A term over both halves of `maps` and latents, and its gradient at `maps`.
    fn pulled(
        &self,
        maps: &Tensor<B, 4>,
        term: impl FnOnce([Tensor<B, 4>; 2], [Tensor<B, 2>; 2]) -> Tensor<B, 1>,
    ) -> Pulled<B::InnerBackend> {
        let cut = maps.clone().detach().require_grad();
        let term = term(self.halves(&cut), self.halves(&self.latents));
        let pull = gradient(&cut, &backward(term.clone()));
        (term.inner(), pull)
    }
}
