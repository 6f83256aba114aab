use std::path::PathBuf;

use anyhow::{Result, ensure};
use dp_sims_datasets::Size;
use dp_sims_model::backbones::{BackboneKind, info};
use dp_sims_model::discriminator::DiscriminatorConfig;
use dp_sims_model::generator::{GeneratorConfig, NoiseMode};
use dp_sims_model::losses::{ContrastiveConfig, PixelLossConfig};
use serde::{Deserialize, Serialize};

use super::{About, EvaluationConfig, Weights};

/// Everything that defines a run, as an experiment file has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// Name of the experiment, which is also the default name of the run folder.
    pub name: String,
    /// What it is for. Changes nothing about a run.
    #[serde(skip_serializing_if = "About::is_empty")]
    pub about: About,
    /// Length, batch, seed and what is written when.
    pub run: RunConfig,
    /// Images and label maps.
    pub data: DataConfig,
    /// The generator.
    pub generator: GeneratorConfig,
    /// The frozen network inside the discriminator.
    pub backbone: BackboneConfig,
    /// The trained part of the discriminator.
    pub discriminator: DiscriminatorConfig,
    /// Loss terms and their weights.
    pub loss: LossConfig,
    /// Adam.
    pub optimizer: OptimizerConfig,
    /// Moving average of the generator.
    pub ema: EmaConfig,
    /// Evaluation during training.
    pub evaluation: EvaluationConfig,
}

/// Length, batch, seed and what is written when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Optimizer steps in total.
    pub steps: u64,
    /// Images per forward pass.
    pub batch: usize,
    /// Forward passes whose gradients are averaged into one optimizer step. Batch statistics and
    /// class weights are those of one pass (facts O23).
    pub accumulation: usize,
    /// Whether the discriminator is shown the images of the generator's step, which the generator made
    /// before it changed, and not new ones (facts L30, O22). Saves one forward pass of the generator.
    pub reuse_fakes: bool,
    /// Seed of initial weights, data order and noise.
    pub seed: u64,
    /// Steps between checkpoints; one is always written at the end.
    pub checkpoint_every: u64,
    /// Newest checkpoints kept; 0 keeps all.
    pub keep_checkpoints: usize,
    /// Steps between previews; one is written before the first step and one at the end.
    pub preview_every: u64,
    /// Label maps in a preview.
    pub preview_rows: usize,
    /// Generated images per label map in a preview.
    pub preview_samples: usize,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            steps: 1000,
            batch: 4,
            accumulation: 1,
            reuse_fakes: false,
            seed: 42,
            checkpoint_every: 1000,
            keep_checkpoints: 3,
            preview_every: 250,
            preview_rows: 4,
            preview_samples: 3,
        }
    }
}

/// Images and label maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// `scenes` (procedural, needs no file), the name of a built-in description such as
    /// `camvid`, or the path of a dataset description (TOML).
    pub dataset: String,
    /// Root folder of the dataset; `--data` sets it.
    pub root: Option<PathBuf>,
    /// Height of images and label maps in pixels.
    pub height: usize,
    /// Width of images and label maps in pixels.
    pub width: usize,
    /// Height in pixels that images are resized to, with the width in proportion to `height` and
    /// `width`, before a place of `height` x `width` is cut out at random. Without it images are
    /// resized to `height` x `width`, as in the published runs (facts S7, O25); SPADE has 286 for 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_size: Option<usize>,
    /// Folder of packed splits, as `dp-sims dataset pack` writes them, in place of the files of the
    /// dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packed: Option<PathBuf>,
    /// Whether JPEGs of at least eight times the height and width are decoded at a fraction of their
    /// size: a quarter to a half less decoding at twelve megapixels, and off by a few levels.
    pub reduced_jpeg: bool,
    /// Whether half of the training images are mirrored.
    pub flip: bool,
    /// Whether images with rare classes are drawn more often (section 4.1, facts S17).
    pub balanced: bool,
    /// Number of different images of the procedural dataset.
    pub scenes: usize,
    /// Threads that read and resize images.
    pub workers: usize,
    /// Batches kept ready.
    pub queue: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            dataset: "scenes".to_string(),
            root: None,
            height: 64,
            width: 64,
            load_size: None,
            packed: None,
            reduced_jpeg: false,
            flip: true,
            balanced: true,
            scenes: 10_000,
            workers: 1,
            queue: 4,
        }
    }
}

