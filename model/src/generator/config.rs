use burn::tensor::activation::relu;
use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::init::{XAVIER_GAIN, validate_gain};
use crate::layers::gelu;

/// How noise reaches the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseMode {
    /// Gated cross-attention of the label-map encoder to the mapped noise (Eq. 1 and 2).
    #[default]
    CrossAttention,
    /// The latent is repeated over the pixels beside the label map, as in OASIS and DP-GAN: the
    /// ablation "w/o cross-attention" of Table 6 (notes G13, G30).
    Concat,
    /// No noise: one image per label map. The weights of the three diversity terms must be 0.
    None,
}

/// Architecture of the generator (Table 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorArchitecture {
    /// A label-map encoder conditions the SPADE blocks (section 3.2).
    #[default]
    DpSims,
    /// Every SPADE reads the label map through its own convolution (notes G12). Keys of the encoder
    /// and the mapping network are then ignored, and `noise` must be `"concat"` or `"none"`.
    Oasis,
}

/// Activation after the batch norms of the encoder (notes G23, O5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// GELU, as the text of the paper has it.
    #[default]
    Gelu,
    /// ReLU, as DP-GAN and the legend of the paper's figure have it.
    Relu,
}

impl Activation {
    /// Applies the activation; keeps the shape.
    pub fn forward<B: Backend>(self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Gelu => gelu(input),
            Self::Relu => relu(input),
        }
    }
}

/// Sizes and switches of the generator. The defaults are those of the paper where it gives them
/// and of notes O2 to O8 where it does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// Architecture of the generator (Table 6).
    pub architecture: GeneratorArchitecture,
    /// Width of the last SPADE block; the others are multiples of it.
    pub base_width: usize,
    /// Output channels of the first convolution and of each SPADE block in units of `base_width`.
    /// Every block but the last is followed by a x2 upsampling.
    pub width_multipliers: Vec<usize>,
    /// Channels of the encoder: a stem, then one level per SPADE block from full resolution down to
    /// the start grid.
    pub encoder_channels: Vec<usize>,
    /// Dimension of the latent z.
    pub latent_dim: usize,
    /// Hidden width of the mapping network.
    pub mapping_width: usize,
    /// Tokens per latent, at least 2, or attention is constant.
    pub tokens: usize,
    /// Dimension of a token.
    pub token_dim: usize,
    /// Activation after the batch norms of the encoder.
    pub encoder_activation: Activation,
    /// Ends each level of the encoder in a pointwise convolution; false as in DP-GAN.
    pub pointwise: bool,
    /// Finest stride in pixels at which the encoder has attention, a power of two.
    pub attention_stride: usize,
    /// Adds two input channels: the offset of every pixel of an object to its centre, from the
    /// instances of the dataset. The paper's choice for COCO-Stuff and Cityscapes (section 4.1,
    /// notes G31).
    pub offsets: bool,
    /// How noise enters.
    pub noise: NoiseMode,
    /// Self-attention in the encoder (ablation of Table 6).
    pub self_attention: bool,
    /// Channels between label map and modulation, with `architecture = "oasis"` (notes G11, G12).
    pub spade_hidden: usize,
    /// Spectral norm on the convolutions of the SPADE blocks (notes G9).
    pub spectral_norm: bool,
    /// Gain of the xavier-normal initial weights of convolutions. The published 0.02 (notes L32)
    /// leaves modulations and colours near zero for hundreds of steps.
    pub initial_gain: f64,
    /// Initial value of the gates η of the noise (Eq. 2), 0 in the paper. Adam moves a gate by at
    /// most the learning rate a step, so that a short run that starts from 0 ends with little
    /// noise.
    pub initial_gate: f64,
    /// Factor of the initial weights of the mapping network and of the cross-attention. At 1,
    /// PyTorch's initialisation, tokens are nearly constant, and a short run learns to amplify one
    /// direction only, the exposure. At 2.4 (He et al. 2015, for leaky ReLU) they keep the size of
    /// the noise.
    pub initial_noise_gain: f64,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            architecture: GeneratorArchitecture::DpSims,
            base_width: 64,
            width_multipliers: vec![16, 16, 16, 8, 4, 2, 1],
            encoder_channels: vec![32, 64, 64, 64, 64, 64, 64],
            latent_dim: 64,
            mapping_width: 512,
            tokens: 16,
            token_dim: 64,
            encoder_activation: Activation::Gelu,
            pointwise: true,
            attention_stride: 4,
            offsets: false,
            noise: NoiseMode::CrossAttention,
            self_attention: true,
            spade_hidden: 128,
            spectral_norm: true,
            initial_gain: XAVIER_GAIN,
            initial_gate: 0.0,
            initial_noise_gain: 1.0,
        }
    }
}

