use burn::module::Module;
use burn::tensor::{Int, Tensor, backend::Backend};

use super::{Encoder, GeneratorConfig, Mapping, NoiseMode, SpadeBlock};
use crate::ConfigError;
use crate::init::InitRng;
use crate::layers::{
    Conv, ConvConfig, LabelConv, Mode, leaky_relu, nearest_labels, resize_bilinear,
    upsample_nearest,
};

/// The DP-SIMS generator (section 3.2, Fig. 3).
///
/// The image branch starts from the label map on a coarse grid and is modulated at every
/// resolution by [resized coarsest map, map of that resolution] of the encoder (facts G17, G22).
#[derive(Module, Debug)]
pub struct Generator<B: Backend> {
    /// Latent to tokens; absent with [`NoiseMode::Concat`].
    pub mapping: Option<Mapping<B>>,
    /// Label map and tokens to conditions.
    pub encoder: Encoder<B>,
    /// 3×3 convolution over the label map on the start grid (facts G4).
    pub start: LabelConv<B>,
    /// The same over the repeated latent, with [`NoiseMode::Concat`] only.
    pub start_noise: Option<Conv<B>>,
    /// SPADE blocks from the start grid to full resolution.
    pub blocks: Vec<SpadeBlock<B>>,
    /// 3×3 convolution to RGB (facts G6).
    pub to_image: Conv<B>,
    /// Numbers in a latent.
    pub latent_dim: usize,
    /// Side in pixels of a cell of the start grid.
    pub start_stride: usize,
}

impl GeneratorConfig {
    /// Builds the generator for label maps with `classes` classes, void included.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init<B: Backend>(
        &self,
        classes: usize,
        seed: u64,
        device: &B::Device,
    ) -> Result<Generator<B>, ConfigError> {
        self.validate(self.start_stride(), self.start_stride())?;
        let rng = &mut InitRng::new(seed, "generator");
        let widths = self.widths();
        let channels = &self.encoder_channels;
        let coarsest = channels[channels.len() - 1];
        let blocks = (0..self.blocks())
            .map(|index| {
                let condition = coarsest + channels[self.blocks() - index];
                let shape = [widths[index], widths[index + 1], condition];
                SpadeBlock::new(shape, self.spectral_norm, rng, device)
            })
            .collect();
        let concat = self.noise == NoiseMode::Concat;
        Ok(Generator {
            mapping: (!concat).then(|| Mapping::new(self, rng, device)),
            encoder: Encoder::new(self, classes, rng, device),
            start: LabelConv::new(classes, widths[0], rng, device),
            start_noise: concat.then(|| {
                ConvConfig::new(self.latent_dim, widths[0], 3)
                    .with_bias(false)
                    .init(rng, device)
            }),
            blocks,
            to_image: ConvConfig::new(widths[self.blocks()], 3, 3).init(rng, device),
            latent_dim: self.latent_dim,
            start_stride: self.start_stride(),
        })
    }
}

impl<B: Backend> Generator<B> {
    /// Images for label maps under latents.
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`, values in `0..classes`, sides multiples of `start_stride`
    /// - latent: `[kN, latent_dim]`; images `n`, `n + N`, … belong to label map `n`
    /// - output: `[kN, 3, H, W]` in [-1, 1]
    pub fn forward(
        &mut self,
        labels: Tensor<B, 3, Int>,
        latent: Tensor<B, 2>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let features = self.features(labels, latent, mode);
        self.image(features, mode)
    }

    /// The features G_f before the last convolution, which the diversity loss compares
    /// (Eq. 6; facts G32, O18).
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`
    /// - latent: `[kN, latent_dim]`
    /// - output: `[kN, base_width, H, W]`
    pub fn features(
        &mut self,
        labels: Tensor<B, 3, Int>,
        latent: Tensor<B, 2>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let [maps, height, width] = labels.dims();
        let [images, latent_dim] = latent.dims();
        let tokens = match &self.mapping {
            Some(mapping) => mapping.forward(latent.clone()),
            None => latent.clone().reshape([images, 1, latent_dim]),
        };
        let (rows, columns) = (height / self.start_stride, width / self.start_stride);
        let grid = nearest_labels(labels.clone(), rows, columns);
        let mut features = self.start.forward(grid);
        if images > maps {
            features = Tensor::cat(vec![features; images / maps], 0);
        }
        if let Some(conv) = &mut self.start_noise {
            let repeated = latent
                .clone()
                .reshape([images, latent_dim, 1, 1])
                .expand([images, latent_dim, rows, columns]);
            features = features + conv.forward(repeated, mode);
        }
        let mut conditions = self.encoder.forward(labels, latent, tokens, mode);
        let coarsest = conditions[conditions.len() - 1].clone();
        let last = self.blocks.len() - 1;
        for (index, block) in self.blocks.iter_mut().enumerate() {
            let [_, _, rows, columns] = features.dims();
            let local = conditions.pop().unwrap_or_else(|| coarsest.clone());
            let global = resize_bilinear(coarsest.clone(), rows, columns);
            features = block.forward(features, Tensor::cat(vec![global, local], 1), mode);
            if index < last {
                features = upsample_nearest(features);
            }
        }
        leaky_relu(features)
    }