impl DataConfig {
    /// Size of images and label maps.
    pub fn size(&self) -> Size {
        Size::new(self.height, self.width)
    }

    /// Size that images are read at before they are cut, `None` where they are not cut.
    pub fn load(&self) -> Option<Size> {
        let height = self.load_size?;
        let width = (height * self.width).div_ceil(self.height.max(1));
        Some(Size::new(height, width))
    }
}

/// The frozen network inside the discriminator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackboneConfig {
    /// Architecture.
    pub network: BackboneKind,
    /// Where its weights come from.
    pub weights: Weights,
}

impl Default for BackboneConfig {
    fn default() -> Self {
        Self {
            network: BackboneKind::ConvnextPicoScenes,
            weights: Weights::Pretrained,
        }
    }
}

/// Loss terms and their weights (section 3.3; facts L24).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Diversity asked of every place of the image; not the paper's.
    pub image_diversity: ImageDiversityTerm,
    /// Diversity asked of every place of the features of the contrastive loss's network; not the
    /// paper's.
    pub feature_diversity: FeatureDiversityTerm,
    /// Weight of the discriminator's LabelMix consistency (facts L11). 0, as in the paper, leaves
    /// it out; OASIS has 10.
    pub lambda_label_mix: f64,
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
        }
    }
}

/// The contrastive term and the network whose features it compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContrastiveTerm {
    /// Weight λ_C; 0 leaves the term out.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageDiversityTerm {
    /// Weight; 0, as in the paper, leaves the term out.
    pub lambda: f64,
    /// Difference from which on a place asks for nothing more.
    pub cutoff: f64,
    /// Side in pixels of a place, whose colours are averaged; the sides of the image are multiples.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureDiversityTerm {
    /// Weight; 0, as in the paper, leaves the term out. Needs the contrastive loss.
    pub lambda: f64,
    /// Distance from which on a place asks for nothing more.
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

/// Adam for generator, projector and discriminator (section 4.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate of generator and projector.
    pub lr_generator: f64,
    /// Learning rate of the discriminator.
    pub lr_discriminator: f64,
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
    /// Largest global norm of the gradients of a network, which Swin backbones need (facts O24);
    /// none leaves gradients as they are.
    pub clip_norm: Option<f64>,
    /// Steps over which the rates rise from 0 to their values, in equal parts. With β₁ = 0 Adam moves
    /// every weight by about the rate in its first steps (facts E11).
    pub warmup_steps: u64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            lr_generator: 1e-3,
            lr_discriminator: 1e-3,
            beta_1: 0.0,
            beta_2: 0.99,
            epsilon: 1e-8,
            clip_norm: None,
            warmup_steps: 0,
        }
    }
}

impl OptimizerConfig {
    /// Share of the full learning rates at step `step` (from 1).
    pub fn warmup(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            step as f64 / self.warmup_steps as f64
        } else {
            1.0
        }
    }
}

/// Moving average of the generator (facts L33 to L35, E4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmaConfig {
    /// Share of the old average that is kept at each step.
    pub decay: f64,
    /// Whether step s keeps only min(decay, (1 + s) / (10 + s)). Without the ramp an average
    /// with the paper's decay shows flat gray for thousands of steps.
    pub ramp: bool,
    /// Training batches run through the average before it is used, to refresh its running
    /// statistics and spectral-norm vectors.
    pub refresh_batches: usize,
}

impl EmaConfig {
    /// Share of the old average kept at step `step` (from 1): with the ramp, short runs forget
    /// their initial weights (facts E4).
    pub fn decay_at(&self, step: u64) -> f64 {
        let ramp = (1.0 + step as f64) / (10.0 + step as f64);
        if self.ramp {
            self.decay.min(ramp)
        } else {
            self.decay
        }
    }
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self {
            decay: 0.9999,
            ramp: false,
            refresh_batches: 51,
        }
    }
}

