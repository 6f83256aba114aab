use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::backbones::{TokenNorm, normalised};
use dp_sims_model::init::{InitRng, filled};
use dp_sims_model::layers::{Conv, ConvConfig, Linear, resize_bilinear};

use super::deformable::{DeformableAttention, Pyramid};
use super::position::sine_positions;
use super::{INIT_STD, LEVELS, Mask2FormerConfig};

/// Groups of every group norm.
pub(super) const GROUPS: usize = 32;
/// Added to the variance, PyTorch's default.
const EPSILON: f64 = 1e-5;

/// Group norm with 32 groups of channels.
#[derive(Module, Debug)]
pub struct GroupNorm<B: Backend> {
    /// `[C]`
    pub weight: Param<Tensor<B, 1>>,
    /// `[C]`
    pub bias: Param<Tensor<B, 1>>,
}

/// Makes pixel embeddings at stride 4 and feature maps at strides 32, 16 and 8 of the outputs of
/// the backbone: layers of deformable attention over the coarse maps, and one step of a feature
/// pyramid to the finest.
#[derive(Module, Debug)]
pub struct PixelDecoder<B: Backend> {
    /// 1 × 1 convolution and norm for each coarse map, coarsest first.
    pub input_projections: Vec<(Conv<B>, GroupNorm<B>)>,
    /// Added to the positions of each map, `[levels, C]`.
    pub level_embed: Param<Tensor<B, 2>>,
    /// The layers of deformable attention.
    pub encoder: PixelEncoder<B>,
    /// 1 × 1 convolution and norm for the finest map.
    pub adapter_1: (Conv<B>, GroupNorm<B>),
    /// 3 × 3 convolution and norm behind the sum.
    pub layer_1: (Conv<B>, GroupNorm<B>),
    /// 1 × 1 convolution to the pixel embeddings.
    pub mask_projection: Conv<B>,
}

/// Layers of deformable attention.
#[derive(Module, Debug)]
pub struct PixelEncoder<B: Backend> {
    /// The layers.
    pub layers: Vec<PixelEncoderLayer<B>>,
}

/// Deformable attention and a perceptron, each with a residual before its layer norm.
#[derive(Module, Debug)]
pub struct PixelEncoderLayer<B: Backend> {
    /// Attention to points of all maps.
    pub self_attn: DeformableAttention<B>,
    /// Layer norm behind attention.
    pub self_attn_layer_norm: TokenNorm<B>,
    /// Into the perceptron.
    pub fc1: Linear<B>,
    /// Out of the perceptron.
    pub fc2: Linear<B>,
    /// Layer norm behind the perceptron.
    pub final_layer_norm: TokenNorm<B>,
}

/// What the pixel decoder makes of an image.
#[derive(Debug)]
pub struct PixelFeatures<B: Backend> {
    /// Pixel embeddings, `[N, M, H / 4, W / 4]`.
    pub mask_features: Tensor<B, 4>,
    /// Maps at strides 32, 16 and 8, `[N, h · w, C]`.
    pub levels: Vec<Tensor<B, 3>>,
    /// Height and width of these maps.
    pub sizes: [[usize; 2]; LEVELS],
}

impl<B: Backend> GroupNorm<B> {
    fn new(channels: usize, device: &B::Device) -> Self {
        Self {
            weight: filled([channels], 1.0, device),
            bias: filled([channels], 0.0, device),
        }
    }

    /// # Shapes
    ///
    /// - `input`, output: `[N, C, H, W]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, channels, height, width] = input.dims();
        let grouped = input.reshape([(batch * GROUPS) as i64, -1]);
        let normal = normalised(grouped, 1, EPSILON).reshape([batch, channels, height, width]);
        normal * self.weight.val().reshape([1, channels, 1, 1])
            + self.bias.val().reshape([1, channels, 1, 1])
    }
}

