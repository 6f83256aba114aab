use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::module;
use burn::tensor::{Tensor, TensorPrimitive, activation};

use crate::attempt::attempt;
use crate::terms::MANY_SCORES;

/// Scores that the backward pass computes at a time, of all heads and images together.
const AT_ONCE: usize = 1 << 22;

/// softmax(QKᵀ/√d) V.
///
/// Without a graph, and with one where there are few scores, this is burn's attention, whose graph keeps
/// the matrix of scores. Where there are many, the graph keeps the operands and the output, and the
/// backward pass computes the scores again, block by block of queries: memory grows with the number of
/// tokens and not with its square, for one more product of queries and keys. The gradients are exact.
///
/// # Shapes
/// - query: `[N, heads, queries, d]`
/// - key: `[N, heads, keys, d]`
/// - value: `[N, heads, keys, d_v]`
/// - output: `[N, heads, queries, d_v]`
pub fn attention<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [_, _, queries, _] = query.dims();
    let [_, _, keys, _] = key.dims();
    let operands = [query, key, value];
    if keeps_scores(queries, keys) {
        return kept(operands);
    }
    in_blocks(operands).unwrap_or_else(kept)
}

/// Whether the graph of [`attention`] keeps the scores.
pub fn keeps_scores(queries: usize, keys: usize) -> bool {
    queries * keys < MANY_SCORES
}

fn kept<B: Backend>([query, key, value]: [Tensor<B, 4>; 3]) -> Tensor<B, 4> {
    module::attention(query, key, value, None, None, Default::default())
}

/// With a graph, on a backend that is known.
fn in_blocks<B: Backend>(operands: [Tensor<B, 4>; 3]) -> Result<Tensor<B, 4>, [Tensor<B, 4>; 3]> {
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, tracked::<dp_sims_cpu::Cpu>) {
        Err(operands) => operands,
        output => return output,
    };
    #[cfg(feature = "ndarray")]
    let operands = match attempt(operands, tracked::<burn_ndarray::NdArray>) {
        Err(operands) => operands,
        output => return output,
    };
    #[cfg(feature = "wgpu")]
    let operands = match attempt(
        operands,
        tracked::<crate::gpu::Gpu<burn_wgpu::WgpuRuntime, u32>>,
    ) {
        Err(operands) => operands,
        output => return output,
    };
    #[cfg(feature = "cuda")]
    let operands = match attempt(
        operands,
        tracked::<crate::gpu::Gpu<cubecl::cuda::CudaRuntime, u8>>,
    ) {
        Err(operands) => operands,
        output => return output,
    };
    Err(operands)
}

type Tracked<I> = Tensor<Autodiff<I>, 4>;

fn tracked<I: Backend>(operands: [Tracked<I>; 3]) -> Result<Tracked<I>, [Tracked<I>; 3]> {
    let [query, key, value] = operands.map(|operand| operand.into_primitive().tensor());
    let nodes = [query.node.clone(), key.node.clone(), value.node.clone()];
    let kind = Attention
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful();
    let inner = [&query, &key, &value].map(|operand| plain::<I>(operand.primitive.clone()));
    let output = kept(inner.clone());
    let output_primitive = output.clone().into_primitive().tensor();
    let output = match kind {
        OpsKind::Tracked(prep) => {
            let [query, key, value] = inner;
            prep.finish([query, key, value, output], output_primitive)
        }
        OpsKind::UnTracked(prep) => prep.finish(output_primitive),
    };
    // What is left of the operands must live until the output is in the graph (decision 0017).
    drop((query.rc, key.rc, value.rc));
    Ok(Tensor::from_primitive(TensorPrimitive::Float(output)))
}

fn plain<I: Backend>(primitive: I::FloatTensorPrimitive) -> Tensor<I, 4> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

#[derive(Debug)]
struct Attention;

impl<I: Backend> Backward<I, 3> for Attention {
    /// Query, key, value and output.
    type State = [Tensor<I, 4>; 4];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = plain::<I>(grads.consume::<I>(&ops.node));
        let of_operands = gradients(ops.state, gradient);
        for (parent, of_operand) in ops.parents.into_iter().zip(of_operands) {
            if let Some(node) = parent {
                grads.register::<I>(node.id, of_operand.into_primitive().tensor());
            }
        }
    }
}