impl Experiment {
    /// Checks what can be checked without data or weights.
    ///
    /// # Errors
    /// Names the first key that is wrong and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.generator.validate(self.data.height, self.data.width)?;
        self.loss.pixel.init()?;
        self.evaluation.validate()?;
        let term = &self.loss.contrastive;
        self.backbone
            .weights
            .validate("backbone.weights", self.backbone.network)?;
        term.weights
            .validate("loss.contrastive.weights", term.network)?;
        let coarsest = self
            .discriminator
            .side_multiple(&info(self.backbone.network).strides);
        for (key, side) in [
            ("data.height", self.data.height),
            ("data.width", self.data.width),
        ] {
            ensure!(
                side.is_multiple_of(coarsest),
                "configuration key `{key}`: {side} is not a multiple of {coarsest} pixels, the \
                 coarsest stride of the discriminator"
            );
        }
        for (key, lambda) in [
            ("loss.lambda_diversity", self.loss.lambda_diversity),
            (
                "loss.image_diversity.lambda",
                self.loss.image_diversity.lambda,
            ),
            (
                "loss.feature_diversity.lambda",
                self.loss.feature_diversity.lambda,
            ),
        ] {
            ensure!(
                self.generator.noise != NoiseMode::None || lambda == 0.0,
                "configuration key `{key}`: must be 0 with `generator.noise = \"none\"`, since \
                 images cannot differ"
            );
        }
        ensure!(
            self.loss.feature_diversity.lambda == 0.0 || self.loss.contrastive.lambda > 0.0,
            "configuration key `loss.feature_diversity.lambda`: must be 0 without the contrastive loss, \
             whose network it looks through"
        );
        let cell = self.loss.image_diversity.cell;
        ensure!(
            cell > 0
                && self.data.height.is_multiple_of(cell)
                && self.data.width.is_multiple_of(cell),
            "configuration key `loss.image_diversity.cell`: {cell} does not divide data.height, {}, \
             and data.width, {}",
            self.data.height,
            self.data.width
        );
        if let Some(side) = self.data.load_size {
            ensure!(
                side >= self.data.height && side <= 65_535,
                "configuration key `data.load_size`: {side} is not between data.height, {}, and \
                 65535",
                self.data.height
            );
            ensure!(
                self.data.packed.is_none(),
                "configuration key `data.load_size`: packed samples have their final size; remove it \
                 or `data.packed`"
            );
        }
        let at_least_one = [
            ("run.batch", self.run.batch),
            ("run.accumulation", self.run.accumulation),
            ("run.preview_rows", self.run.preview_rows),
            ("run.preview_samples", self.run.preview_samples),
            ("data.scenes", self.data.scenes),
            ("data.workers", self.data.workers),
            ("data.queue", self.data.queue),
            ("ema.refresh_batches", self.ema.refresh_batches),
        ];
        for (key, value) in at_least_one {
            ensure!(value > 0, "configuration key `{key}`: must be at least 1");
        }
        for (key, value) in [
            ("run.steps", self.run.steps),
            ("run.checkpoint_every", self.run.checkpoint_every),
            ("run.preview_every", self.run.preview_every),
        ] {
            ensure!(value > 0, "configuration key `{key}`: must be at least 1");
        }
        for (key, value) in [
            ("optimizer.lr_generator", self.optimizer.lr_generator),
            (
                "optimizer.lr_discriminator",
                self.optimizer.lr_discriminator,
            ),
            ("loss.lambda_gan", self.loss.lambda_gan),
            ("loss.lambda_diversity", self.loss.lambda_diversity),
            ("loss.contrastive.lambda", self.loss.contrastive.lambda),
            ("loss.diversity_cutoff", self.loss.diversity_cutoff),
            ("loss.lambda_label_mix", self.loss.lambda_label_mix),
            (
                "loss.image_diversity.lambda",
                self.loss.image_diversity.lambda,
            ),
            (
                "loss.image_diversity.cutoff",
                self.loss.image_diversity.cutoff,
            ),
            (
                "loss.feature_diversity.lambda",
                self.loss.feature_diversity.lambda,
            ),
            (
                "loss.feature_diversity.cutoff",
                self.loss.feature_diversity.cutoff,
            ),
            (
                "optimizer.clip_norm",
                self.optimizer.clip_norm.unwrap_or(1.0),
            ),
        ] {
            ensure!(
                value.is_finite() && value >= 0.0,
                "configuration key `{key}`: {value} is not a number of at least 0"
            );
        }
        for (key, value) in [
            ("optimizer.beta_1", f64::from(self.optimizer.beta_1)),
            ("optimizer.beta_2", f64::from(self.optimizer.beta_2)),
            ("ema.decay", self.ema.decay),
        ] {
            ensure!(
                (0.0..1.0).contains(&value),
                "configuration key `{key}`: {value} is not in [0, 1)"
            );
        }
        Ok(())
    }
}
