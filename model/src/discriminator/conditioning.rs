use burn::module::Module;
use burn::tensor::{Tensor, activation::sigmoid, backend::Backend};

use super::ConditioningMode;
use crate::layers::{BatchNorm, Mode};

/// Feature conditioning of one level: F̃ = (σ(F) − μ) / s with batch statistics (section 3.1).
///
/// Strong features of a pre-trained backbone drown the others; squashing and normalising gives
/// every channel a similar range. No scale and shift (notes D11, O9).
#[derive(Module, Debug)]
pub struct Conditioning<B: Backend> {
    /// Batch norm of the level, if the mode has one.
    pub norm: Option<BatchNorm<B>>,
    /// Whether features are squashed first.
    pub sigmoid: bool,
}

impl<B: Backend> Conditioning<B> {
    /// Conditioning of a level with this many channels.
    pub fn new(mode: ConditioningMode, channels: usize, device: &B::Device) -> Self {
        Self {
            norm: mode
                .has_batch_norm()
                .then(|| BatchNorm::plain(channels, device)),
            sigmoid: mode.has_sigmoid(),
        }
    }

    /// Conditions the features of one level.
    ///
    /// # Shapes
    /// - input: `[N, C, H, W]`
    /// - output: `[N, C, H, W]`
    pub fn forward(&mut self, input: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let features = if self.sigmoid { sigmoid(input) } else { input };
        match &mut self.norm {
            Some(norm) => norm.forward(features, mode),
            None => features,
        }
    }
}