    /// Features to images in [-1, 1].
    ///
    /// # Shapes
    /// - features: `[N, base_width, H, W]`
    /// - output: `[N, 3, H, W]`
    pub fn image(&mut self, features: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        self.to_image.forward(features, mode).tanh()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;
    use burn::tensor::{ElementConversion, TensorData};

    use super::*;
    use crate::init::normals;

    fn tiny(noise: NoiseMode) -> GeneratorConfig {
        GeneratorConfig {
            base_width: 2,
            width_multipliers: vec![4, 2, 2, 1],
            encoder_channels: vec![3, 4, 4, 4],
            latent_dim: 5,
            mapping_width: 6,
            tokens: 3,
            token_dim: 4,
            attention_stride: 2,
            noise,
            ..GeneratorConfig::default()
        }
    }

    fn labels<B: Backend>() -> Tensor<B, 3, Int> {
        let labels: Vec<i32> = (0..2 * 8 * 12).map(|i| i * 5 % 7 % 3).collect();
        Tensor::from_data(TensorData::new(labels, [2, 8, 12]), &Default::default())
    }

    fn latents<B: Backend>(rows: usize, seed: u64) -> Tensor<B, 2> {
        let values = normals(seed, 0, "latent", rows * 5);
        Tensor::from_data(TensorData::new(values, [rows, 5]), &Default::default())
    }

    fn largest<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> f32 {
        tensor.abs().max().into_scalar().elem()
    }

    fn images_have_the_size_of_the_labels<B: AutodiffBackend>() {
        for noise in [NoiseMode::CrossAttention, NoiseMode::Concat] {
            let mut generator = tiny(noise).init::<B>(3, 0, &Default::default()).unwrap();
            let image = generator.forward(labels(), latents(2, 1), Mode::Train);
            assert_eq!(image.dims(), [2, 3, 8, 12]);
            assert!(largest(image) <= 1.0);
        }
    }

    /// A pair of latents in one forward gives what two batches of one latent give.
    fn one_forward_of_a_pair_equals_two<B: AutodiffBackend>() {
        let mut generator = tiny(NoiseMode::CrossAttention)
            .init::<B>(3, 0, &Default::default())
            .unwrap();
        open_gates(&mut generator);
        let pair = latents::<B>(4, 1);
        let joint = generator.forward(labels(), pair.clone(), Mode::Eval);
        let first = generator.forward(labels(), pair.clone().narrow(0, 0, 2), Mode::Eval);
        let second = generator.forward(labels(), pair.narrow(0, 2, 2), Mode::Eval);
        let difference = largest(second.clone() - first.clone());
        assert!(difference > 0.0, "the noise changes nothing");
        assert!(largest(joint - Tensor::cat(vec![first, second], 0)) < 1e-3 * difference);
    }

    fn every_parameter_gets_a_gradient<B: AutodiffBackend>() {
        for noise in [NoiseMode::CrossAttention, NoiseMode::Concat] {
            let mut generator = tiny(noise).init::<B>(3, 0, &Default::default()).unwrap();
            open_gates(&mut generator);
            let image = generator.forward(labels(), latents(4, 1), Mode::Train);
            let probe = normals(9, 0, "probe", 4 * 3 * 8 * 12);
            let probe = TensorData::new(probe, [4, 3, 8, 12]);
            let gradients = (image * Tensor::from_data(probe, &Default::default()))
                .sum()
                .backward();
            let mut missing = Missing {
                gradients: &gradients,
                path: vec![],
                missing: vec![],
            };
            generator.visit(&mut missing);
            assert!(
                missing.missing.is_empty(),
                "no gradient for {:?}",
                missing.missing
            );
        }
    }

    fn open_gates<B: Backend>(generator: &mut Generator<B>) {
        for level in &mut generator.encoder.levels {
            if let Some(attention) = &mut level.cross_attention {
                attention.gate = attention
                    .gate
                    .clone()
                    .map(|gate| gate.add_scalar(1.0).detach().require_grad());
            }
        }
    }

    struct Missing<'a, B: AutodiffBackend> {
        gradients: &'a B::Gradients,
        path: Vec<String>,
        missing: Vec<String>,
    }

    impl<B: AutodiffBackend> burn::module::ModuleVisitor<B> for Missing<'_, B> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<B, D>>) {
            if param.is_require_grad() && param.grad(self.gradients).is_none() {
                self.missing.push(self.path.join("."));
            }
        }

        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
    }

    backend_tests!(
        images_have_the_size_of_the_labels,
        one_forward_of_a_pair_equals_two,
        every_parameter_gets_a_gradient
    );
}
