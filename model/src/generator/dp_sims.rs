use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::encoder::repeat_batch;
use super::{Encoder, GeneratorConfig, GeneratorPart, Mapping, NoiseMode, SpadeBlock};
use crate::init::InitRng;
use crate::layers::{
    Condition, Conv, ConvConfig, LabelConv, LabelMaps, LatentConv, Mode, leaky_relu,
    upsample_nearest,
};

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
    /// (Eq. 6; notes G32, O18).
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`
    /// - latent: `[kN, latent_dim]`
    /// - output: `[kN, base_width, H, W]`
    pub fn features(
        &mut self,
        label_maps: LabelMaps<B>,
        latent: Tensor<B, 2>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let [images, latent_dim] = latent.dims();
        let tokens = match &self.mapping {
            Some(mapping) => mapping.forward(latent.clone()),
            None => latent.clone().reshape([images, 1, latent_dim]),
        };
        self.features_of_tokens(label_maps, latent, tokens, mode)
    }

    /// [`Self::features`] under tokens of two latents, see [`Mapping::forward_mixed`]. Without a mapping
    /// network there are no tokens, and `latent` alone counts.
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`
    /// - latent, other: `[kN, latent_dim]`
    /// - output: `[kN, base_width, H, W]`
    pub fn features_mixed(
        &mut self,
        label_maps: LabelMaps<B>,
        [latent, other]: [Tensor<B, 2>; 2],
        styles: &[usize],
        mode: Mode,
    ) -> Tensor<B, 4> {
        let Some(mapping) = &self.mapping else {
            return self.features(label_maps, latent, mode);
        };
        let tokens = mapping.forward_mixed(latent.clone(), other, styles);
        self.features_of_tokens(label_maps, latent, tokens, mode)
    }

    fn features_of_tokens(
        &mut self,
        label_maps: LabelMaps<B>,
        latent: Tensor<B, 2>,
        tokens: Tensor<B, 3>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let [maps, height, width] = label_maps.dims();
        let images = latent.dims()[0];
        GeneratorPart::Mapping.end();
        let (rows, columns) = (height / self.start_stride, width / self.start_stride);
        let grid = label_maps.nearest(rows, columns);
        let mut features = self.start.forward(grid);
        features = repeat_batch(features, images / maps);
        if let Some(conv) = &self.start_noise {
            features = features + conv.forward(latent.clone(), rows, columns);
        }
        GeneratorPart::Start.end();
        let mut conditions = self.encoder.forward(label_maps, latent, tokens, mode);
        GeneratorPart::Pyramid.end();
        let coarsest = conditions[conditions.len() - 1].clone();
        let last = self.blocks.len() - 1;
        for (index, block) in self.blocks.iter_mut().enumerate() {
            let local = conditions.pop().unwrap_or_else(|| coarsest.clone());
            let global = Some(coarsest.clone());
            features = block.forward(features, &Condition { global, local }, mode);
            if index < last {
                features = upsample_nearest(features);
            }
            let (height, width) = (rows << index, columns << index);
            GeneratorPart::Block { height, width }.end();
        }
        leaky_relu(features)
    }
}
