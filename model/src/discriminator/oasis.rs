use burn::module::Module;
use burn::tensor::backend::Backend;

use super::{DiscriminatorConfig, DownBlock, UpBlock};
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig, Mode, concat};
use crate::segments::{Segments, array};

/// The OASIS discriminator (notes D1 to D5), for Table 6: a U-Net over the image alone, with a
/// logit per class and one for "fake", the last as in ours.
#[derive(Module, Debug)]
pub struct OasisDiscriminator<B: Backend> {
    /// Blocks that halve the resolution, fine to coarse.
    pub encoder: Vec<DownBlock<B>>,
    /// Blocks that double it, coarse to fine. All but the first read [skip, decoded].
    pub decoder: Vec<UpBlock<B>>,
    /// 1×1 convolution to logits, without spectral norm (notes D3).
    pub head: Conv<B>,
}

impl<B: Backend> OasisDiscriminator<B> {
    /// The discriminator for label maps with `classes` classes, void included.
    pub(super) fn new(
        config: &DiscriminatorConfig,
        classes: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let down = &config.oasis.encoder_channels;
        let up = &config.oasis.decoder_channels;
        let norm = config.spectral_norm;
        let mut from = 3;
        let mut encoder = Vec::with_capacity(down.len());
        for (index, &to) in down.iter().enumerate() {
            encoder.push(DownBlock::new([from, to], index == 0, norm, rng, device));
            from = to;
        }
        let mut decoder = Vec::with_capacity(up.len());
        for (index, &to) in up.iter().enumerate() {
            // The coarsest map is the input itself; each later block joins the encoder's map of
            // its resolution.
            let skip = if index == 0 {
                0
            } else {
                down[down.len() - 1 - index]
            };
            decoder.push(UpBlock::new(skip + from, to, norm, rng, device));
            from = to;
        }
        Self {
            encoder,
            decoder,
            head: ConvConfig::new(from, classes + 1, 1).init(rng, device),
        }
    }

    /// Logits for every pixel, in segments: blocks, head.
    ///
    /// # Shapes
    /// - image: `[N, 3, H, W]` in [-1, 1], sides multiples of 2 to the number of encoder blocks
    /// - output: `[N, classes + 1, H, W]`; the last channel is "fake"
    pub(super) fn logits<S: Segments<B, Self>>(
        segments: &mut S,
        image: S::Map,
        mode: Mode,
    ) -> S::Map {
        let blocks = segments.network().encoder.len();
        let mut skips = Vec::with_capacity(blocks);
        let mut features = image;
        for index in 0..blocks {
            [features] = segments.run([features], move |network, [input]| {
                [network.encoder[index].forward(input, mode)]
            });
            skips.push(features.clone());
        }
        skips.pop();
        for index in 0..segments.network().decoder.len() {
            let skip = if index > 0 { skips.pop() } else { None };
            let inputs = skip.into_iter().chain([features]).collect();
            let decoded = segments.run_all(inputs, move |network, inputs| {
                vec![network.decoder[index].forward(concat(inputs, 1), mode)]
            });
            [features] = array(decoded);
        }
        let [logits] = segments.run([features], move |network, [features]| {
            [network.head.forward_normed(features, mode)]
        });
        logits
    }
}
