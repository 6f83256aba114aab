use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Bool, Tensor, backend::Backend};
use dp_sims_model::backbones::TokenNorm;
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::{Linear, resize_bilinear};

use super::attention::Attention;
use super::pixel_decoder::PixelFeatures;
use super::position::sine_positions;
use super::{INIT_STD, LEVELS, Mask2FormerConfig};

/// Linear layers that make the embedding of a mask.
const MASK_LAYERS: usize = 3;

/// Learned vectors, one in each row.
#[derive(Module, Debug)]
pub struct Embedding<B: Backend> {
    /// `[rows, C]`
    pub weight: Param<Tensor<B, 2>>,
}

/// Turns learned queries into the embeddings of masks and classes: each layer lets them look at one
/// of the maps, coarsest first, within the masks that the layer before predicted.
#[derive(Module, Debug)]
pub struct TransformerModule<B: Backend> {
    /// Positions of the queries, `[Q, C]`.
    pub queries_embedder: Embedding<B>,
    /// The queries before the first layer, `[Q, C]`.
    pub queries_features: Embedding<B>,
    /// Added to each map, `[levels, C]`.
    pub level_embed: Embedding<B>,
    /// The layers.
    pub decoder: MaskedDecoder<B>,
}

/// The layers of masked attention and what reads masks from them.
#[derive(Module, Debug)]
pub struct MaskedDecoder<B: Backend> {
    /// The layers.
    pub layers: Vec<DecoderLayer<B>>,
    /// Layer norm before every prediction.
    pub layernorm: TokenNorm<B>,
    /// Makes the embedding of a mask.
    pub mask_predictor: MaskPredictor<B>,
}

/// Perceptron from queries to embeddings of masks.
#[derive(Module, Debug)]
pub struct MaskPredictor<B: Backend> {
    /// The linear layers, with ReLU between them.
    pub mask_embedder: Vec<Linear<B>>,
}

/// Attention to a map, attention among the queries and a perceptron, each with a residual before
/// its layer norm.
#[derive(Module, Debug)]
pub struct DecoderLayer<B: Backend> {
    /// Attention to the pixels of a map within the query's mask.
    pub cross_attn: Attention<B>,
    /// Layer norm behind it.
    pub cross_attn_layer_norm: TokenNorm<B>,
    /// Attention among the queries.
    pub self_attn: Attention<B>,
    /// Layer norm behind it.
    pub self_attn_layer_norm: TokenNorm<B>,
    /// Into the perceptron.
    pub fc1: Linear<B>,
    /// Out of the perceptron.
    pub fc2: Linear<B>,
    /// Layer norm behind the perceptron.
    pub final_layer_norm: TokenNorm<B>,
}

/// One map as the layers see it.
struct Level<B: Backend> {
    /// `[N, pixels, C]`
    values: Tensor<B, 3>,
    /// The same with positions.
    keys: Tensor<B, 3>,
    /// Pixel embeddings in the size of the map, `[N, M, pixels]`.
    pixels: Tensor<B, 3>,
}

impl<B: Backend> TransformerModule<B> {
    /// The queries after the last layer and their masks.
    ///
    /// The masks between the layers are made in the size of the map that they are needed for, from
    /// pixel embeddings that are resized once per map. That is what resizing the masks gives, for
    /// both are linear, and costs a fraction of it.
    ///
    /// # Shapes
    ///
    /// - output: `[N, Q, C]` after the layer norm, and mask logits `[N, Q, H / 4, W / 4]`
    pub fn forward(&self, features: PixelFeatures<B>) -> (Tensor<B, 3>, Tensor<B, 4>) {
        let PixelFeatures {
            mask_features,
            levels,
            sizes,
        } = features;
        let [batch, embedding, height, width] = mask_features.dims();
        let device = mask_features.device();
        let added = self.level_embed.weight.val();
        let hidden = added.dims()[1];
        let levels: Vec<Level<B>> = levels
            .into_iter()
            .zip(sizes)
            .enumerate()
            .map(|(level, (map, [rows, columns]))| {
                let values = map + added.clone().narrow(0, level, 1).unsqueeze::<3>();
                let positions = sine_positions([rows, columns], hidden, &device);
                let pixels = resize_bilinear(mask_features.clone(), rows, columns);
                Level {
                    keys: values.clone() + positions,
                    values,
                    pixels: pixels.reshape([batch, embedding, rows * columns]),
                }
            })
            .collect();
        let table = |table: &Embedding<B>| table.weight.val().unsqueeze::<3>().repeat_dim(0, batch);
        let places = table(&self.queries_embedder);
        let queries = table(&self.queries_features);
        let queries = self.decoder.forward(queries, places, &levels);

        let queries = self.decoder.layernorm.forward(queries);
        let masks = self.decoder.mask_predictor.forward(queries.clone());
        let count = masks.dims()[1];
        let pixels = mask_features.reshape([batch, embedding, height * width]);
        let masks = masks.matmul(pixels).reshape([batch, count, height, width]);
        (queries, masks)
    }
}

