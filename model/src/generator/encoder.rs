use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::{Activation, GeneratorConfig, NoiseMode};
use crate::init::InitRng;
use crate::layers::{
    BatchNorm, Conv, ConvConfig, CrossAttention, LabelConv, LabelMaps, LatentConv, Mode,
    SelfAttention, concat,
};

/// One level of the label-map encoder: 3×3 convolution, batch norm, activation, attention where
/// the stride is coarse enough, pointwise convolution (section 3.2; order of notes O4).
#[derive(Module, Debug)]
pub struct EncoderLevel<B: Backend> {
    /// 3×3 convolution; stride 2 from the third level on.
    pub conv: Conv<B>,
    /// Affine batch norm after it.
    pub norm: BatchNorm<B>,
    /// Noise injection.
    pub cross_attention: Option<CrossAttention<B>>,
    /// Context.
    pub self_attention: Option<SelfAttention<B>>,
    /// Pointwise convolution whose output conditions a SPADE block; DP-GAN has none.
    pub pointwise: Option<Conv<B>>,
    /// After the batch norm.
    #[module(skip)]
    pub activation: Activation,
}

/// The label-map encoder: a stem over the label map and a pyramid of levels (notes G16, G22).
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    /// First convolution over the label map.
    pub label_conv: LabelConv<B>,
    /// Convolution over the repeated latent, with [`NoiseMode::Concat`] only.
    pub noise_conv: Option<LatentConv<B>>,
    /// Batch norm after the stem.
    pub norm: BatchNorm<B>,
    /// Levels from full resolution to the start grid.
    pub levels: Vec<EncoderLevel<B>>,
    /// After the batch norm of the stem.
    #[module(skip)]
    pub activation: Activation,
}

impl<B: Backend> Encoder<B> {
    /// The encoder of a generator.
    pub fn new(
        config: &GeneratorConfig,
        classes: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let channels = &config.encoder_channels;
        let levels = (1..channels.len())
            .map(|index| {
                let stride = 1 << (index - 1);
                let attends = stride >= config.attention_stride;
                let cross = attends && config.noise == NoiseMode::CrossAttention;
                let width = channels[index];
                EncoderLevel {
                    conv: ConvConfig::new(channels[index - 1], width, 3)
                        .with_stride(if index == 1 { 1 } else { 2 })
                        .init(rng, device),
                    norm: BatchNorm::affine(width, rng, device),
                    cross_attention: cross.then(|| {
                        CrossAttention::new(width, config.token_dim, rng, device)
                            .with_initial(config.initial_gate, config.initial_noise_gain)
                    }),
                    self_attention: (attends && config.self_attention)
                        .then(|| SelfAttention::new(width, rng, device)),
                    pointwise: config
                        .pointwise
                        .then(|| ConvConfig::new(width, width, 1).init(rng, device)),
                    activation: config.encoder_activation,
                }
            })
            .collect();
        Self {
            label_conv: LabelConv::new(config.label_channels(classes), channels[0], rng, device),
            noise_conv: (config.noise == NoiseMode::Concat)
                .then(|| LatentConv::new(config.latent_dim, channels[0], rng, device)),
            norm: BatchNorm::affine(channels[0], rng, device),
            levels,
            activation: config.encoder_activation,
        }
    }

    /// Keeps what evaluation makes of running statistics.
    pub(super) fn fold(&mut self) {
        self.norm.fold();
        self.levels.iter_mut().for_each(|level| level.norm.fold());
    }

    /// What lies before the levels. Images `n`, `n + N`, `n + 2N`, … of the output belong to label map `n`; as long as
    /// no noise has entered, there is one for every map.
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`
    /// - latent: `[kN, latent_dim]`
    /// - output: `[N, channels, H, W]`, or `[kN, channels, H, W]` with [`NoiseMode::Concat`]
    pub(super) fn stem(
        &mut self,
        label_maps: LabelMaps<B>,
        latent: Tensor<B, 2>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let [maps, height, width] = label_maps.dims();
        let images = latent.dims()[0];
        let mut features = self.label_conv.forward(label_maps);
        if let Some(conv) = &self.noise_conv {
            let noise = conv.forward(latent, height, width);
            features = repeat_batch(features, images / maps) + noise;
        }
        self.activation.forward(self.norm.forward(features, mode))
    }
}

impl<B: Backend> EncoderLevel<B> {
    /// Encodes one level further.
    ///
    /// What does not depend on the noise is computed once per label map: with cross-attention that is everything up
    /// to the first attention.
    ///
    /// # Shapes
    /// - input: `[N, channels, H, W]` of the level before, or `[kN, …]`
    /// - tokens: `[kN, tokens, token_dim]`
    /// - output: features for the next level, `[N, channels, H / stride, W / stride]` or `[kN, …]`
    pub(super) fn forward(
        &mut self,
        input: Tensor<B, 4>,
        tokens: Tensor<B, 3>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let mut features = self.conv.forward_normed(input, mode);
        features = self.activation.forward(self.norm.forward(features, mode));
        if let Some(attention) = &self.cross_attention {
            let copies = tokens.dims()[0] / features.dims()[0];
            features = attention.forward(repeat_batch(features, copies), tokens);
        }
        if let Some(attention) = &self.self_attention {
            features = attention.forward(features);
        }
        match &mut self.pointwise {
            Some(conv) => conv.forward_normed(features, mode),
            None => features,
        }
    }
}

/// `[N, …]` to `[kN, …]`, the whole batch again and again.
pub(super) fn repeat_batch<B: Backend>(input: Tensor<B, 4>, copies: usize) -> Tensor<B, 4> {
    if copies == 1 {
        input
    } else {
        concat(vec![input; copies], 0)
    }
}
