use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::encoder::repeat_batch;
use super::{Encoder, GeneratorConfig, GeneratorPart, Mapping, NoiseMode, SpadeBlock};
use crate::init::InitRng;
use crate::layers::{
    Condition, Conv, ConvConfig, LabelConv, LabelMaps, LatentConv, Mode, leaky_relu,
    upsample_nearest,
};
use crate::segments::Segments;

/// The DP-SIMS generator (section 3.2, Fig. 3).
///
/// The image branch starts from the label map on a coarse grid and is modulated at every
/// resolution by [resized coarsest map, map of that resolution] of the encoder (notes G17, G22).
#[derive(Module, Debug)]
pub struct DpSimsGenerator<B: Backend> {
    /// Latent to tokens, with [`NoiseMode::CrossAttention`] only.
    pub mapping: Option<Mapping<B>>,
    /// Label map and tokens to conditions.
    pub encoder: Encoder<B>,
    /// 3×3 convolution over the label map on the start grid (notes G4).
    pub start: LabelConv<B>,
    /// The same over the repeated latent, with [`NoiseMode::Concat`] only.
    pub start_noise: Option<LatentConv<B>>,
    /// SPADE blocks from the start grid to full resolution.
    pub blocks: Vec<SpadeBlock<B>>,
    /// 3×3 convolution to RGB (notes G6).
    pub to_image: Conv<B>,
    /// Numbers in a latent.
    pub latent_dim: usize,
    /// Side in pixels of a cell of the start grid.
    pub start_stride: usize,
}

impl<B: Backend> DpSimsGenerator<B> {
    /// The generator for label maps with `classes` classes, void included.
    pub(super) fn new(
        config: &GeneratorConfig,
        classes: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let widths = config.widths();
        let channels = &config.encoder_channels;
        let coarsest = channels[channels.len() - 1];
        let blocks = (0..config.blocks())
            .map(|index| {
                let condition = coarsest + channels[config.blocks() - index];
                let shape = [widths[index], widths[index + 1], condition];
                SpadeBlock::new(shape, config.spectral_norm, rng, device)
            })
            .collect();
        let attends = config.noise == NoiseMode::CrossAttention;
        let concat = config.noise == NoiseMode::Concat;
        Self {
            mapping: attends.then(|| Mapping::new(config, rng, device)),
            encoder: Encoder::new(config, classes, rng, device),
            start: LabelConv::new(config.label_channels(classes), widths[0], rng, device),
            start_noise: concat.then(|| LatentConv::new(config.latent_dim, widths[0], rng, device)),
            blocks,
            to_image: ConvConfig::new(widths[config.blocks()], 3, 3).init(rng, device),
            latent_dim: config.latent_dim,
            start_stride: config.start_stride(),
        }
    }

    /// The features G_f before the last convolution, which the diversity loss compares
    /// (Eq. 6; notes G32, O18), in segments: mapping, start, stem and levels of the encoder, blocks.
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`
    /// - latent: `[kN, latent_dim]`
    /// - output: `[kN, base_width, H, W]`
    pub(super) fn features<S: Segments<B, Self>>(
        segments: &mut S,
        label_maps: LabelMaps<B>,
        latent: Tensor<B, 2>,
        mode: Mode,
    ) -> S::Map {
        let noise = latent.clone();
        let tokens = move |network: &Self| match &network.mapping {
            Some(mapping) => mapping.forward(noise.clone()),
            None => one_token(noise.clone()),
        };
        Self::features_of_tokens(segments, label_maps, latent, tokens, mode)
    }

    /// [`Self::features`] under tokens of two latents, see [`Mapping::forward_mixed`]. Without a mapping
    /// network there are no tokens, and `latent` alone counts.
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`
    /// - latent, other: `[kN, latent_dim]`
    /// - output: `[kN, base_width, H, W]`
    pub(super) fn features_mixed<S: Segments<B, Self>>(
        segments: &mut S,
        label_maps: LabelMaps<B>,
        [latent, other]: [Tensor<B, 2>; 2],
        styles: &[usize],
        mode: Mode,
    ) -> S::Map {
        let (noise, styles) = (latent.clone(), styles.to_vec());
        let tokens = move |network: &Self| match &network.mapping {
            Some(mapping) => mapping.forward_mixed(noise.clone(), other.clone(), &styles),
            None => one_token(noise.clone()),
        };
        Self::features_of_tokens(segments, label_maps, latent, tokens, mode)
    }

    fn features_of_tokens<S: Segments<B, Self>>(
        segments: &mut S,
        label_maps: LabelMaps<B>,
        latent: Tensor<B, 2>,
        tokens: impl Fn(&Self) -> Tensor<B, 3> + 'static,
        mode: Mode,
    ) -> S::Map {
        let [maps, height, width] = label_maps.dims();
        let images = latent.dims()[0];
        let [tokens] = segments.run([], move |network, []| [tokens(network).unsqueeze_dim(1)]);
        GeneratorPart::Mapping.end();
        let stride = segments.network().start_stride;
        let (rows, columns) = (height / stride, width / stride);
        let (grid, noise) = (label_maps.nearest(rows, columns), latent.clone());
        let [mut features] = segments.run([], move |network, []| {
            let features = network.start.forward(grid.clone());
            let features = repeat_batch(features, images / maps);
            [match &network.start_noise {
                Some(conv) => features + conv.forward(noise.clone(), rows, columns),
                None => features,
            }]
        });
        GeneratorPart::Start.end();
        let [mut encoded] = segments.run([], move |network, []| {
            let (label_maps, latent) = (label_maps.clone(), latent.clone());
            [network.encoder.stem(label_maps, latent, mode)]
        });
        let levels = segments.network().encoder.levels.len();
        let mut conditions = Vec::with_capacity(levels);
        for index in 0..levels {
            let inputs = [encoded, tokens.clone()];
            let [next, condition] = segments.run(inputs, move |network, [input, tokens]| {
                let level = &mut network.encoder.levels[index];
                let features = level.forward(input, tokens.squeeze_dim(1), mode);
                let copies = images / features.dims()[0];
                [features.clone(), repeat_batch(features, copies)]
            });
            encoded = next;
            conditions.push(condition);
        }
        GeneratorPart::Pyramid.end();
        let coarsest = conditions[levels - 1].clone();
        let blocks = segments.network().blocks.len();
        for index in 0..blocks {
            let local = conditions.pop().unwrap_or_else(|| coarsest.clone());
            let inputs = [features, coarsest.clone(), local];
            [features] = segments.run(inputs, move |network, [mut features, global, local]| {
                // Before the block and not after the one before it: smaller maps lie between segments.
                if index > 0 {
                    features = upsample_nearest(features);
                }
                let global = Some(global);
                let condition = Condition { global, local };
                features = network.blocks[index].forward(features, &condition, mode);
                if index + 1 == blocks {
                    features = leaky_relu(features);
                }
                [features]
            });
            let (height, width) = (rows << index, columns << index);
            GeneratorPart::Block { height, width }.end();
        }
        features
    }
}

/// A latent as the only token.
fn one_token<B: Backend>(latent: Tensor<B, 2>) -> Tensor<B, 3> {
    latent.unsqueeze_dim(1)
}
