use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_model::losses::Shift;

use super::super::loss_scale::Scale;
use super::super::networks::Frozen;
use super::super::report::{Scalar, StepScalars};
use super::{gradient, norm};
use crate::events::Term;

/// How images are looked at in a step: once for all losses, or once for each.
///
/// Only what a loss asks of the images by a view of its own can be measured, and one view for all costs
/// fewer passes through the network. So a shared view gives way to own ones at every tenth step.
pub(super) struct Views<B: AutodiffBackend> {
    images: Tensor<B::InnerBackend, 4>,
    shift: Shift,
    scale: Scale,
    shared: Option<View<B>>,
    /// What own views were asked for so far.
    pull: Option<Tensor<B::InnerBackend, 4>>,
}

/// Steps between two whose losses have views of their own.
pub(in crate::train) const MEASURED_EVERY: u64 = 10;

impl<B: AutodiffBackend> Views<B> {
    /// `images` are shared by all losses if they look through `shared`, at most steps.
    ///
    /// # Shapes
    /// - `images`: `[N, 3, H, W]`
    pub(super) fn new(
        step: u64,
        images: Tensor<B::InnerBackend, 4>,
        shift: Shift,
        scale: Scale,
        shared: Option<&Frozen<B>>,
    ) -> Self {
        let shared = shared.filter(|_| step % MEASURED_EVERY != 1);
        Self {
            shared: shared.map(|network| View::new(images.clone(), shift, Some(network))),
            pull: None,
            images,
            shift,
            scale,
        }
    }

    /// Whether all losses share a view, of the features at every tap of the shared network.
    pub(super) fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Features of the images through the shared network, without a graph.
    pub(super) fn shared_features(&self) -> Option<Vec<Tensor<B::InnerBackend, 4>>> {
        let features = self.shared.as_ref()?.features().iter();
        Some(features.map(|map| map.clone().inner()).collect())
    }

    /// Adds what a loss asks of the images that it sees through `network`: `times` the gradients that
    /// `backward` makes of images and features, by the [`Scale`] of the step. The norm of an own view's part is pushed as that of `term`.
    pub(super) fn ask(
        &mut self,
        network: Option<&Frozen<B>>,
        times: f64,
        term: Term,
        scalars: &mut StepScalars<B::InnerBackend>,
        backward: impl FnOnce(Tensor<B, 4>, Vec<Tensor<B, 4>>) -> B::Gradients,
    ) {
        let times = times * self.scale.inverse();
        if let Some(view) = &mut self.shared {
            // A network with fewer taps than the shared one picks its own.
            let features = match network {
                Some(network) => network.select(view.features()),
                None => view.features().to_vec(),
            };
            let gradients = backward(view.images(), features);
            view.pull(&gradients, times);
            return;
        }
        let mut view = View::new(self.images.clone(), self.shift, network);
        let gradients = backward(view.images(), view.features().to_vec());
        view.pull(&gradients, times);
        self.add(view.finish(self.scale), term, scalars);
    }

    fn add(
        &mut self,
        pull: Tensor<B::InnerBackend, 4>,
        term: Term,
        scalars: &mut StepScalars<B::InnerBackend>,
    ) {
        scalars.push(Scalar::GradientNorm(term), norm(pull.clone()));
        self.pull = Some(match self.pull.take() {
            Some(sum) => sum + pull,
            None => pull,
        });
    }

    /// What all losses together ask of the images.
    pub(super) fn finish(self) -> Tensor<B::InnerBackend, 4> {
        match (self.shared, self.pull) {
            (Some(view), _) => view.finish(self.scale),
            (None, Some(pull)) => pull,
            (None, None) => self.images.zeros_like(),
        }
    }
}

/// Generated images as the losses see them, moved and with the features of a frozen network.
///
/// The graph is cut between network and losses, so that any number of losses share one pass through
/// the network, forward and back.
struct View<B: AutodiffBackend> {
    /// The images before they were moved.
    cut: Tensor<B, 4>,
    /// Moved images and features with the graph that leads to `cut`.
    made: Vec<Tensor<B, 4>>,
    /// The same for losses.
    leaves: Vec<Tensor<B, 4>>,
    /// Sums of the gradients at the leaves.
    pulls: Vec<Option<Tensor<B::InnerBackend, 4>>>,
}

