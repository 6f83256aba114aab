use anyhow::{Result, ensure};
use dp_sims_datasets::Size;
use dp_sims_model::backbones::BackboneKind;
use dp_sims_model::generator::NoiseMode;
use dp_sims_model::losses::{ContrastiveConfig, PixelLossConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Weights;

/// Loss terms and their weights (section 3.3; notes L24).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// Pixel-wise GAN loss (Eq. 3 and 4).
    pub pixel: PixelLossConfig,
    /// Weight λ_GAN of the generator's GAN loss.
    pub lambda_gan: f64,
    /// Contrastive loss (Eq. 5).
    pub contrastive: ContrastiveTerm,
    /// Weight λ_D of the diversity loss; 0 leaves it out, and with it the second latent.
    pub lambda_diversity: f64,
    /// Cutoff τ_div of the diversity loss (Eq. 6).
    pub diversity_cutoff: f64,
    /// Diversity loss on every cell of the image, which the paper does not use.
    pub image_diversity: ImageDiversityTerm,
    /// Diversity loss on every position of the features of the contrastive network, which the paper
    /// does not use.
    pub feature_diversity: FeatureDiversityTerm,
    /// Weight of the discriminator's LabelMix consistency (notes L11), which the paper does not
    /// use; OASIS has 10.
    pub lambda_label_mix: f64,
    /// Largest translation in pixels of images, photos and label maps of a batch before the losses
    /// see them, wrapping around at the edges (the translation of DiffAugment); 0 in the paper.
    pub shift: usize,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            pixel: PixelLossConfig::default(),
            lambda_gan: 1.0,
            contrastive: ContrastiveTerm::default(),
            lambda_diversity: 10.0,
            diversity_cutoff: 1.0,
            image_diversity: ImageDiversityTerm::default(),
            feature_diversity: FeatureDiversityTerm::default(),
            lambda_label_mix: 0.0,
            shift: 0,
        }
    }
}

/// The contrastive term and the network whose features it compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContrastiveTerm {
    /// Weight λ_C of the contrastive loss; 0 leaves it out.
    pub lambda: f64,
    /// Frozen network whose features at strides 4, 8 and 16 are compared.
    pub network: BackboneKind,
    /// Where its weights come from.
    pub weights: Weights,
    /// Temperature, negatives and dimensions.
    pub loss: ContrastiveConfig,
}

impl Default for ContrastiveTerm {
    fn default() -> Self {
        Self {
            lambda: 100.0,
            network: BackboneKind::ConvnextPicoScenes,
            weights: Weights::Pretrained,
            loss: ContrastiveConfig::default(),
        }
    }
}

/// Diversity asked of every place of the image: the mean over places of max(0, cutoff - d), where d is
/// the mean absolute difference of two images of one label map there, in units of their range
/// [-1, 1], over the mean absolute difference of their latents. Eq. 6 looks at features, whose scale
/// grows until their mean difference is large enough and a burnt-out corner can make up for the rest;
/// here neither can.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageDiversityTerm {
    /// Weight of a diversity loss on every cell of the image; 0, as in the paper, leaves it out.
    pub lambda: f64,
    /// A cell adds nothing once the mean difference of two images of one label map (range 2),
    /// divided by that of their latents, reaches this.
    pub cutoff: f64,
    /// Side of a cell in pixels, over which colours are averaged; divides height and width.
    pub cell: usize,
}

impl Default for ImageDiversityTerm {
    fn default() -> Self {
        Self {
            lambda: 0.0,
            cutoff: 0.2,
            cell: 8,
        }
    }
}

/// Diversity in the features of the frozen network of the contrastive loss: the mean over scales and
/// places of max(0, cutoff - d), where d is the squared distance of the feature vectors of two images of
/// one label map, brought to length one (0 to 4), over the mean absolute difference of their latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureDiversityTerm {
    /// Weight of a diversity loss on every position of the features of the contrastive network; 0,
    /// as in the paper, leaves it out.
    pub lambda: f64,
    /// A position adds nothing once the squared distance of its two feature vectors, normalised to
    /// length one and divided by that of the latents, reaches this.
    pub cutoff: f64,
}

impl Default for FeatureDiversityTerm {
    fn default() -> Self {
        Self {
            lambda: 0.0,
            cutoff: 0.3,
        }
    }
}

impl LossConfig {
    /// Whether any term compares two images of one label map, so that the generator makes pairs.
    pub fn has_pairs(&self) -> bool {
        self.lambda_diversity > 0.0 || self.compares_images()
    }

    /// Whether any term compares the images of a pair, and not their features alone.
    pub fn compares_images(&self) -> bool {
        self.image_diversity.lambda > 0.0 || self.feature_diversity.lambda > 0.0
    }

    /// Whether any term reads features of the network of the contrastive loss.
    pub fn has_network(&self) -> bool {
        self.contrastive.lambda > 0.0 || self.feature_diversity.lambda > 0.0
    }

    /// Checks every key for a generator with this kind of noise and images of this size.
    ///
    /// # Errors
    /// Names the first key that is wrong and what is allowed.
    pub(super) fn validate(&self, noise: NoiseMode, size: Size) -> Result<()> {
        self.pixel.init()?;
        let diversities = [
            ("loss.lambda_diversity", self.lambda_diversity),
            ("loss.image_diversity.lambda", self.image_diversity.lambda),
            (
                "loss.feature_diversity.lambda",
                self.feature_diversity.lambda,
            ),
        ];
        for (key, lambda) in diversities {
            ensure!(
                noise != NoiseMode::None || lambda == 0.0,
                "configuration key `{key}`: must be 0 with `generator.noise = \"none\"`, since images \
                 cannot differ"
            );
        }
        let (cell, Size { height, width }) = (self.image_diversity.cell, size);
        ensure!(
            self.image_diversity.lambda == 0.0
                || cell > 0 && height.is_multiple_of(cell) && width.is_multiple_of(cell),
            "configuration key `loss.image_diversity.cell`: {cell} does not divide data.height, \
             {height}, and data.width, {width}"
        );
        Ok(())
    }
}
