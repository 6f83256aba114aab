use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::{BatchNorm, Conv, ConvConfig, Mode};
use crate::init::InitRng;

/// Spatially adaptive normalisation: norm(x) · (1 + γ) + β, with γ and β computed from a
/// condition map by one 3×3 convolution each (facts G10, G11, G15).
///
/// The two convolutions are stored as one with twice the outputs, γ first.
#[derive(Module, Debug)]
pub struct Spade<B: Backend> {
    /// Batch norm without scale and shift.
    pub norm: BatchNorm<B>,
    /// Convolution from the condition to γ and β, weight `[2C, condition, 3, 3]`.
    pub modulation: Conv<B>,
}

impl<B: Backend> Spade<B> {
    /// SPADE of maps with `channels` channels under a condition with `condition` channels.
    pub fn new(channels: usize, condition: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        let mut modulation = Self::modulation(channels, condition).init(rng, device);
        // Each half is initialised as the convolution with C outputs that it stands for: the
        // xavier bound depends on the number of outputs.
        let single = (channels + condition) as f64;
        let joint = (2 * channels + condition) as f64;
        let ratio = (joint / single).sqrt();
        modulation.weight = modulation
            .weight
            .map(|weight| (weight * ratio).detach().require_grad());
        Self {
            norm: BatchNorm::plain(channels, device),
            modulation,
        }
    }

    /// Shape of the joint convolution to γ and β.
    pub fn modulation(channels: usize, condition: usize) -> ConvConfig {
        ConvConfig::new(condition, 2 * channels, 3)
    }

    /// Normalises and modulates.
    ///
    /// # Shapes
    /// - input: `[N, C, H, W]`
    /// - condition: `[N, condition, H, W]`
    /// - output: `[N, C, H, W]`
    pub fn forward(
        &mut self,
        input: Tensor<B, 4>,
        condition: Tensor<B, 4>,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let shape = input.dims();
        let [batch, channels, height, width] = shape;
        let flat = [batch, channels, height * width];
        let modulation = self.modulation.forward(condition, mode);
        // Reshaping makes the two halves contiguous, which element-wise operations need on CPU.
        let half = |from: usize| {
            modulation
                .clone()
                .slice([0..batch, from..from + channels])
                .reshape(flat)
        };
        let (gamma, beta) = (half(0), half(channels));
        let normal = self.norm.forward_flat(input.reshape(flat), mode);
        (normal * gamma.add_scalar(1.0) + beta).reshape(shape)
    }
}
