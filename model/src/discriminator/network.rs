use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::{Conditioning, DiscriminatorConfig, FlatBlock, UpBlock};
use crate::ConfigError;
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig, Mode};

/// The trained part of the DP-SIMS discriminator (section 3.1, Fig. 2): feature conditioning,
/// decoder with skip connections, path at full resolution, and a head with a logit per class
/// and one for "fake", the last.
///
/// The frozen backbone is not part of it: its features are an input, so that it runs without a
/// graph on real images and is never saved, averaged or optimised.
#[derive(Module, Debug)]
pub struct Discriminator<B: Backend> {
    /// Conditioning of each level, fine to coarse.
    pub conditioning: Vec<Conditioning<B>>,
    /// Decoder blocks, coarse to fine.
    pub decoder: Vec<UpBlock<B>>,
    /// Residual blocks on the image itself.
    pub full_resolution: Vec<FlatBlock<B>>,
    /// 1×1 convolution to logits, without spectral norm (facts D3).
    pub head: Conv<B>,
}

impl DiscriminatorConfig {
    /// Builds the discriminator for features with these channels and strides, fine to coarse,
    /// and label maps with `classes` classes, void included.
    ///
    /// # Errors
    /// When the decoder does not fit the strides.
    pub fn init<B: Backend>(
        &self,
        channels: &[usize],
        strides: &[usize],
        classes: usize,
        seed: u64,
        device: &B::Device,
    ) -> Result<Discriminator<B>, ConfigError> {
        self.validate(strides)?;
        let rng = &mut InitRng::new(seed, "discriminator");
        let mut stride = 1usize << self.decoder_channels.len();
        let mut decoder = Vec::with_capacity(self.decoder_channels.len());
        let mut width = 0;
        for &next in &self.decoder_channels {
            let skip = strides
                .iter()
                .position(|&s| s == stride)
                .map_or(0, |i| channels[i]);
            decoder.push(UpBlock::new(
                skip + width,
                next,
                self.spectral_norm,
                rng,
                device,
            ));
            width = next;
            stride /= 2;
        }
        let full = self.full_resolution_channels;
        let full_resolution = (0..self.full_resolution_blocks)
            .map(|index| {
                let from = if index == 0 { 3 } else { full };
                FlatBlock::new([from, full], index == 0, self.spectral_norm, rng, device)
            })
            .collect();
        Ok(Discriminator {
            conditioning: channels
                .iter()
                .map(|&channels| Conditioning::new(self.conditioning, channels, device))
                .collect(),
            decoder,
            full_resolution,
            head: ConvConfig::new(width + full, classes + 1, 1).init(rng, device),
        })
    }
}

impl<B: Backend> Discriminator<B> {
    /// Logits for every pixel.
    ///
    /// # Shapes
    /// - image: `[N, 3, H, W]` in [-1, 1]
    /// - features: the backbone's for that image, `[N, C_l, H / stride, W / stride]`, fine to
    ///   coarse
    /// - output: `[N, classes + 1, H, W]`; the last channel is "fake"
    pub fn forward(
        &mut self,
        image: Tensor<B, 4>,
        features: Vec<Tensor<B, 4>>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let full_height = image.dims()[2];
        let mut skips: Vec<_> = features
            .into_iter()
            .zip(&mut self.conditioning)
            .map(|(features, conditioning)| conditioning.forward(features, mode))
            .collect();
        let mut decoded: Option<Tensor<B, 4>> = None;
        let mut rows = full_height >> self.decoder.len();
        for block in &mut self.decoder {
            let skip = skips.pop_if(|skip| skip.dims()[2] == rows);
            let input = match (skip, decoded) {
                (Some(skip), Some(decoded)) => Tensor::cat(vec![skip, decoded], 1),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => unreachable!("the coarsest features feed the first block"),
            };
            decoded = Some(block.forward(input, mode));
            rows *= 2;
        }
        let mut full = image;
        for block in &mut self.full_resolution {
            full = block.forward(full, mode);
        }
        let joined: Vec<_> = decoded.into_iter().chain([full]).collect();
        self.head.forward(Tensor::cat(joined, 1), mode)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::ElementConversion;
    use burn::tensor::backend::AutodiffBackend;

    use super::super::ConditioningMode;
    use super::*;

    fn random<B: Backend>(shape: [usize; 4], seed: u64) -> Tensor<B, 4> {
        InitRng::new(seed, "t")
            .normal(shape, 1.0, &Default::default())
            .val()
            .detach()
    }

    fn features<B: Backend>() -> Vec<Tensor<B, 4>> {
        vec![
            random([2, 3, 4, 6], 1) * 5.0,
            random([2, 4, 2, 3], 2) * 50.0,
        ]
    }

    fn config(conditioning: ConditioningMode) -> DiscriminatorConfig {
        DiscriminatorConfig {
            conditioning,
            decoder_channels: vec![4, 3, 2],
            full_resolution_channels: 3,
            ..DiscriminatorConfig::default()
        }
    }

    fn logits_cover_every_pixel_and_class<B: AutodiffBackend>() {
        for mode in [
            ConditioningMode::None,
            ConditioningMode::BatchNorm,
            ConditioningMode::Sigmoid,
            ConditioningMode::SigmoidBatchNorm,
        ] {
            let mut network = config(mode)
                .init::<B>(&[3, 4], &[4, 8], 5, 0, &Default::default())
                .unwrap();
            let logits = network.forward(random([2, 3, 16, 24], 3), features(), Mode::Train);
            assert_eq!(logits.dims(), [2, 6, 16, 24]);
        }
    }

    fn gradients_reach_image_and_features<B: AutodiffBackend>() {
        let device = Default::default();
        let mut network = config(ConditioningMode::SigmoidBatchNorm)
            .init::<B>(&[3, 4], &[4, 8], 5, 0, &device)
            .unwrap();
        let image = random::<B>([2, 3, 16, 24], 3).require_grad();
        let inputs: Vec<_> = features::<B>()
            .into_iter()
            .map(|f| f.detach().require_grad())
            .collect();
        let logits = network.forward(image.clone(), inputs.clone(), Mode::Train);
        let gradients = logits.square().sum().backward();
        for input in inputs.into_iter().chain([image]) {
            let gradient = input.grad(&gradients).unwrap();
            let largest: f32 = gradient.abs().max().into_scalar().elem();
            assert!(largest > 0.0);
        }
    }

    backend_tests!(
        logits_cover_every_pixel_and_class,
        gradients_reach_image_and_features
    );
}
