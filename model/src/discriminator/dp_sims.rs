use burn::module::Module;
use burn::tensor::backend::Backend;

use super::{Conditioning, DiscriminatorConfig, FlatBlock, Projections, UpBlock};
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig, Mode, concat};
use crate::segments::{Segments, array};

/// The trained part of the DP-SIMS discriminator (section 3.1, Fig. 2): feature conditioning,
/// decoder with skip connections, path at full resolution, and a head with a logit per class
/// and one for "fake", the last.
///
/// The frozen backbone is not part of it: its features are an input, so that it runs without a
/// graph on real images and is never saved, averaged or optimised.
#[derive(Module, Debug)]
pub struct DpSimsDiscriminator<B: Backend> {
    /// Conditioning of each level, fine to coarse.
    pub conditioning: Vec<Conditioning<B>>,
    /// Frozen random projections, with the CCM+CSM variants of Table 5 only.
    pub projections: Option<Projections<B>>,
    /// Decoder blocks, coarse to fine.
    pub decoder: Vec<UpBlock<B>>,
    /// Residual blocks on the image itself.
    pub full_resolution: Vec<FlatBlock<B>>,
    /// 1×1 convolution to logits, without spectral norm (notes D3).
    pub head: Conv<B>,
}

impl<B: Backend> DpSimsDiscriminator<B> {
    /// The discriminator for features with these channels and strides, fine to coarse, and label
    /// maps with `classes` classes, void included.
    pub(super) fn new(
        config: &DiscriminatorConfig,
        channels: &[usize],
        strides: &[usize],
        classes: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let plan = config.decoder_plan(channels, strides);
        let mut stride = 1usize << plan.widths.len();
        let mut decoder = Vec::with_capacity(plan.widths.len());
        let mut width = 0;
        for &next in &plan.widths {
            let skip = plan
                .strides
                .iter()
                .position(|&s| s == stride)
                .map_or(0, |i| plan.channels[i]);
            let from = skip + width;
            decoder.push(UpBlock::new(from, next, config.spectral_norm, rng, device));
            width = next;
            stride /= 2;
        }
        let full = config.full_resolution_channels;
        let full_resolution = (0..config.full_resolution_blocks)
            .map(|index| {
                let from = if index == 0 { 3 } else { full };
                FlatBlock::new([from, full], index == 0, config.spectral_norm, rng, device)
            })
            .collect();
        let head = ConvConfig::new(width + full, classes + 1, 1).init(rng, device);
        let base = config.projection_channels;
        Self {
            conditioning: channels
                .iter()
                .map(|&channels| Conditioning::new(config.conditioning, channels, device))
                .collect(),
            decoder,
            full_resolution,
            head,
            projections: config
                .conditioning
                .has_projection()
                .then(|| Projections::new(base, channels, rng, device)),
        }
    }

    /// Logits for every pixel, in segments: conditioning, blocks, head.
    ///
    /// # Shapes
    /// - image: `[N, 3, H, W]` in [-1, 1]
    /// - features: the backbone's for that image, `[N, C_l, H / stride, W / stride]`, fine to
    ///   coarse
    /// - output: `[N, classes + 1, H, W]`; the last channel is "fake"
    pub(super) fn logits<S: Segments<B, Self>>(
        segments: &mut S,
        image: S::Map,
        features: Vec<S::Map>,
        mode: Mode,
    ) -> S::Map {
        let mut skips = segments.run_frozen(features, move |network, features| {
            let levels = features.into_iter().zip(&mut network.conditioning);
            let conditioned = levels
                .map(|(features, conditioning)| conditioning.forward(features, mode))
                .collect();
            match &network.projections {
                Some(projections) => projections.forward(conditioned),
                None => conditioned,
            }
        });
        let blocks = segments.network().decoder.len();
        let mut decoded: Option<S::Map> = None;
        let mut rows = S::dims(&image)[2] >> blocks;
        for index in 0..blocks {
            let skip = skips.pop_if(|skip| S::dims(skip)[2] == rows);
            let inputs = skip.into_iter().chain(decoded).collect();
            let outputs = segments.run_all(inputs, move |network, inputs| {
                vec![network.decoder[index].forward(concat(inputs, 1), mode)]
            });
            decoded = outputs.into_iter().next();
            rows *= 2;
        }
        let mut full = image;
        for index in 0..segments.network().full_resolution.len() {
            [full] = segments.run([full], move |network, [input]| {
                [network.full_resolution[index].forward(input, mode)]
            });
        }
        let inputs = decoded.into_iter().chain([full]).collect();
        let logits = segments.run_all(inputs, move |network, inputs| {
            vec![network.head.forward_normed(concat(inputs, 1), mode)]
        });
        let [logits] = array(logits);
        logits
    }
}
