use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::{
    DpSimsGenerator, GeneratorArchitecture, GeneratorConfig, GeneratorPart, OasisGenerator,
    SpadeBlock,
};
use crate::ConfigError;
use crate::init::InitRng;
use crate::layers::{Conv, LabelMaps, Mode};
use crate::segments::{Plain, Segments};
use crate::tape::{Tape, Value};

/// A generator of either architecture: label maps and latents in, images out.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a program holds a few of them, never a collection"
)]
pub enum Generator<B: Backend> {
    /// The paper's.
    DpSims(DpSimsGenerator<B>),
    /// OASIS.
    Oasis(OasisGenerator<B>),
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
        let mut rng = InitRng::new(seed, "generator").with_gain(self.initial_gain);
        self.build(classes, &mut rng, device)
    }

    /// The same for weights that are loaded afterwards: until then most have neither values nor memory.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init_unset<B: Backend>(
        &self,
        classes: usize,
        device: &B::Device,
    ) -> Result<Generator<B>, ConfigError> {
        self.build(classes, &mut InitRng::unset(), device)
    }

    fn build<B: Backend>(
        &self,
        classes: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Result<Generator<B>, ConfigError> {
        self.validate(self.start_stride(), self.start_stride())?;
        Ok(match self.architecture {
            GeneratorArchitecture::DpSims => {
                Generator::DpSims(DpSimsGenerator::new(self, classes, rng, device))
            }
            GeneratorArchitecture::Oasis => {
                Generator::Oasis(OasisGenerator::new(self, classes, rng, device))
            }
        })
    }
}

impl<B: Backend> Generator<B> {
    /// Images for label maps under latents.
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`, values in `0..classes`, sides multiples of the start stride
    /// - offsets, where the configuration has them: `[N, 2, H, W]`
    /// - latent: `[kN, latent_dim]`; images `n`, `n + N`, … belong to label map `n`
    /// - output: `[kN, 3, H, W]` in [-1, 1]
    pub fn forward(
        &mut self,
        maps: impl Into<LabelMaps<B>>,
        latent: Tensor<B, 2>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let features = self.features(maps, latent, mode);
        let image = self.image(features, mode);
        GeneratorPart::ToImage.end();
        image
    }

    /// [`Self::forward`] under two latents: the noise tokens that `styles` names, from 0 to
    /// [`Self::tokens`], are of `other`, all else of `latent`. A generator without tokens takes `latent`
    /// alone.
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`
    /// - latent, other: `[kN, latent_dim]`
    /// - output: `[kN, 3, H, W]` in [-1, 1]
    pub fn forward_mixed(
        &mut self,
        maps: impl Into<LabelMaps<B>>,
        latents: [Tensor<B, 2>; 2],
        styles: &[usize],
        mode: Mode,
    ) -> Tensor<B, 4> {
        let maps = maps.into();
        let features = match self {
            Self::DpSims(network) => {
                let segments = &mut Plain(network);
                DpSimsGenerator::features_mixed(segments, maps, latents, styles, mode)
            }
            Self::Oasis(network) => {
                let [latent, _] = latents;
                OasisGenerator::features(&mut Plain(network), maps, latent, mode)
            }
        };
        let image = self.image(features, mode);
        GeneratorPart::ToImage.end();
        image
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
        maps: impl Into<LabelMaps<B>>,
        latent: Tensor<B, 2>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let maps = maps.into();
        match self {
            Self::DpSims(network) => {
                DpSimsGenerator::features(&mut Plain(network), maps, latent, mode)
            }
            Self::Oasis(network) => {
                OasisGenerator::features(&mut Plain(network), maps, latent, mode)
            }
        }
    }

    /// Features to images in [-1, 1].
    ///
    /// # Shapes
    /// - features: `[N, base_width, H, W]`
    /// - output: `[N, 3, H, W]`
    pub fn image(&mut self, features: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        image(self.last(), features, mode)
    }

    fn last(&mut self) -> &mut Conv<B> {
        match self {
            Self::DpSims(network) => &mut network.to_image,
            Self::Oasis(network) => &mut network.to_image,
        }
    }

    /// The generator for use alone: spectral norm is folded into the weights, and running statistics into
    /// constants, which spares evaluation the work. Images stay the same to the bit; training can not go
    /// on from it.
    pub fn for_inference(mut self) -> Self {
        match &mut self {
            Self::DpSims(network) => {
                network.encoder.fold();
                network.blocks.iter_mut().for_each(SpadeBlock::fold);
            }
            Self::Oasis(network) => {
                let blocks = network.blocks.iter_mut();
                blocks.for_each(|block| block.block.fold());
            }
        }
        self
    }

    /// Numbers in a latent.
    pub fn latent_dim(&self) -> usize {
        match self {
            Self::DpSims(network) => network.latent_dim,
            Self::Oasis(network) => network.latent_dim,
        }
    }

    /// Noise tokens of an image, 0 where noise takes another way.
    pub fn tokens(&self) -> usize {
        match self {
            Self::DpSims(network) => network.mapping.as_ref().map_or(0, |mapping| mapping.tokens),
            Self::Oasis(_) => 0,
        }
    }

    /// The 3×3 convolution to RGB.
    pub fn to_image(&self) -> &Conv<B> {
        match self {
            Self::DpSims(network) => &network.to_image,
            Self::Oasis(network) => &network.to_image,
        }
    }
}

impl<B: AutodiffBackend> Generator<B> {
    /// [`features`](Self::features) on a tape, in training mode.
    pub fn train_features(
        &mut self,
        tape: &mut Tape<B>,
        maps: LabelMaps<B>,
        latent: Tensor<B, 2>,
    ) -> Value<B> {
        let mode = Mode::Train;
        match self {
            Self::DpSims(network) => tape.pass(network, |pass| {
                DpSimsGenerator::features(pass, maps, latent, mode)
            }),
            Self::Oasis(network) => tape.pass(network, |pass| {
                OasisGenerator::features(pass, maps, latent, mode)
            }),
        }
    }

    /// [`image`](Self::image) of the first `count` maps on a tape, in training mode.
    pub fn train_image(
        &mut self,
        tape: &mut Tape<B>,
        features: Value<B>,
        count: usize,
    ) -> Value<B> {
        tape.pass(self.last(), |pass| {
            let [images] = pass.run([features], move |conv, [features]| {
                [image(conv, features.narrow(0, 0, count), Mode::Train)]
            });
            images
        })
    }
}

fn image<B: Backend>(conv: &mut Conv<B>, features: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
    conv.forward_normed(features, mode).tanh()
}
