use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Feature conditioning between the backbone and the decoder (section 3.1, Table 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditioningMode {
    /// Features as they are ("no normalization").
    None,
    /// Batch norm only ("w/o sigmoid").
    BatchNorm,
    /// Sigmoid only ("w/o BatchNorm").
    Sigmoid,
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
        matches!(self, Self::BatchNorm | Self::SigmoidBatchNorm)
    }
}

/// Sizes and switches of the trained part of the discriminator (facts 2.6 and 8.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscriminatorConfig {
    /// Feature conditioning.
    pub conditioning: ConditioningMode,
    /// Output channels of the decoder's ×2 blocks, coarse to fine. The last one reaches full
    /// resolution, so that five blocks start at stride 32.
    pub decoder_channels: Vec<usize>,
    /// Channels of the path at full resolution.
    pub full_resolution_channels: usize,
    /// Residual blocks of the path at full resolution.
    pub full_resolution_blocks: usize,
    /// Spectral norm on every convolution but the head (facts D4).
    pub spectral_norm: bool,
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self {
            conditioning: ConditioningMode::SigmoidBatchNorm,
            decoder_channels: vec![512, 256, 256, 128, 64],
            full_resolution_channels: 64,
            full_resolution_blocks: 2,
            spectral_norm: true,
        }
    }
}

impl DiscriminatorConfig {
    /// Checks the sizes against the strides of the backbone's features, fine to coarse.
    ///
    /// # Errors
    /// Names the first key that is wrong.
    pub fn validate(&self, strides: &[usize]) -> Result<(), ConfigError> {
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