impl<B: Backend> PixelDecoder<B> {
    pub(super) fn new(config: &Mask2FormerConfig, rng: &mut InitRng, device: &B::Device) -> Self {
        let hidden = config.hidden;
        let channels = config.swin.tap_channels();
        let mut normed = |input, kernel, bias| {
            let conv = ConvConfig::new(input, hidden, kernel).with_bias(bias);
            (
                conv.init_he(2.0, rng, device),
                GroupNorm::new(hidden, device),
            )
        };
        let input_projections = channels[1..]
            .iter()
            .rev()
            .map(|&channels| normed(channels, 1, true))
            .collect();
        let adapter_1 = normed(channels[0], 1, false);
        let layer_1 = normed(hidden, 3, false);
        Self {
            input_projections,
            level_embed: rng.normal([LEVELS, hidden], 1.0, device),
            encoder: PixelEncoder {
                layers: (0..config.encoder_layers)
                    .map(|_| PixelEncoderLayer::new(config, rng, device))
                    .collect(),
            },
            adapter_1,
            layer_1,
            mask_projection: ConvConfig::new(hidden, config.mask_features, 1)
                .init_he(2.0, rng, device),
        }
    }

    /// # Shapes
    ///
    /// - `stages`: `[N, C_i, h, w]` of the four stages of the backbone, finest first
    ///
    /// # Panics
    ///
    /// Panics when there are fewer stages.
    pub fn forward(&self, stages: Vec<Tensor<B, 4>>) -> PixelFeatures<B> {
        let mut stages = stages.into_iter();
        let finest = stages.next().expect("the backbone has four stages");
        let coarse: Vec<Tensor<B, 4>> = stages
            .rev()
            .zip(&self.input_projections)
            .map(|(stage, (conv, norm))| norm.forward(conv.forward(stage)))
            .collect();
        let device = finest.device();
        let [batch, hidden, ..] = coarse[0].dims();
        let sizes = std::array::from_fn(|level| {
            let [_, _, height, width] = coarse[level].dims();
            [height, width]
        });
        let pyramid = Pyramid::new(sizes, &device);
        let embeddings = self.level_embed.val();
        let positions = (0..LEVELS).map(|level| {
            let embedding = embeddings.clone().narrow(0, level, 1).unsqueeze::<3>();
            sine_positions(sizes[level], hidden, &device) + embedding
        });
        let positions = Tensor::cat(positions.collect(), 1);
        let tokens = coarse
            .into_iter()
            .map(|map| map.flatten(2, 3).swap_dims(1, 2));
        let mut tokens = Tensor::cat(tokens.collect(), 1);
        for layer in &self.encoder.layers {
            tokens = layer.forward(tokens, positions.clone(), &pyramid);
        }
        let levels: Vec<Tensor<B, 3>> = tokens.split_with_sizes(pyramid.counts().to_vec(), 1);

        let [rows, columns] = sizes[LEVELS - 1];
        let coarser = levels[LEVELS - 1].clone().swap_dims(1, 2);
        let coarser = coarser.reshape([batch, hidden, rows, columns]);
        let [_, _, height, width] = finest.dims();
        let lateral = self.adapter_1.1.forward(self.adapter_1.0.forward(finest));
        let joined = lateral + resize_bilinear(coarser, height, width);
        let joined = relu(self.layer_1.1.forward(self.layer_1.0.forward(joined)));
        PixelFeatures {
            mask_features: self.mask_projection.forward(joined),
            levels,
            sizes,
        }
    }
}

impl<B: Backend> PixelEncoderLayer<B> {
    fn new(config: &Mask2FormerConfig, rng: &mut InitRng, device: &B::Device) -> Self {
        let (hidden, inner) = (config.hidden, config.encoder_feedforward);
        Self {
            self_attn: DeformableAttention::new(hidden, config.heads, rng, device),
            self_attn_layer_norm: TokenNorm::new(hidden, device),
            fc1: Linear::normal([hidden, inner], INIT_STD, rng, device),
            fc2: Linear::normal([inner, hidden], INIT_STD, rng, device),
            final_layer_norm: TokenNorm::new(hidden, device),
        }
    }

    /// # Shapes
    ///
    /// - `tokens`, output: `[N, pixels, C]`
    /// - `positions`: `[1, pixels, C]`
    fn forward(
        &self,
        tokens: Tensor<B, 3>,
        positions: Tensor<B, 3>,
        pyramid: &Pyramid<B>,
    ) -> Tensor<B, 3> {
        let query = tokens.clone() + positions;
        let read = self.self_attn.forward(query, tokens.clone(), pyramid);
        let hidden = self.self_attn_layer_norm.forward(tokens + read);
        let inner = relu(self.fc1.forward(hidden.clone()));
        self.final_layer_norm
            .forward(hidden + self.fc2.forward(inner))
    }
}
