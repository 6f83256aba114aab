use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::projection;
use crate::ConfigError;
use crate::init::{XAVIER_GAIN, validate_gain};

/// Feature conditioning between the backbone and the decoder (section 3.1, Table 5).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, VariantArray,
)]
#[serde(rename_all = "snake_case")]
pub enum ConditioningMode {
    /// Features as they are ("no normalization").
    None,
    /// Batch norm only ("w/o sigmoid").
    BatchNorm,
    /// Sigmoid only ("w/o BatchNorm").
    Sigmoid,
    /// Frozen random projections across channels and scales, as in Projected GAN ("CCM+CSM").
    CcmCsm,
    /// Batch norm of the features, then the projections.
    BatchNormCcmCsm,
    /// Sigmoid, then batch norm: the paper's.
    #[default]
    SigmoidBatchNorm,
}

impl ConditioningMode {
    /// Whether features pass through a sigmoid.
    pub fn has_sigmoid(self) -> bool {
        matches!(self, Self::Sigmoid | Self::SigmoidBatchNorm)
    }

    /// Whether features are batch-normalised.
    pub fn has_batch_norm(self) -> bool {
        matches!(
            self,
            Self::BatchNorm | Self::SigmoidBatchNorm | Self::BatchNormCcmCsm
        )
    }

    /// Whether features are projected across channels and scales, which doubles their resolution.
    pub fn has_projection(self) -> bool {
        matches!(self, Self::CcmCsm | Self::BatchNormCcmCsm)
    }
}

/// Architecture of the discriminator (Table 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscriminatorArchitecture {
    /// A frozen backbone, feature conditioning and a trained decoder (section 3.1).
    #[default]
    DpSims,
    /// A U-Net trained from scratch, without a backbone. Of the other keys only `spectral_norm` and
    /// the table `oasis` then count.
    Oasis,
}

/// Widths of the OASIS discriminator (notes D1, D2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OasisDiscriminatorConfig {
    /// Output channels of the blocks that halve the resolution, fine to coarse.
    pub encoder_channels: Vec<usize>,
    /// Output channels of the blocks that double it, coarse to fine, as many.
    pub decoder_channels: Vec<usize>,
}

impl Default for OasisDiscriminatorConfig {
    fn default() -> Self {
        Self {
            encoder_channels: vec![128, 128, 256, 256, 512, 512],
            decoder_channels: vec![512, 256, 256, 128, 128, 64],
        }
    }
}

/// Sizes and switches of the trained part of the discriminator (notes D35 to D39, O9 to O12).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscriminatorConfig {
    /// Architecture of the discriminator (Table 6).
    pub architecture: DiscriminatorArchitecture,
    /// Feature conditioning between backbone and decoder, the rows of Table 5.
    pub conditioning: ConditioningMode,
    /// Channels of the finest level after the first random projection; each coarser level has twice
    /// as many (notes D30).
    pub projection_channels: usize,
    /// Output channels of the x2 blocks of the decoder, coarse to fine; five blocks start at stride
    /// 32. The random projections double the resolution of the features, which drops the first
    /// block (notes D39).
    pub decoder_channels: Vec<usize>,
    /// Channels of the full-resolution path.
    pub full_resolution_channels: usize,
    /// Residual blocks of that path.
    pub full_resolution_blocks: usize,
    /// Spectral norm on every convolution but the head (notes D4).
    pub spectral_norm: bool,
    /// Gain of the xavier-normal initial weights of convolutions. It matters most for the head,
    /// which has no spectral norm: with the published 0.02 (notes L32) its logits need hundreds of
    /// steps to grow.
    pub initial_gain: f64,
    /// Widths of the OASIS discriminator.
    pub oasis: OasisDiscriminatorConfig,
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self {
            architecture: DiscriminatorArchitecture::DpSims,
            conditioning: ConditioningMode::SigmoidBatchNorm,
            projection_channels: 64,
            decoder_channels: vec![512, 256, 256, 128, 64],
            full_resolution_channels: 64,
            full_resolution_blocks: 2,
            spectral_norm: true,
            initial_gain: XAVIER_GAIN,
            oasis: OasisDiscriminatorConfig::default(),
        }
    }
}

