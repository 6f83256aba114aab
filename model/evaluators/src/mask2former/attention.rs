use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Tensor, backend::Backend};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::Linear;

use super::INIT_STD;

/// Score of a key that a query must not see: nothing is left of it after the exponential.
const UNSEEN: f32 = -1e30;

/// Multi-head attention, softmax(QKᵀ/√d) V.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// Queries, C → C.
    pub q_proj: Linear<B>,
    /// Keys, C → C.
    pub k_proj: Linear<B>,
    /// Values, C → C.
    pub v_proj: Linear<B>,
    /// Output, C → C.
    pub out_proj: Linear<B>,
    heads: usize,
}

impl<B: Backend> Attention<B> {
    pub(super) fn new(
        channels: usize,
        heads: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let mut linear = || Linear::normal([channels, channels], INIT_STD, rng, device);
        Self {
            q_proj: linear(),
            k_proj: linear(),
            v_proj: linear(),
            out_proj: linear(),
            heads,
        }
    }

    /// Keeps the scores of every head, query and key: N · heads · Q · K numbers, twice.
    ///
    /// # Shapes
    ///
    /// - `query`, output: `[N, Q, C]`
    /// - `key`, `value`: `[N, K, C]`
    /// - `unseen`: `[N, Q, K]`, true where the query does not see the key; no row may be all true
    pub fn forward(
        &self,
        query: Tensor<B, 3>,
        key: Tensor<B, 3>,
        value: Tensor<B, 3>,
        unseen: Option<Tensor<B, 3, Bool>>,
    ) -> Tensor<B, 3> {
        let [batch, queries, channels] = query.dims();
        let (keys, width) = (key.dims()[1], channels / self.heads);
        let split = |tensor: Tensor<B, 3>| {
            let [batch, count, _] = tensor.dims();
            tensor
                .reshape([batch, count, self.heads, width])
                .swap_dims(1, 2)
        };
        let query = self.q_proj.forward(query) * (width as f64).powf(-0.5);
        let key = split(self.k_proj.forward(key)).swap_dims(2, 3);
        let mut scores = split(query).matmul(key);
        if let Some(unseen) = unseen {
            let unseen = unseen
                .reshape([batch, 1, queries, keys])
                .expand([batch, self.heads, queries, keys]);
            scores = scores.mask_fill(unseen, UNSEEN);
        }
        let read = softmax(scores, 3).matmul(split(self.v_proj.forward(value)));
        let read = read.swap_dims(1, 2).reshape([batch, queries, channels]);
        self.out_proj.forward(read)
    }
}
