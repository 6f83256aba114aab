#![allow(
    clippy::result_large_err,
    reason = "an error is no failure: it hands the tensor back, as it came"
)]

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::tensor::{Tensor, TensorPrimitive, backend::Backend};

use super::{Group, current};
use crate::attempt::attempt;

/// Tries every backend that is compiled in, without a graph and with one, and returns from the function
/// around it where the tensor is of one.
macro_rules! on_backends {
    ($tensor:ident, $group:ident, $($feature:literal: $Backend:ty),+ $(,)?) => {{
        $(
            #[cfg(feature = $feature)]
            let $tensor = match attempt($tensor, |own| plain::<$Backend>(own, $group)) {
                Ok(output) => return output,
                Err(tensor) => tensor,
            };
            #[cfg(feature = $feature)]
            let $tensor = match attempt($tensor, |own| tracked::<$Backend>(own, $group)) {
                Ok(output) => return output,
                Err(tensor) => tensor,
            };
        )+
        $tensor
    }};
}

/// The mean of the ranks' tensors, where the work is that of a [group](super::Group::run); the tensor itself
/// where a thread works alone.
///
/// Gradients are those of a loss that is the mean of the ranks' losses, times the number of ranks: what a
/// rank gets if gradients of parameters are averaged over ranks afterwards. One all-reduce forward and one
/// backward, which no backward pass of another rank may be in the way of (`Group::wait` before it).
///
/// # Shapes
/// - values: `[C]`, the same on every rank
/// - output: `[C]`
///
/// # Panics
/// When the ranks cannot agree, without a message but to whoever catches it, a [`String`].
pub fn mean_over_ranks<B: Backend>(values: Tensor<B, 1>) -> Tensor<B, 1> {
    let Some(group) = current() else {
        return values;
    };
    let _other = on_backends!(values, group,
        "flex": dp_sims_cpu::Cpu,
        "ndarray": burn_ndarray::NdArray,
        "wgpu": crate::gpu::Gpu<burn_wgpu::WgpuRuntime, u32>,
        "cuda": crate::gpu::Gpu<cubecl::cuda::CudaRuntime, u8>,
    );
    unreachable!("every backend of this crate is tried");
}

fn mean<B: Backend>(tensor: Tensor<B, 1>, group: Group) -> Tensor<B, 1> {
    let mean = group.mean(tensor);
    mean.unwrap_or_else(|failure| failure.unwind())
}

fn plain<B: Backend>(tensor: Tensor<B, 1>, group: Group) -> Result<Tensor<B, 1>, Tensor<B, 1>> {
    Ok(mean(tensor, group))
}

type Tracked<B> = Tensor<Autodiff<B>, 1>;

fn tracked<B: Backend>(tensor: Tracked<B>, group: Group) -> Result<Tracked<B>, Tracked<B>> {
    let input = tensor.into_primitive().tensor();
    let own = Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(input.primitive.clone()));
    let output = mean(own, group).into_primitive().tensor();
    let kind = Mean
        .prepare::<NoCheckpointing>([input.node])
        .compute_bound()
        .stateful();
    let output = match kind {
        OpsKind::Tracked(prepared) => prepared.finish(group, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    // What is left of the input must live until the output is in the graph (decision 0017).
    drop(input.rc);
    Ok(Tensor::from_primitive(TensorPrimitive::Float(output)))
}

/// The mean over ranks with its gradient, the same mean of gradients.
#[derive(Debug)]
struct Mean;

impl<B: Backend> Backward<B, 1> for Mean {
    type State = Group;

    fn backward(self, ops: Ops<Group, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let group = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            let gradient = Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(gradient));
            mean(gradient, group).into_primitive().tensor()
        });
    }
}