impl GeneratorConfig {
    /// Channels of a label map of `classes` classes: those of the classes and those of offsets.
    pub fn label_channels(&self, classes: usize) -> [usize; 2] {
        [classes, if self.offsets { 2 } else { 0 }]
    }

    /// Number of SPADE blocks.
    pub fn blocks(&self) -> usize {
        self.width_multipliers.len().saturating_sub(1)
    }

    /// Side in pixels of a cell of the start grid: 32 with six blocks.
    pub fn start_stride(&self) -> usize {
        1 << self.blocks().saturating_sub(1)
    }

    /// Channels of the first convolution's output and of each block's.
    pub fn widths(&self) -> Vec<usize> {
        self.width_multipliers
            .iter()
            .map(|multiplier| multiplier * self.base_width)
            .collect()
    }

    /// DP-GAN's generator, which the paper builds on: a pyramid without attention and pointwise
    /// convolutions, ReLU, and noise concatenated to the label map (notes G15 to G18).
    pub fn dp_gan() -> Self {
        Self {
            encoder_activation: Activation::Relu,
            pointwise: false,
            noise: NoiseMode::Concat,
            self_attention: false,
            ..Self::default()
        }
    }

    /// The OASIS generator (notes G12 to G14).
    pub fn oasis() -> Self {
        Self {
            architecture: GeneratorArchitecture::Oasis,
            noise: NoiseMode::Concat,
            ..Self::default()
        }
    }

    /// Checks that the sizes fit together and that images of this size can be made.
    ///
    /// # Errors
    /// Names the first key that is wrong.
    pub fn validate(&self, height: usize, width: usize) -> Result<(), ConfigError> {
        let positive = [
            ("generator.base_width", self.base_width),
            ("generator.latent_dim", self.latent_dim),
            ("generator.mapping_width", self.mapping_width),
            ("generator.token_dim", self.token_dim),
            ("generator.spade_hidden", self.spade_hidden),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::new(key, "must be at least 1"));
        }
        if self.blocks() < 2 || self.blocks() > 10 || self.width_multipliers.contains(&0) {
            let reason = "needs 3 to 11 positive numbers, one more than there are blocks";
            return Err(ConfigError::new("generator.width_multipliers", reason));
        }
        if self.encoder_channels.len() != self.blocks() + 1 || self.encoder_channels.contains(&0) {
            let reason = format!(
                "needs {} positive numbers: a stem and one level per SPADE block",
                self.blocks() + 1
            );
            return Err(ConfigError::new("generator.encoder_channels", reason));
        }
        validate_gain("generator.initial_gain", self.initial_gain)?;
        validate_gain("generator.initial_noise_gain", self.initial_noise_gain)?;
        if !self.initial_gate.is_finite() {
            return Err(ConfigError::new(
                "generator.initial_gate",
                "must be a finite number",
            ));
        }
        if self.tokens < 2 {
            return Err(ConfigError::new("generator.tokens", "must be at least 2"));
        }
        if !self.attention_stride.is_power_of_two() {
            return Err(ConfigError::new(
                "generator.attention_stride",
                "must be a power of two",
            ));
        }
        let oasis = self.architecture == GeneratorArchitecture::Oasis;
        if oasis && self.noise == NoiseMode::CrossAttention {
            let reason = "an OASIS generator has no attention; choose \"concat\" or \"none\"";
            return Err(ConfigError::new("generator.noise", reason));
        }
        let stride = self.start_stride();
        for (key, side) in [("data.height", height), ("data.width", width)] {
            if side == 0 || side % stride != 0 {
                let reason = format!("{side} is not a positive multiple of {stride} pixels");
                return Err(ConfigError::new(key, reason));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_paper_scale_generator() {
        let config = GeneratorConfig::default();
        assert_eq!(config.widths(), [1024, 1024, 1024, 512, 256, 128, 64]);
        assert_eq!(config.start_stride(), 32);
        assert_eq!(config.validate(256, 512), Ok(()));
    }

    #[test]
    fn a_side_that_the_grid_does_not_divide_is_named() {
        let error = GeneratorConfig::default().validate(256, 100).unwrap_err();
        assert_eq!(error.key, "data.width");
        assert!(error.to_string().contains("multiple of 32"), "{error}");
    }
}