/// With P = softmax(S), S = QKᵀ/√d and a gradient G of the output O = PV: dV = PᵀG, dS = P ∘ (GVᵀ −
/// rows(G ∘ O)), dQ = dS K/√d, dK = dSᵀ Q/√d, each a sum or a row over blocks of queries.
fn gradients<I: Backend>(
    [query, key, value, output]: [Tensor<I, 4>; 4],
    gradient: Tensor<I, 4>,
) -> [Tensor<I, 4>; 3] {
    let [batch, heads, queries, depth] = query.dims();
    let [_, _, keys, _] = key.dims();
    let scale = 1.0 / (depth as f64).sqrt();
    let block = (AT_ONCE / (batch * heads * keys)).clamp(1, queries);
    let mut of_query = Vec::with_capacity(queries.div_ceil(block));
    let mut of_key = Tensor::zeros_like(&key);
    let mut of_value = Tensor::zeros_like(&value);
    for start in (0..queries).step_by(block) {
        let rows = |tensor: &Tensor<I, 4>| {
            let count = block.min(queries - start);
            tensor.clone().narrow(2, start, count)
        };
        let (query, gradient, output) = (rows(&query), rows(&gradient), rows(&output));
        let scores = query.clone().matmul(key.clone().swap_dims(2, 3)) * scale;
        let shares = activation::softmax(scores, 3);
        of_value = of_value + shares.clone().swap_dims(2, 3).matmul(gradient.clone());
        let sums = (gradient.clone() * output).sum_dim(3);
        let of_shares = gradient.matmul(value.clone().swap_dims(2, 3));
        let of_scores = shares * (of_shares - sums) * scale;
        of_key = of_key + of_scores.clone().swap_dims(2, 3).matmul(query);
        of_query.push(of_scores.matmul(key.clone()));
    }
    [Tensor::cat(of_query, 2), of_key, of_value]
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::{assert_close, backend_tests, numbers};
    use super::*;

    type Form<B> = fn([Tensor<B, 4>; 3]) -> Tensor<B, 4>;

    fn agrees_with_that_of_burn<B: AutodiffBackend>() {
        for (batch, heads, queries, keys, depth, width) in
            [(2, 1, 7, 5, 4, 3), (1, 2, 33, 40, 8, 8), (3, 1, 1, 1, 2, 2)]
        {
            let run = |form: Form<B>| {
                let operands = [
                    numbers::<B, 4>([batch, heads, queries, depth], 1),
                    numbers::<B, 4>([batch, heads, keys, depth], 2),
                    numbers::<B, 4>([batch, heads, keys, width], 3),
                ]
                .map(Tensor::require_grad);
                // In the layout of tokens, as attention reads a map.
                let output = form(
                    operands
                        .clone()
                        .map(|operand| operand.swap_dims(2, 3).swap_dims(2, 3) * 2.0),
                );
                let weights = numbers([batch, heads, queries, width], 4);
                let gradients = (output.clone() * weights).sum().backward();
                let of_operands = operands.map(|operand| operand.grad(&gradients).unwrap());
                (output.inner(), of_operands)
            };
            let found = run(|operands| in_blocks(operands).unwrap());
            let expected = run(kept);
            assert_close(found.0, expected.0, 1e-5, "output");
            for (found, expected) in found.1.into_iter().zip(expected.1) {
                assert_close(found, expected, 1e-4, "gradient");
            }
        }
    }

    /// Blocks of queries that do not divide their number.
    fn blocks_make_no_difference<B: AutodiffBackend>() {
        type I<B> = <B as AutodiffBackend>::InnerBackend;
        let keys = AT_ONCE / 3;
        let operands = || {
            [
                numbers::<I<B>, 4>([1, 1, 7, 1], 1),
                numbers([1, 1, keys, 1], 2),
                numbers([1, 1, keys, 1], 3),
                numbers([1, 1, 7, 1], 4),
            ]
        };
        let gradient = || numbers::<I<B>, 4>([1, 1, 7, 1], 5);
        let whole = gradients(operands(), gradient());
        let parts = (0..7).map(|row| {
            let [query, key, value, output] = operands();
            let of_row = |tensor: Tensor<I<B>, 4>| tensor.narrow(2, row, 1);
            let operands = [of_row(query), key, value, of_row(output)];
            gradients(operands, of_row(gradient()))
        });
        let parts: Vec<_> = parts.collect();
        let of_query = parts.iter().map(|part| part[0].clone()).collect();
        assert_close(whole[0].clone(), Tensor::cat(of_query, 2), 1e-4, "query");
        for operand in [1, 2] {
            let sum = parts.iter().map(|part| part[operand].clone());
            let sum = sum.reduce(|sum, part| sum + part).unwrap();
            assert_close(whole[operand].clone(), sum, 1e-4, "key or value");
        }
    }

    backend_tests!(agrees_with_that_of_burn);

    #[cfg(feature = "flex")]
    #[test]
    fn blocks_make_no_difference_on_flex() {
        blocks_make_no_difference::<crate::FlexAutodiff>();
    }
}
