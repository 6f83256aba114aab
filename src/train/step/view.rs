use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::losses::Shift;
use dp_sims_model::tape::{Tape, Value};

use super::super::loss_scale::Scale;
use super::super::networks::Frozen;
use super::super::report::{Scalar, StepScalars};
use super::norm;
use crate::events::Term;

/// How images are looked at in a step: once for all losses, or once for each.
///
/// Only what a loss asks of the images by a view of its own can be measured, and one view for all costs
/// fewer passes through the network. So a shared view gives way to own ones at every tenth step.
pub(super) struct Views<B: AutodiffBackend> {
    images: Tensor<B::InnerBackend, 4>,
    look: Look,
    shared: Option<View<B>>,
    /// What own views were asked for so far.
    pull: Option<Tensor<B::InnerBackend, 4>>,
}

/// How every view looks at the images.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// How the images are moved.
    pub(super) shift: Shift,
    /// Whether the network is computed again on the way back.
    pub(super) recompute: bool,
    /// What losses are multiplied by.
    pub(super) scale: Scale,
}

/// Gradients at images and features; none where a loss does not depend on them.
pub(super) type Pulls<B> = Vec<Option<Tensor<<B as AutodiffBackend>::InnerBackend, 4>>>;

/// Maps from which a graph begins.
pub(super) fn tracked<B: AutodiffBackend>(
    maps: Vec<Tensor<B::InnerBackend, 4>>,
) -> Vec<Tensor<B, 4>> {
    let leaf = |map| Tensor::from_inner(map).require_grad();
    maps.into_iter().map(leaf).collect()
}

/// Those of a backward pass.
pub(super) fn pulls<B: AutodiffBackend>(
    leaves: &[Tensor<B, 4>],
    gradients: &B::Gradients,
) -> Pulls<B> {
    leaves.iter().map(|leaf| leaf.grad(gradients)).collect()
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
        look: Look,
        shared: Option<&Frozen<B>>,
    ) -> Self {
        let shared = shared.filter(|_| step % MEASURED_EVERY != 1);
        Self {
            shared: shared.map(|network| View::new(images.clone(), look, Some(network))),
            pull: None,
            images,
            look,
        }
    }

    /// Whether all losses share a view, of the features at every tap of the shared network.
    pub(super) fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Features of the images through the shared network, without a graph.
    pub(super) fn shared_features(&self) -> Option<Vec<Tensor<B::InnerBackend, 4>>> {
        let features = self.shared.as_ref()?.features().iter();
        Some(features.map(Value::tensor).collect())
    }

    /// Adds what a loss asks of the images that it sees through `network`: `times` the gradients that `backward` makes
    /// of images and features, in this order and by the [`Scale`] of the step. The norm of an own view's part is
    /// pushed as that of `term`.
    pub(super) fn ask(
        &mut self,
        network: Option<&Frozen<B>>,
        times: f64,
        term: Term,
        scalars: &mut StepScalars<B::InnerBackend>,
        backward: impl FnOnce(Vec<Tensor<B::InnerBackend, 4>>) -> Pulls<B>,
    ) {
        let times = times * self.look.scale.inverse();
        if let Some(view) = &mut self.shared {
            // A network with fewer taps than the shared one picks its own.
            let taps: Vec<_> = (1..view.made.len()).collect();
            let features = match network {
                Some(network) => network.select(&taps),
                None => taps,
            };
            let seen: Vec<_> = [0].into_iter().chain(features).collect();
            let pulls = backward(view.tensors(&seen));
            view.pull(&seen, pulls, times);
            return;
        }
        let mut view = View::new(self.images.clone(), self.look, network);
        let seen: Vec<_> = (0..view.made.len()).collect();
        let pulls = backward(view.tensors(&seen));
        view.pull(&seen, pulls, times);
        self.add(view.finish(self.look.scale), term, scalars);
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
            (Some(view), _) => view.finish(self.look.scale),
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
    /// The way from the images to what is seen.
    tape: Tape<B>,
    /// The images before they were moved.
    images: Tensor<B::InnerBackend, 4>,
    /// Moved images, and features.
    made: Vec<Value<B>>,
    /// Sums of the gradients at them.
    pulls: Pulls<B>,
}