impl<B: AutodiffBackend> View<B> {
    /// Costs a pass through `network`, whose features at its taps are kept; without one images alone
    /// are seen.
    ///
    /// # Shapes
    /// - `images`: `[N, 3, H, W]`
    fn new(images: Tensor<B::InnerBackend, 4>, shift: Shift, network: Option<&Frozen<B>>) -> Self {
        let cut = Tensor::<B, 4>::from_inner(images).require_grad();
        let moved = shift.images(cut.clone());
        let mut made = vec![moved.clone()];
        if let Some(network) = network {
            made.extend(network.features(moved));
        }
        let leaf = |tensor: &Tensor<B, 4>| tensor.clone().detach().require_grad();
        Self {
            cut,
            leaves: made.iter().map(leaf).collect(),
            pulls: vec![None; made.len()],
            made,
        }
    }

    /// The images, moved.
    fn images(&self) -> Tensor<B, 4> {
        self.leaves[0].clone()
    }

    /// The features, a map per tap.
    fn features(&self) -> &[Tensor<B, 4>] {
        &self.leaves[1..]
    }

    /// Adds `times` the gradients at images and features.
    fn pull(&mut self, gradients: &B::Gradients, times: f64) {
        for (leaf, pull) in self.leaves.iter().zip(&mut self.pulls) {
            if let Some(gradient) = leaf.grad(gradients) {
                let gradient = multiplied(gradient, times);
                *pull = Some(match pull.take() {
                    Some(sum) => sum + gradient,
                    None => gradient,
                });
            }
        }
    }

    /// What all losses together ask of the images before they were moved: a pass back through the
    /// network.
    fn finish(self, scale: Scale) -> Tensor<B::InnerBackend, 4> {
        let pairs = self.made.into_iter().zip(self.pulls);
        let pulled = pairs.filter_map(|(made, pull)| {
            let pull = Tensor::<B, 4>::from_inner(pull?);
            Some((made * pull).sum())
        });
        match pulled.reduce(|sum, next| sum + next) {
            Some(sum) => multiplied(gradient(&self.cut, &scale.backward(sum)), scale.inverse()),
            None => self.cut.inner().zeros_like(),
        }
    }
}

fn multiplied<B: Backend>(gradient: Tensor<B, 4>, times: f64) -> Tensor<B, 4> {
    match times {
        1.0 => gradient,
        times => gradient * times,
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use dp_sims_backends::FlexAutodiff;
    use dp_sims_model::backbones::{BackboneKind, WeightSource, build};
    use dp_sims_model::init::normals;

    use super::*;

    type Flex = <FlexAutodiff as AutodiffBackend>::InnerBackend;

    /// The gradient at the images of two losses that look at different taps, one of them twice as
    /// strongly and at the images as well.
    fn pull(step: u64, shared: bool) -> (Vec<f32>, usize) {
        let device = Default::default();
        let source = WeightSource::Random { seed: 3 };
        let network = build(BackboneKind::ConvnextPicoScenes, source, &device).unwrap();
        let all = Frozen::<FlexAutodiff>::new(network, vec![0, 1, 2, 3]);
        let some = Frozen {
            taps: vec![0, 2],
            ..all.clone()
        };
        let values = normals(5, 0, "images", 2 * 3 * 32 * 32);
        let data = burn::tensor::TensorData::new(values, [2, 3, 32, 32]);
        let images = Tensor::<Flex, 4>::from_data(data, &device);
        let shift = Shift::draw(1, 2, 3);
        let mut scalars = StepScalars::new();
        let mut views = Views::new(step, images, shift, Scale::of(None), shared.then_some(&all));
        let are_shared = views.are_shared();
        views.ask(
            Some(&all),
            2.0,
            Term::Gan,
            &mut scalars,
            |images, features| {
                assert_eq!(features.len(), 4);
                (features[3].clone().square().mean() + images.square().mean()).backward()
            },
        );
        views.ask(
            Some(&some),
            1.0,
            Term::Contrastive,
            &mut scalars,
            |_, features| {
                assert_eq!(features.len(), 2);
                let sums = features.into_iter().map(|map| map.square().mean());
                sums.reduce(|sum, next| sum + next).unwrap().backward()
            },
        );
        let pull = views.finish().into_data().to_vec().unwrap();
        let measured = if are_shared {
            0
        } else {
            scalars.read().unwrap().named().len()
        };
        (pull, measured)
    }

    #[test]
    fn a_shared_view_asks_what_own_views_ask() {
        let (own, measured) = pull(2, false);
        assert_eq!(measured, 2);
        let largest = own.iter().fold(0f32, |most, value| most.max(value.abs()));
        assert!(largest > 0.0);
        for (step, shared_measured) in [(1, 2), (2, 0), (10, 0), (11, 2)] {
            let (shared, measured) = pull(step, true);
            assert_eq!(measured, shared_measured, "step {step}");
            for (own, shared) in own.iter().zip(&shared) {
                assert!((own - shared).abs() <= 1e-5 * largest, "{own} {shared}");
            }
        }
    }
}