impl<B: Backend> MaskedDecoder<B> {
    /// The queries after the last layer, without the norm, `[N, Q, C]`.
    fn forward(
        &self,
        mut queries: Tensor<B, 3>,
        places: Tensor<B, 3>,
        levels: &[Level<B>],
    ) -> Tensor<B, 3> {
        for (index, layer) in self.layers.iter().enumerate() {
            let level = &levels[index % LEVELS];
            let masks = self.layernorm.forward(queries.clone());
            let masks = self.mask_predictor.forward(masks);
            let unseen = outside(masks.matmul(level.pixels.clone()));
            queries = layer.forward(queries, places.clone(), level, unseen);
        }
        queries
    }
}

/// The pixels outside each mask, where it is less likely than not: those of negative logits. A mask
/// without a pixel inside leaves out none.
///
/// # Shapes
///
/// - `logits`, output: `[N, Q, pixels]`
fn outside<B: Backend>(logits: Tensor<B, 3>) -> Tensor<B, 3, Bool> {
    let shape = logits.shape();
    let empty = logits.clone().max_dim(2).lower_elem(0.0);
    let occupied = empty.bool_not().expand(shape);
    logits.lower_elem(0.0).bool_and(occupied)
}

impl<B: Backend> MaskPredictor<B> {
    pub(super) fn new(config: &Mask2FormerConfig, rng: &mut InitRng, device: &B::Device) -> Self {
        let hidden = config.hidden;
        let layer = |index| {
            let last = index + 1 == MASK_LAYERS;
            let output = if last { config.mask_features } else { hidden };
            Linear::normal([hidden, output], INIT_STD, rng, device)
        };
        Self {
            mask_embedder: (0..MASK_LAYERS).map(layer).collect(),
        }
    }

    /// # Shapes
    ///
    /// - `queries`: `[N, Q, C]`
    /// - output: `[N, Q, M]`
    fn forward(&self, queries: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut hidden = queries;
        for (index, layer) in self.mask_embedder.iter().enumerate() {
            if index > 0 {
                hidden = relu(hidden);
            }
            hidden = layer.forward(hidden);
        }
        hidden
    }
}

impl<B: Backend> DecoderLayer<B> {
    pub(super) fn new(config: &Mask2FormerConfig, rng: &mut InitRng, device: &B::Device) -> Self {
        let (hidden, inner) = (config.hidden, config.decoder_feedforward);
        let norm = || TokenNorm::new(hidden, device);
        Self {
            cross_attn: Attention::new(hidden, config.heads, rng, device),
            cross_attn_layer_norm: norm(),
            self_attn: Attention::new(hidden, config.heads, rng, device),
            self_attn_layer_norm: norm(),
            fc1: Linear::normal([hidden, inner], INIT_STD, rng, device),
            fc2: Linear::normal([inner, hidden], INIT_STD, rng, device),
            final_layer_norm: norm(),
        }
    }

    /// # Shapes
    ///
    /// - `queries`, `places`, output: `[N, Q, C]`
    /// - `unseen`: `[N, Q, pixels]`
    fn forward(
        &self,
        queries: Tensor<B, 3>,
        places: Tensor<B, 3>,
        level: &Level<B>,
        unseen: Tensor<B, 3, Bool>,
    ) -> Tensor<B, 3> {
        let placed = queries.clone() + places.clone();
        let (keys, values) = (level.keys.clone(), level.values.clone());
        let read = self.cross_attn.forward(placed, keys, values, Some(unseen));
        let queries = self.cross_attn_layer_norm.forward(queries + read);

        let placed = queries.clone() + places;
        let read = self
            .self_attn
            .forward(placed.clone(), placed, queries.clone(), None);
        let queries = self.self_attn_layer_norm.forward(queries + read);

        let inner = relu(self.fc1.forward(queries.clone()));
        self.final_layer_norm
            .forward(queries + self.fc2.forward(inner))
    }
}