impl<B: AutodiffBackend> View<B> {
    /// Costs a pass through `network`, whose features at its taps are kept; without one images alone
    /// are seen.
    ///
    /// # Shapes
    /// - `images`: `[N, 3, H, W]`
    fn new(images: Tensor<B::InnerBackend, 4>, look: Look, network: Option<&Frozen<B>>) -> Self {
        let mut tape = Tape::new(look.recompute);
        let input = tape.input(images.clone());
        let shift = look.shift;
        let moved = tape.run(input, move |images| shift.images(images));
        let mut made = vec![moved.clone()];
        if let Some(network) = network {
            made.extend(network.features(&mut tape, moved));
        }
        Self {
            tape,
            images,
            pulls: vec![None; made.len()],
            made,
        }
    }

    /// The features, a map per tap.
    fn features(&self) -> &[Value<B>] {
        &self.made[1..]
    }

    /// Some of the maps.
    fn tensors(&self, places: &[usize]) -> Vec<Tensor<B::InnerBackend, 4>> {
        let values = places.iter().map(|&place| &self.made[place]);
        values.map(Value::tensor).collect()
    }

    /// Adds `times` the gradients at some of the maps.
    fn pull(&mut self, places: &[usize], pulls: Pulls<B>, times: f64) {
        for (&place, pull) in places.iter().zip(pulls) {
            let Some(gradient) = pull else {
                continue;
            };
            let gradient = if times == 1.0 {
                gradient
            } else {
                gradient * times
            };
            let sum = &mut self.pulls[place];
            *sum = Some(match sum.take() {
                Some(sum) => sum + gradient,
                None => gradient,
            });
        }
    }

    /// What all losses together ask of the images before they were moved: a pass back through the
    /// network.
    fn finish(self, scale: Scale) -> Tensor<B::InnerBackend, 4> {
        let pairs = self.made.into_iter().zip(self.pulls);
        let pulled = pairs.filter_map(|(made, pull)| Some((made, scale.up(pull?))));
        let mut pulled = self.tape.backward(pulled).inputs.into_iter();
        match pulled.next().flatten() {
            Some(pull) => scale.down(pull),
            None => self.images.zeros_like(),
        }
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
    fn pull(step: u64, shared: bool, recompute: bool) -> (Vec<f32>, usize) {
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
        let look = Look {
            shift,
            recompute,
            scale: Scale::of(None),
        };
        let mut views = Views::new(step, images, look, shared.then_some(&all));
        let are_shared = views.are_shared();
        views.ask(Some(&all), 2.0, Term::Gan, &mut scalars, |seen| {
            let leaves = tracked::<FlexAutodiff>(seen);
            assert_eq!(leaves.len(), 5);
            let squares = [0, 4].map(|place| leaves[place].clone().square().mean());
            let [images, coarsest] = squares;
            pulls(&leaves, &(coarsest + images).backward())
        });
        views.ask(Some(&some), 1.0, Term::Contrastive, &mut scalars, |seen| {
            let leaves = tracked::<FlexAutodiff>(seen);
            assert_eq!(leaves.len(), 3);
            let sums = leaves[1..].iter().map(|map| map.clone().square().mean());
            pulls(
                &leaves,
                &sums.reduce(|sum, next| sum + next).unwrap().backward(),
            )
        });
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
        let (own, measured) = pull(2, false, false);
        assert_eq!(measured, 2);
        let largest = own.iter().fold(0f32, |most, value| most.max(value.abs()));
        assert!(largest > 0.0);
        for (step, shared_measured) in [(1, 2), (2, 0), (10, 0), (11, 2)] {
            let (shared, measured) = pull(step, true, false);
            assert!(pull(step, true, true).0 == shared, "step {step}");
            assert_eq!(measured, shared_measured, "step {step}");
            for (own, shared) in own.iter().zip(&shared) {
                assert!((own - shared).abs() <= 1e-5 * largest, "{own} {shared}");
            }
        }
    }
}
