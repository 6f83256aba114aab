use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};

use super::Linear;
use super::precision::attention;
use crate::init::{InitRng, filled};

/// Gated cross-attention from pixels to the tokens of the noise (Eq. 1 and 2):
/// a(h, w) = h + η · softmax(QKᵀ/√d) V.
///
/// Single head, no output projection, so that d equals the channels of h (notes G25, G26). The
/// gate η starts at 0. Costs HW · tokens · 2d multiply-adds.
#[derive(Module, Debug)]
pub struct CrossAttention<B: Backend> {
    /// Queries from pixels, C to C.
    pub query: Linear<B>,
    /// Keys from tokens, token width to C.
    pub key: Linear<B>,
    /// Values from tokens, token width to C.
    pub value: Linear<B>,
    /// Gate η of shape `[1]`.
    pub gate: Param<Tensor<B, 1>>,
}

impl<B: Backend> CrossAttention<B> {
    /// Cross-attention of maps with `channels` channels to tokens of `token_dim` numbers.
    pub fn new(channels: usize, token_dim: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        Self {
            query: Linear::new(channels, channels, rng, device),
            key: Linear::new(token_dim, channels, rng, device),
            value: Linear::new(token_dim, channels, rng, device),
            gate: filled([1], 0.0, device),
        }
    }

    /// The same with another initial value of the gate than 0, and initial weights `gain` times as
    /// large.
    pub fn with_initial(self, gate: f64, gain: f64) -> Self {
        let device = self.gate.lazy_device();
        Self {
            query: self.query.with_gain(gain),
            key: self.key.with_gain(gain),
            value: self.value.with_gain(gain),
            gate: filled([1], gate as f32, &device),
        }
    }

    /// Adds what each pixel reads from the tokens.
    ///
    /// # Shapes
    /// - input: `[N, C, H, W]`
    /// - tokens: `[N, tokens, token_dim]`
    /// - output: `[N, C, H, W]`
    pub fn forward(&self, input: Tensor<B, 4>, tokens: Tensor<B, 3>) -> Tensor<B, 4> {
        let dims = input.dims();
        let query = self.query.forward(to_tokens(input.clone()));
        let key = self.key.forward(tokens.clone());
        let value = self.value.forward(tokens);
        let read = to_map(single_head(query, key, value), dims);
        input + read * self.gate.val().reshape([1, 1, 1, 1])
    }
}

/// Residual self-attention over the pixels of a map (section 3.2; form of notes O7).
///
/// Single head with output projection. Costs (HW)² · 2C multiply-adds. The scores of large maps
/// are never held at once, with a graph or without
/// ([`attention`](dp_sims_backends::fused::attention)).
#[derive(Module, Debug)]
pub struct SelfAttention<B: Backend> {
    /// Queries, C to C.
    pub query: Linear<B>,
    /// Keys, C to C.
    pub key: Linear<B>,
    /// Values, C to C.
    pub value: Linear<B>,
    /// Output projection, C to C.
    pub output: Linear<B>,
}

impl<B: Backend> SelfAttention<B> {
    /// Self-attention over maps with `channels` channels.
    pub fn new(channels: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        let mut linear = || Linear::new(channels, channels, rng, device);
        Self {
            query: linear(),
            key: linear(),
            value: linear(),
            output: linear(),
        }
    }

    /// Adds what each pixel reads from the others.
    ///
    /// # Shapes
    /// - input: `[N, C, H, W]`
    /// - output: `[N, C, H, W]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let dims = input.dims();
        let tokens = to_tokens(input.clone());
        let query = self.query.forward(tokens.clone());
        let key = self.key.forward(tokens.clone());
        let value = self.value.forward(tokens);
        let read = self.output.forward(single_head(query, key, value));
        input + to_map(read, dims)
    }
}

fn to_tokens<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, channels, height, width] = map.dims();
    map.reshape([batch, channels, height * width])
        .swap_dims(1, 2)
}

fn to_map<B: Backend>(tokens: Tensor<B, 3>, dims: [usize; 4]) -> Tensor<B, 4> {
    tokens.swap_dims(1, 2).reshape(dims)
}

/// softmax(QKᵀ/√d) V over `[N, queries, d]`, `[N, keys, d]` and `[N, keys, d]`.
fn single_head<B: Backend>(
    query: Tensor<B, 3>,
    key: Tensor<B, 3>,
    value: Tensor<B, 3>,
) -> Tensor<B, 3> {
    let heads = |tensor: Tensor<B, 3>| tensor.unsqueeze_dim::<4>(1);
    attention(heads(query), heads(key), heads(value)).squeeze_dim::<3>(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;
    use burn::tensor::{ElementConversion, activation::softmax};

    use super::*;
    use crate::testing::relative_error;

    fn random<B: Backend, const D: usize>(shape: [usize; D], seed: u64) -> Tensor<B, D> {
        InitRng::new(seed, "t")
            .normal(shape, 1.0, &Default::default())
            .val()
            .detach()
    }

    fn attention_is_softmax_of_scaled_products<B: AutodiffBackend>() {
        let query = random::<B, 3>([2, 5, 4], 1);
        let key = random::<B, 3>([2, 3, 4], 2);
        let value = random::<B, 3>([2, 3, 4], 3);
        let scores = query.clone().matmul(key.clone().swap_dims(1, 2)) / 2.0;
        let expected = softmax(scores, 2).matmul(value.clone()).into_data();
        let expected: Vec<f32> = expected.to_vec().unwrap();
        let tracked = single_head(query.clone(), key.clone(), value.clone()).into_data();
        assert!(relative_error(&tracked.to_vec::<f32>().unwrap(), &expected) < 1e-5);
        let inner = single_head(query.inner(), key.inner(), value.inner()).into_data();
        assert!(relative_error(&inner.to_vec::<f32>().unwrap(), &expected) < 1e-5);
    }

    fn the_gate_is_closed_at_first_and_has_a_gradient<B: AutodiffBackend>() {
        let device = Default::default();
        let layer = CrossAttention::<B>::new(4, 6, &mut InitRng::new(0, "t"), &device);
        let input = random::<B, 4>([2, 4, 3, 2], 1);
        let output = layer.forward(input.clone(), random([2, 5, 6], 2));
        let difference: f32 = (output.clone() - input.clone())
            .abs()
            .max()
            .into_scalar()
            .elem();
        assert_eq!(difference, 0.0);
        let gradients = (output * random([2, 4, 3, 2], 3)).sum().backward();
        let gate: f32 = layer.gate.grad(&gradients).unwrap().into_scalar().elem();
        assert!(gate.abs() > 1e-3, "{gate}");
    }

    fn self_attention_keeps_the_place_of_pixels<B: AutodiffBackend>() {
        let device = Default::default();
        let layer = SelfAttention::<B>::new(4, &mut InitRng::new(0, "t"), &device);
        let input = random::<B, 4>([1, 4, 2, 3], 1);
        let mirrored = layer.forward(input.clone().flip([3])).flip([3]).into_data();
        let plain = layer.forward(input).into_data();
        let plain: Vec<f32> = plain.to_vec().unwrap();
        assert!(relative_error(&mirrored.to_vec::<f32>().unwrap(), &plain) < 1e-5);
    }

    backend_tests!(
        attention_is_softmax_of_scaled_products,
        the_gate_is_closed_at_first_and_has_a_gradient,
        self_attention_keeps_the_place_of_pixels
    );
}
