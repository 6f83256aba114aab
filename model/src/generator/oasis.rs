use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, backend::Backend};

use super::block::Place;
use super::encoder::repeat_batch;
use super::{GeneratorConfig, GeneratorPart, NoiseMode, SpadeBlock};
use crate::init::InitRng;
use crate::layers::{
    Conv, ConvConfig, LabelConv, LabelMaps, LatentConv, Mode, leaky_relu, upsample_nearest,
};
use crate::segments::Segments;

/// 3×3 convolution over [repeated latent, one-hot label map], each part in its cheap form.
#[derive(Module, Debug)]
pub struct LabelNoiseConv<B: Backend> {
    /// Columns of the label map.
    pub labels: LabelConv<B>,
    /// Columns of the latent, with [`NoiseMode::Concat`] only.
    pub noise: Option<LatentConv<B>>,
}

/// SPADE residual block whose SPADEs read the label map through convolutions of their own
/// (notes G7, G12).
#[derive(Module, Debug)]
pub struct OasisBlock<B: Backend> {
    /// The block.
    pub block: SpadeBlock<B>,
    /// Label map to the condition of the first SPADE.
    pub shared_0: LabelNoiseConv<B>,
    /// The same of the second SPADE.
    pub shared_1: LabelNoiseConv<B>,
    /// The same of the shortcut's SPADE, where the width changes.
    pub shared_s: Option<LabelNoiseConv<B>>,
}

/// The OASIS generator (notes G1 to G14), for Table 6.
///
/// Noise is one latent per image, repeated over the pixels and concatenated in front of the label
/// channels (notes G13), or absent.
#[derive(Module, Debug)]
pub struct OasisGenerator<B: Backend> {
    /// 3×3 convolution over the start grid (notes G4).
    pub start: LabelNoiseConv<B>,
    /// SPADE blocks from the start grid to full resolution.
    pub blocks: Vec<OasisBlock<B>>,
    /// 3×3 convolution to RGB (notes G6).
    pub to_image: Conv<B>,
    /// Numbers in a latent.
    pub latent_dim: usize,
    /// Side in pixels of a cell of the start grid.
    pub start_stride: usize,
}

impl<B: Backend> OasisGenerator<B> {
    /// The generator for label maps with `classes` classes, void included.
    pub(super) fn new(
        config: &GeneratorConfig,
        classes: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let widths = config.widths();
        let hidden = config.spade_hidden;
        let conv =
            |width, rng: &mut InitRng| LabelNoiseConv::new(config, classes, width, rng, device);
        let start = conv(widths[0], rng);
        let blocks = widths
            .windows(2)
            .map(|pair| {
                let shape = [pair[0], pair[1], hidden];
                OasisBlock {
                    block: SpadeBlock::new(shape, config.spectral_norm, rng, device),
                    shared_0: conv(hidden, rng),
                    shared_1: conv(hidden, rng),
                    shared_s: (pair[0] != pair[1]).then(|| conv(hidden, rng)),
                }
            })
            .collect();
        Self {
            start,
            blocks,
            to_image: ConvConfig::new(widths[config.blocks()], 3, 3).init(rng, device),
            latent_dim: config.latent_dim,
            start_stride: config.start_stride(),
        }
    }

    /// The features before the last convolution, in segments: start and blocks.
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
        let [_, height, width] = label_maps.dims();
        let stride = segments.network().start_stride;
        let (mut rows, mut columns) = (height / stride, width / stride);
        let (grid, noise) = (label_maps.nearest(rows, columns), latent.clone());
        let [mut features] = segments.run([], move |network, []| {
            [network.start.forward(grid.clone(), &noise)]
        });
        GeneratorPart::Start.end();
        let blocks = segments.network().blocks.len();
        for index in 0..blocks {
            let (map, noise) = (label_maps.nearest(rows, columns), latent.clone());
            [features] = segments.run([features], move |network, [mut features]| {
                // Before the block and not after the one before it: smaller maps lie between segments.
                if index > 0 {
                    features = upsample_nearest(features);
                }
                features = network.blocks[index].forward(features, map.clone(), &noise, mode);
                if index + 1 == blocks {
                    features = leaky_relu(features);
                }
                [features]
            });
            GeneratorPart::Block {
                height: rows,
                width: columns,
            }
            .end();
            (rows, columns) = (2 * rows, 2 * columns);
        }
        features
    }
}

impl<B: Backend> OasisBlock<B> {
    fn forward(
        &mut self,
        input: Tensor<B, 4>,
        label_maps: LabelMaps<B>,
        latent: &Tensor<B, 2>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let condition = |place| {
            let shared = match (place, &self.shared_s) {
                (Place::Shortcut, Some(shared)) => shared,
                (Place::Second, _) => &self.shared_1,
                _ => &self.shared_0,
            };
            relu(shared.forward(label_maps.clone(), latent)).into()
        };
        self.block.forward_with(input, condition, mode)
    }
}

impl<B: Backend> LabelNoiseConv<B> {
    fn new(
        config: &GeneratorConfig,
        classes: usize,
        channels_out: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        Self {
            labels: LabelConv::new(config.label_channels(classes), channels_out, rng, device),
            noise: (config.noise == NoiseMode::Concat)
                .then(|| LatentConv::new(config.latent_dim, channels_out, rng, device)),
        }
    }

    /// # Shapes
    /// - labels: `[N, H, W]`
    /// - latent: `[kN, latent_dim]`
    /// - output: `[kN, channels_out, H, W]`
    fn forward(&self, label_maps: LabelMaps<B>, latent: &Tensor<B, 2>) -> Tensor<B, 4> {
        let [maps, height, width] = label_maps.dims();
        let features = repeat_batch(self.labels.forward(label_maps), latent.dims()[0] / maps);
        match &self.noise {
            Some(conv) => features + conv.forward(latent.clone(), height, width),
            None => features,
        }
    }
}
