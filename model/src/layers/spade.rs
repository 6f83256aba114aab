use burn::module::Module;
use burn::tensor::{Tensor, TensorData, backend::Backend, ops::ConvOptions};
use dp_sims_backends::{Key, constant, fused};

use super::{BatchNorm, Conv, ConvConfig, LEAKY_SLOPE, Mode, add_convolved_resized, conv2d};
use crate::init::InitRng;

/// What a SPADE reads (notes G17).
#[derive(Clone, Debug)]
pub struct Condition<B: Backend> {
    /// A coarse map that is resized bilinearly to the size of the other, `[N, channels, h, w]`. Its
    /// channels come first in the modulation.
    pub global: Option<Tensor<B, 4>>,
    /// A map of the size of the features, `[N, channels, H, W]`.
    pub local: Tensor<B, 4>,
}

impl<B: Backend> From<Tensor<B, 4>> for Condition<B> {
    fn from(local: Tensor<B, 4>) -> Self {
        Self {
            global: None,
            local,
        }
    }
}

/// What follows a SPADE, in the same pass over the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Its output is returned as it is.
    Nothing,
    /// [`leaky_relu`](super::leaky_relu).
    LeakyRelu,
}

impl Then {
    /// Slope of the leaky ReLU, if one follows.
    fn slope(self) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::LeakyRelu => Some(LEAKY_SLOPE),
        }
    }
}

/// Spatially adaptive normalisation: norm(x) · (1 + γ) + β, with γ and β computed from a
/// condition map by one 3×3 convolution each (notes G10, G11, G15).
///
/// The two convolutions are stored as one with twice the outputs, γ first.
#[derive(Module, Debug)]
pub struct Spade<B: Backend> {
    /// Batch norm without scale and shift.
    pub norm: BatchNorm<B>,
    /// Convolution from the condition to γ and β, weight `[2C, condition, 3, 3]`.
    pub modulation: Conv<B>,
    /// The bias of 1 + γ and β, `[2C]`, once it is [folded](Self::fold).
    folded_bias: Option<Tensor<B, 1>>,
}

impl<B: Backend> Spade<B> {
    /// SPADE of maps with `channels` channels under a condition with `condition` channels.
    pub fn new(channels: usize, condition: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        let mut modulation = ConvConfig::new(condition, 2 * channels, 3).init(rng, device);
        // Each half is initialised as the convolution with C outputs that it stands for: the
        // xavier bound depends on the number of outputs.
        let single = (channels + condition) as f64;
        let joint = (2 * channels + condition) as f64;
        let ratio = (joint / single).sqrt();
        if !rng.is_unset() {
            let weight = modulation.weight;
            modulation.weight = weight.map(|weight| (weight * ratio).detach().require_grad());
        }
        Self {
            norm: BatchNorm::plain(channels, device),
            modulation,
            folded_bias: None,
        }
    }

    /// Keeps what evaluation makes of statistics and bias, for good; training can not go on from it.
    pub(crate) fn fold(&mut self) {
        self.norm.fold();
        self.folded_bias = Some(self.bias().detach());
    }

    /// Normalises and modulates; a leaky ReLU may follow.
    ///
    /// # Shapes
    /// - input: `[N, C, H, W]`
    /// - condition: its channels in all are those of the modulation
    /// - output: `[N, C, H, W]`
    pub fn forward(
        &mut self,
        input: Tensor<B, 4>,
        condition: &Condition<B>,
        then: Then,
        mode: Mode,
    ) -> Tensor<B, 4> {
        let [batch, channels, height, width] = input.dims();
        let input = input.reshape([batch, channels, height * width]);
        match mode {
            Mode::Train => {
                let normal = self.norm.forward_flat(input, mode);
                self.modulate(normal, condition, then)
            }
            Mode::Eval => fused::modulate_standardised(
                input,
                self.norm.constants(),
                self.modulation(condition),
                then.slope(),
            ),
        }
    }

    /// Modulates what has been normalised.
    ///
    /// # Shapes
    /// - normal: `[N, C, HW]`
    /// - output: `[N, C, H, W]`
    pub(crate) fn modulate(
        &self,
        normal: Tensor<B, 3>,
        condition: &Condition<B>,
        then: Then,
    ) -> Tensor<B, 4> {
        fused::modulate(normal, self.modulation(condition), then.slope())
    }

    /// The bias of 1 + γ and β, `[2C]`.
    fn bias(&self) -> Tensor<B, 1> {
        if let Some(folded) = &self.folded_bias {
            return folded.clone();
        }
        let weight = self.modulation.weight.val();
        let outputs = weight.dims()[0];
        let device = weight.device();
        let key = Key {
            name: "one and zero of a modulation",
            sizes: [outputs, 0],
        };
        let one = constant(key, &device, || {
            let halves = [1.0, 0.0].map(|value| vec![value; outputs / 2]);
            TensorData::new(halves.concat(), [outputs])
        });
        match &self.modulation.bias {
            Some(bias) => bias.val() + one,
            None => one,
        }
    }

    /// 1 + γ and β, `[N, 2C, H, W]`; the 1 is part of the bias.
    fn modulation(&self, condition: &Condition<B>) -> Tensor<B, 4> {
        let Condition { global, local } = condition;
        let weight = self.modulation.weight.val();
        let [outputs, inputs, ..] = weight.dims();
        let bias = self.bias();
        let own = |weight| {
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            conv2d(local.clone(), weight, Some(bias.clone()), options)
        };
        match global {
            Some(global) => {
                let shared = global.dims()[1];
                let to_global = weight.clone().slice([0..outputs, 0..shared]);
                let to_local = weight.slice([0..outputs, shared..inputs]);
                add_convolved_resized(global.clone(), to_global, own(to_local))
            }
            None => own(weight),
        }
    }
}
