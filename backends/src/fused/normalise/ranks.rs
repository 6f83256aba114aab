//! Normalisation by the statistics of all ranks' batches: what ranks tell each other comes between the halves of
//! the kernels.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use super::{Normalised, standardise};
use crate::collective::{CollectiveFailure, Group};

/// A backend with kernels for the halves. Batches are `[N, C, HW]`.
pub(super) trait Halves: Backend {
    /// Mean and biased variance of each channel, `[2C]`; none where there is no kernel for the input.
    fn statistics(input: &Tensor<Self, 3>) -> Option<Tensor<Self, 1>>;

    /// The gradient, in the order of its axes, and its mean and that of its product with the normalised batch,
    /// `[2C]`.
    fn pulls(
        normal: &Tensor<Self, 3>,
        gradient: Tensor<Self, 3>,
    ) -> (Tensor<Self, 3>, Tensor<Self, 1>);

    /// The gradient of the input by both means, `[2C]`, and the scale 1 / √(σ² + ε), `[C]`.
    fn of_pulls(
        normal: &Tensor<Self, 3>,
        gradient: Tensor<Self, 3>,
        values: [Tensor<Self, 1>; 2],
    ) -> Tensor<Self, 3>;
}

/// Makes the functions of a module of kernels those of a backend.
macro_rules! halves {
    ($($kernels:tt)+) => {
        fn statistics(input: &Tensor<Self, 3>) -> Option<Tensor<Self, 1>> {
            use $($kernels)+ as kernels;
            kernels::statistics(input)
        }

        fn pulls(
            normal: &Tensor<Self, 3>,
            gradient: Tensor<Self, 3>,
        ) -> (Tensor<Self, 3>, Tensor<Self, 1>) {
            use $($kernels)+ as kernels;
            kernels::pulls(normal, gradient)
        }

        fn of_pulls(
            normal: &Tensor<Self, 3>,
            gradient: Tensor<Self, 3>,
            values: [Tensor<Self, 1>; 2],
        ) -> Tensor<Self, 3> {
            use $($kernels)+ as kernels;
            kernels::of_pulls(normal, gradient, values)
        }
    };
}

#[cfg(feature = "flex")]
impl Halves for dp_sims_cpu::Cpu {
    halves!(dp_sims_cpu::fused::normalise);
}

#[cfg(feature = "gpu")]
impl<R: burn_cubecl::CubeRuntime, BT: burn_cubecl::BoolElement> Halves for crate::gpu::Gpu<R, BT> {
    halves!(crate::gpu::fused::normalise);
}

/// What a rank needs on its way back: the normalised batch, the scale and the group.
type State<B> = (FloatTensor<B>, FloatTensor<B>, Group);

/// Without a graph.
pub(super) fn plain<B: Halves>(
    input: Tensor<B, 3>,
    epsilon: f64,
    group: Group,
) -> Result<Normalised<B>, Tensor<B, 3>> {
    match forward(input, epsilon, group) {
        Ok((normalised, _)) => Ok(normalised),
        Err(input) => Err(input),
    }
}

/// Within a graph, which keeps the output alone. Mean and variance are constants for it.
pub(super) fn tracked<B: Halves>(
    input: Tensor<Autodiff<B>, 3>,
    epsilon: f64,
    group: Group,
) -> Result<Normalised<Autodiff<B>>, Tensor<Autodiff<B>, 3>> {
    let mut input = input.into_primitive().tensor();
    let (done, scale) = match forward(tensor::<B, 3>(input.primitive), epsilon, group) {
        Ok(done) => done,
        Err(own) => {
            input.primitive = primitive(own);
            return Err(tensor(input));
        }
    };
    let kind = Normalise
        .prepare::<NoCheckpointing>([input.node])
        .compute_bound()
        .stateful();
    let normal = primitive(done.normal);
    let normal = match kind {
        OpsKind::Tracked(prep) => prep.finish((normal.clone(), primitive(scale), group), normal),
        OpsKind::UnTracked(prep) => prep.finish(normal),
    };
    // What is left of the input must live until the output is in the graph (decision 0017).
    drop(input.rc);
    Ok(Normalised {
        normal: tensor(normal),
        mean: Tensor::from_inner(done.mean),
        variance: Tensor::from_inner(done.variance),
    })
}

/// The normalised batch, and the scale of each channel.
fn forward<B: Halves>(
    input: Tensor<B, 3>,
    epsilon: f64,
    group: Group,
) -> Result<(Normalised<B>, Tensor<B, 1>), Tensor<B, 3>> {
    let Some(own) = B::statistics(&input) else {
        return Err(input);
    };
    let [mean, variance] = or_unwind(group.gather(own).map(of_all));
    let scale = variance.clone().add_scalar(epsilon).sqrt().recip();
    let values = [mean.clone(), scale.clone(), mean.zeros_like()];
    let normalised = Normalised {
        normal: standardise(input, values),
        mean,
        variance,
    };
    Ok((normalised, scale))
}

/// Mean and variance over batches of one shape, of those of each, `[ranks, 2C]`.
///
/// A mean of squares less the square of the mean would lose what deviates little from a large mean. What the ranks'
/// means deviate from their mean by does not: it is off by the rounding of a mean, as the normalised batch is.
fn of_all<B: Backend>(each: Tensor<B, 2>) -> [Tensor<B, 1>; 2] {
    let channels = each.dims()[1] / 2;
    let [means, variances] = [0, channels].map(|first| each.clone().narrow(1, first, channels));
    let mean = means.clone().mean_dim(0);
    let off = means - mean.clone();
    let variance = (variances + off.square()).mean_dim(0);
    [mean, variance].map(|values| values.reshape([channels]))
}

#[derive(Debug)]
struct Normalise;

impl<B: Halves> Backward<B, 1> for Normalise {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (normal, scale, group) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            let normal = tensor(normal);
            let (gradient, own) = B::pulls(&normal, tensor(gradient));
            let values = [or_unwind(group.mean(own)), tensor(scale)];
            primitive(B::of_pulls(&normal, gradient, values))
        });
    }
}

fn or_unwind<T>(outcome: Result<T, CollectiveFailure>) -> T {
    outcome.unwrap_or_else(|failure| failure.unwind())
}

fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}
