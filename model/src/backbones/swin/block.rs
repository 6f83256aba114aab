use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};

use super::super::pointwise::{Mlp, TokenNorm};
use super::INIT_STD;
use super::windows::{Windows, padded};
use crate::init::InitRng;
use crate::layers::{Linear, matmul};

/// Attention within windows, then a perceptron, each behind a layer norm and beside a residual.
#[derive(Module, Debug)]
pub struct SwinBlock<B: Backend> {
    /// Layer norm before attention.
    pub norm1: TokenNorm<B>,
    /// Attention within windows.
    pub attn: WindowAttention<B>,
    /// Layer norm before the perceptron.
    pub norm2: TokenNorm<B>,
    /// Perceptron C → 4C → C.
    pub mlp: Mlp<B>,
    shifted: bool,
}

/// Multi-head self-attention among the pixels of a window with a bias for their relative position.
#[derive(Module, Debug)]
pub struct WindowAttention<B: Backend> {
    /// Bias by relative position and head, `[(2 · window - 1)², heads]`.
    pub relative_position_bias_table: Param<Tensor<B, 2>>,
    /// Queries, keys and values, C → 3C.
    pub qkv: Linear<B>,
    /// Output, C → C.
    pub proj: Linear<B>,
    heads: usize,
}

/// Joins the 2 × 2 pixels of a patch, normalises them and halves their channels: from C to 2C at
/// half the resolution.
#[derive(Module, Debug)]
pub struct PatchMerging<B: Backend> {
    /// Layer norm over the 4C channels of a patch.
    pub norm: TokenNorm<B>,
    /// 4C → 2C
    pub reduction: Linear<B>,
}

impl<B: Backend> SwinBlock<B> {
    pub(super) fn new(
        channels: usize,
        heads: usize,
        window: usize,
        shifted: bool,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        Self {
            norm1: TokenNorm::new(channels, device),
            attn: WindowAttention {
                relative_position_bias_table: rng.normal(
                    [(2 * window - 1).pow(2), heads],
                    INIT_STD,
                    device,
                ),
                qkv: Linear::normal([channels, 3 * channels], INIT_STD, rng, device),
                proj: Linear::normal([channels, channels], INIT_STD, rng, device),
                heads,
            },
            norm2: TokenNorm::new(channels, device),
            mlp: Mlp::new(channels, INIT_STD, rng, device),
            shifted,
        }
    }

    /// # Shapes
    ///
    /// - `input`, output: `[N, H, W, C]`, of the map for which `windows` were made
    pub(super) fn forward(&self, input: Tensor<B, 4>, windows: &Windows<B>) -> Tensor<B, 4> {
        let cut = windows.partition(self.norm1.forward(input.clone()), self.shifted);
        let read = self.attn.forward(cut, windows, self.shifted);
        let hidden = input + windows.merge(read, self.shifted);
        hidden.clone() + self.mlp.forward(self.norm2.forward(hidden))
    }
}

impl<B: Backend> WindowAttention<B> {
    /// softmax(QKᵀ/√d + bias + mask) V in each window.
    ///
    /// # Shapes
    ///
    /// - `input`, output: `[N · windows, area, C]`
    fn forward(&self, input: Tensor<B, 3>, windows: &Windows<B>, shifted: bool) -> Tensor<B, 3> {
        let [count, area, channels] = input.dims();
        let (heads, width) = (self.heads, channels / self.heads);
        let joint = self
            .qkv
            .forward(input)
            .reshape([count, area, 3, heads, width])
            .permute([2, 0, 3, 1, 4]);
        let part = |index: usize| {
            let part = joint.clone().narrow(0, index, 1);
            part.reshape([count, heads, area, width])
        };
        let query = part(0) * (width as f64).powf(-0.5);
        let scores = matmul(query, part(1).swap_dims(2, 3));
        let bias = windows.bias(self.relative_position_bias_table.val());
        let mut scores = scores.reshape([count, heads * area * area]) + bias;
        if let Some(mask) = windows.mask(shifted) {
            scores = scores.reshape([-1, mask.dims()[1] as i64]) + mask;
        }
        let scores = scores.reshape([count, heads, area, area]);
        let largest = scores.clone().detach().max_dim(3);
        let weights = (scores - largest).exp();
        // The outputs are divided by the sum, since they are fewer than the weights; by a square
        // root twice, since ndarray approximates reciprocals, also where it divides.
        let root = weights.clone().sum_dim(3).powf_scalar(-0.5);
        let read = matmul(weights, part(2)) * root.square();
        let read = read.swap_dims(1, 2).reshape([count, area, channels]);
        self.proj.forward(read)
    }
}

impl<B: Backend> PatchMerging<B> {
    pub(super) fn new(channels: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        Self {
            norm: TokenNorm::new(4 * channels, device),
            reduction: Linear::normal([4 * channels, 2 * channels], INIT_STD, rng, device)
                .without_bias(),
        }
    }

    /// # Shapes
    ///
    /// - `input`: `[N, H, W, C]`; an odd side is padded with zeros at its end
    /// - output: `[N, ceil(H / 2), ceil(W / 2), 2C]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, height, width, channels] = input.dims();
        let input = padded(input, [height % 2, width % 2]);
        let (rows, columns) = (height.div_ceil(2), width.div_ceil(2));
        // Down the first column of a patch, then down the second.
        let patches = input
            .reshape([batch, rows, 2, columns, 2, channels])
            .permute([0, 1, 3, 4, 2, 5])
            .reshape([batch, rows, columns, 4 * channels]);
        self.reduction.forward(self.norm.forward(patches))
    }
}
