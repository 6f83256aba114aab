use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::{
    DiscriminatorArchitecture, DiscriminatorConfig, DpSimsDiscriminator, OasisDiscriminator,
};
use crate::ConfigError;
use crate::init::InitRng;
use crate::layers::Mode;
use crate::segments::Plain;
use crate::tape::{Tape, Value};

/// The trained part of a discriminator of either architecture.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a program holds a few of them, never a collection"
)]
pub enum Discriminator<B: Backend> {
    /// The paper's, over the features of a frozen backbone.
    DpSims(DpSimsDiscriminator<B>),
    /// OASIS, over the image alone.
    Oasis(OasisDiscriminator<B>),
}

impl DiscriminatorConfig {
    /// Builds the discriminator for features with these channels and strides, fine to coarse,
    /// and label maps with `classes` classes, void included. OASIS reads no features.
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
        let rng = &mut InitRng::new(seed, "discriminator").with_gain(self.initial_gain);
        Ok(match self.architecture {
            DiscriminatorArchitecture::DpSims => Discriminator::DpSims(DpSimsDiscriminator::new(
                self, channels, strides, classes, rng, device,
            )),
            DiscriminatorArchitecture::Oasis => {
                Discriminator::Oasis(OasisDiscriminator::new(self, classes, rng, device))
            }
        })
    }
}

impl<B: Backend> Discriminator<B> {
    /// Logits for every pixel.
    ///
    /// # Shapes
    /// - image: `[N, 3, H, W]` in [-1, 1]
    /// - features: the backbone's for that image, `[N, C_l, H / stride, W / stride]`, fine to
    ///   coarse; OASIS leaves them unread
    /// - output: `[N, classes + 1, H, W]`; the last channel is "fake"
    pub fn forward(
        &mut self,
        image: Tensor<B, 4>,
        features: Vec<Tensor<B, 4>>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        match self {
            Self::DpSims(network) => {
                DpSimsDiscriminator::logits(&mut Plain(network), image, features, mode)
            }
            Self::Oasis(network) => OasisDiscriminator::logits(&mut Plain(network), image, mode),
        }
    }
}

impl<B: AutodiffBackend> Discriminator<B> {
    /// [`forward`](Self::forward) on a tape, in training mode.
    pub fn train_logits(
        &mut self,
        tape: &mut Tape<B>,
        image: Value<B>,
        features: Vec<Value<B>>,
    ) -> Value<B> {
        let mode = Mode::Train;
        match self {
            Self::DpSims(network) => tape.pass(network, |pass| {
                DpSimsDiscriminator::logits(pass, image, features, mode)
            }),
            Self::Oasis(network) => tape.pass(network, |pass| {
                OasisDiscriminator::logits(pass, image, mode)
            }),
        }
    }
}