impl DiscriminatorConfig {
    /// Whether the discriminator reads the features of a frozen backbone.
    pub fn has_backbone(&self) -> bool {
        self.architecture == DiscriminatorArchitecture::DpSims
    }

    /// Number that the sides of an image must be multiples of, in pixels, with a backbone whose
    /// features have these strides.
    pub fn side_multiple(&self, strides: &[usize]) -> usize {
        match self.architecture {
            DiscriminatorArchitecture::DpSims => strides.last().copied().unwrap_or(1),
            DiscriminatorArchitecture::Oasis => 1 << self.oasis.encoder_channels.len().min(20),
        }
    }

    /// Channels and strides of the features that reach the decoder, and the widths of its blocks,
    /// for a backbone whose features have these channels and strides.
    pub fn decoder_plan(&self, channels: &[usize], strides: &[usize]) -> DecoderPlan {
        let widths = &self.decoder_channels;
        if !self.conditioning.has_projection() {
            return DecoderPlan {
                channels: channels.to_vec(),
                strides: strides.to_vec(),
                widths: widths.clone(),
            };
        }
        DecoderPlan {
            channels: projection::outputs(self.projection_channels, channels.len()),
            strides: strides.iter().map(|stride| stride / 2).collect(),
            widths: widths.iter().skip(1).copied().collect(),
        }
    }

    /// Checks the widths of an OASIS discriminator, or else the sizes against the strides of the backbone's features, fine to coarse.
    ///
    /// # Errors
    /// Names the first key that is wrong.
    pub fn validate(&self, strides: &[usize]) -> Result<(), ConfigError> {
        validate_gain("discriminator.initial_gain", self.initial_gain)?;
        if self.architecture == DiscriminatorArchitecture::Oasis {
            return self.oasis.validate();
        }
        let blocks = self.decoder_channels.len();
        let coarsest = strides.last().copied().unwrap_or(0);
        if coarsest != 1 << blocks || self.decoder_channels.contains(&0) {
            let reason = format!(
                "{blocks} blocks of x2 start at stride {}, but the backbone's coarsest features \
                 have stride {coarsest}",
                1usize << blocks.min(20)
            );
            return Err(ConfigError::new("discriminator.decoder_channels", reason));
        }
        for (key, value) in [
            (
                "discriminator.projection_channels",
                self.projection_channels,
            ),
            (
                "discriminator.full_resolution_channels",
                self.full_resolution_channels,
            ),
            (
                "discriminator.full_resolution_blocks",
                self.full_resolution_blocks,
            ),
        ] {
            if value == 0 {
                return Err(ConfigError::new(key, "must be at least 1"));
            }
        }
        Ok(())
    }
}

/// What the decoder of the DP-SIMS discriminator is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderPlan {
    /// Channels of the features, fine to coarse.
    pub channels: Vec<usize>,
    /// Strides of the features in pixels, fine to coarse.
    pub strides: Vec<usize>,
    /// Output channels of the blocks, coarse to fine.
    pub widths: Vec<usize>,
}

impl OasisDiscriminatorConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let blocks = self.encoder_channels.len();
        if !(1..=10).contains(&blocks) || self.encoder_channels.contains(&0) {
            let key = "discriminator.oasis.encoder_channels";
            return Err(ConfigError::new(key, "needs 1 to 10 positive numbers"));
        }
        if self.decoder_channels.len() != blocks || self.decoder_channels.contains(&0) {
            let key = "discriminator.oasis.decoder_channels";
            let reason = format!("needs {blocks} positive numbers, as many as encoder_channels");
            return Err(ConfigError::new(key, reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoder_must_reach_full_resolution() {
        let config = DiscriminatorConfig::default();
        assert_eq!(config.validate(&[4, 8, 16, 32]), Ok(()));
        let error = config.validate(&[4, 8, 16]).unwrap_err();
        assert!(error.to_string().contains("stride 16"), "{error}");
    }
}
