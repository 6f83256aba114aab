use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use crate::init::InitRng;
use crate::layers::{Condition, Conv, ConvConfig, Mode, Spade, Then};

/// SPADE residual block (notes G7): SPADE → leaky ReLU → 3×3 convolution, twice, beside an
/// identity or a SPADE → 1×1 convolution shortcut. The SPADEs share one condition (notes G17).
#[derive(Module, Debug)]
pub struct SpadeBlock<B: Backend> {
    /// First normalisation.
    pub spade_0: Spade<B>,
    /// First convolution.
    pub conv_0: Conv<B>,
    /// Second normalisation.
    pub spade_1: Spade<B>,
    /// Second convolution.
    pub conv_1: Conv<B>,
    /// Normalisation of the shortcut, where the width changes.
    pub spade_s: Option<Spade<B>>,
    /// 1×1 convolution of the shortcut without bias, where the width changes.
    pub conv_s: Option<Conv<B>>,
}

impl<B: Backend> SpadeBlock<B> {
    /// A block from `channels_in` to `channels_out` under `condition` channels.
    pub fn new(
        [channels_in, channels_out, condition]: [usize; 3],
        spectral_norm: bool,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let middle = channels_in.min(channels_out);
        let conv = |config: ConvConfig, rng: &mut InitRng| {
            config.with_spectral_norm(spectral_norm).init(rng, device)
        };
        let learned = channels_in != channels_out;
        Self {
            spade_0: Spade::new(channels_in, condition, rng, device),
            conv_0: conv(ConvConfig::new(channels_in, middle, 3), rng),
            spade_1: Spade::new(middle, condition, rng, device),
            conv_1: conv(ConvConfig::new(middle, channels_out, 3), rng),
            spade_s: learned.then(|| Spade::new(channels_in, condition, rng, device)),
            conv_s: learned.then(|| {
                conv(
                    ConvConfig::new(channels_in, channels_out, 1).with_bias(false),
                    rng,
                )
            }),
        }
    }

    /// Folds the spectral norm of every convolution into its weight, and statistics into constants.
    pub(super) fn fold(&mut self) {
        let spades = [&mut self.spade_0, &mut self.spade_1];
        for spade in spades.into_iter().chain(&mut self.spade_s) {
            spade.fold();
        }
        let convolutions = [&mut self.conv_0, &mut self.conv_1];
        for conv in convolutions.into_iter().chain(&mut self.conv_s) {
            conv.fold_spectral_norm();
        }
    }

    /// Applies the block with one condition for all its SPADEs.
    ///
    /// # Shapes
    /// - input: `[N, channels_in, H, W]`
    /// - condition: `condition` channels in all, at `[H, W]`
    /// - output: `[N, channels_out, H, W]`
    pub fn forward(
        &mut self,
        input: Tensor<B, 4>,
        condition: &Condition<B>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        self.forward_with(input, |_| condition.clone(), mode)
    }

    /// Applies the block; `condition` makes the condition of each SPADE.
    pub(super) fn forward_with(
        &mut self,
        input: Tensor<B, 4>,
        condition: impl Fn(Place) -> Condition<B>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let then = Then::LeakyRelu;
        let (hidden, shortcut) = match (&mut self.spade_s, &mut self.conv_s) {
            (Some(spade), Some(conv)) if mode == Mode::Train => {
                // Both SPADEs of the input normalise by the same statistics of the batch.
                let [batch, channels, height, width] = input.dims();
                let flat = input.reshape([batch, channels, height * width]);
                let normal = self.spade_0.norm.train_with(&mut spade.norm, flat);
                let of_shortcut = &condition(Place::Shortcut);
                let modulated = spade.modulate(normal.clone(), of_shortcut, Then::Nothing);
                let shortcut = conv.forward_normed(modulated, mode);
                let hidden = self
                    .spade_0
                    .modulate(normal, &condition(Place::First), then);
                (hidden, shortcut)
            }
            (spade, conv) => {
                let shortcut = match (spade, conv) {
                    (Some(spade), Some(conv)) => {
                        let of_shortcut = &condition(Place::Shortcut);
                        let modulated =
                            spade.forward(input.clone(), of_shortcut, Then::Nothing, mode);
                        conv.forward_normed(modulated, mode)
                    }
                    _ => input.clone(),
                };
                let first = &condition(Place::First);
                (self.spade_0.forward(input, first, then, mode), shortcut)
            }
        };
        let hidden = self.conv_0.forward_normed(hidden, mode);
        let second = &condition(Place::Second);
        let hidden = self.spade_1.forward(hidden, second, then, mode);
        self.conv_1.forward_normed(hidden, mode) + shortcut
    }
}

/// A SPADE of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before the first convolution.
    First,
    /// Before the second convolution.
    Second,
    /// Before the convolution of the shortcut.
    Shortcut,
}
