use std::path::PathBuf;

use anyhow::{Result, ensure};
use dp_sims_datasets::Size;
use dp_sims_model::backbones::{BackboneKind, info};
use dp_sims_model::discriminator::DiscriminatorConfig;
use dp_sims_model::generator::GeneratorConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::difference::values;
use super::keys::check_ranges;
use super::{
    About, EmaConfig, EvaluationConfig, LossConfig, OptimizerConfig, PrecisionConfig, Weights,
};

/// Most letters in the name of an experiment: longer names are too long for a file system.
const NAME_LETTERS: usize = 100;

/// Everything that defines a run, as an experiment file has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// Name of the experiment and of its default run folder, without slashes. Defaults to the name
    /// of the file; experiments that extend this one do not inherit it.
    pub name: String,
    /// What the experiment is for. Changes nothing about a run.
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
    /// Types of numbers.
    pub precision: PrecisionConfig,
    /// Moving average of the generator.
    pub ema: EmaConfig,
    /// Evaluation during training.
    pub evaluation: EvaluationConfig,
}

/// Length, batch, seed and what is written when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Optimizer steps in total.
    pub steps: u64,
    /// Images per forward pass and device.
    pub batch: usize,
    /// Forward passes whose gradients are averaged into one optimizer step. Batch statistics and
    /// class weights are those of one pass (notes O23).
    pub accumulation: usize,
    /// Images per optimizer step on all devices. Where it is given, `batch` is this number divided by
    /// `accumulation` and the devices. Runs on several devices have it in their checkpoints, so that they
    /// can be resumed on another number of devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_batch: Option<usize>,
    /// On several devices, batch norm normalises by the statistics of all of them.
    pub sync_batch_norm: bool,
    /// On several devices, class weights are those of a pass on all of them (notes O23).
    pub sync_class_weights: bool,
    /// Trains the discriminator on the images of the generator step instead of on new ones from the
    /// updated generator (notes L30, O22). Saves one forward pass of the generator.
    pub reuse_fakes: bool,
    /// Computes parts of the networks again on the way back instead of keeping what they need there: less
    /// memory, about a third more operations, and the same results.
    pub recompute: bool,
    /// Seed of initial weights, data order and noise.
    pub seed: u64,
    /// Steps between checkpoints; one is always written at the end.
    pub checkpoint_every: u64,
    /// Newest checkpoints kept; 0 keeps all.
    pub keep_checkpoints: usize,
    /// Checkpoints of steps that are multiples of this stay beside the newest ones for good; 0 for none.
    /// A multiple of `checkpoint_every`.
    pub keep_every: u64,
    /// Steps between previews; one is written before the first step and one after the last step of
    /// the experiment.
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
            total_batch: None,
            sync_batch_norm: true,
            sync_class_weights: true,
            reuse_fakes: false,
            recompute: false,
            seed: 42,
            checkpoint_every: 1000,
            keep_checkpoints: 3,
            keep_every: 0,
            preview_every: 250,
            preview_rows: 4,
            preview_samples: 3,
        }
    }
}

impl RunConfig {
    /// Images of an optimizer step on so many devices.
    pub fn images_per_step(&self, devices: usize) -> usize {
        self.batch * self.accumulation * devices
    }

    /// Divides `total_batch` among so many devices; what several devices do in all is noted there.
    ///
    /// # Errors
    /// When it cannot be divided.
    pub fn divide(&mut self, devices: usize) -> Result<()> {
        if let Some(total) = self.total_batch {
            let parts = self.accumulation * devices;
            ensure!(
                total > 0 && total.is_multiple_of(parts),
                "configuration key `run.total_batch`: {total} images cannot be divided among {devices} \
                 device(s) with run.accumulation = {}: it has to be a multiple of {parts}",
                self.accumulation
            );
            self.batch = total / parts;
        } else if devices > 1 {
            self.total_batch = Some(self.images_per_step(devices));
        }
        Ok(())
    }
}

/// Images and label maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// `scenes` (procedural, needs no file), `camvid`, `ade20k`, `coco-stuff`, `coco-stuff-spade`,
    /// `cityscapes`, or the path of a dataset description.
    pub dataset: String,
    /// Root folder of the dataset; `--data` sets it.
    pub root: Option<PathBuf>,
    /// Height of images and label maps in pixels, a multiple of the start stride (32 with six SPADE
    /// blocks).
    pub height: usize,
    /// Width of images and label maps in pixels, a multiple of the start stride.
    pub width: usize,
    /// Height in pixels to which images are resized, with the width in proportion, before a crop of
    /// `height` x `width` is taken at random. Without it images are resized to `height` x `width`,
    /// as in the published runs of OASIS (notes S7, O25); SPADE uses 286 for 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_size: Option<usize>,
    /// Folder of packed splits, as `dp-sims dataset pack` writes them, that is read instead of
    /// `root`; not together with `load_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packed: Option<PathBuf>,
    /// Decodes JPEGs of at least eight times `height` and `width` at a fraction of their size.
    /// Decoding a photo of twelve megapixels takes a quarter to a half less time, and pixels differ
    /// by a few levels from the exact resize.
    pub reduced_jpeg: bool,
    /// Mirrors half of the training images.
    pub flip: bool,
    /// Draws images with rare classes more often: with probability proportional to f^(-1/2), where
    /// f is the share of images that contain the rarest class of the image (section 4.1, notes
    /// S17). Void does not count.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackboneConfig {
    /// Architecture of the network.
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

impl Experiment {
    /// Whether discriminator and contrastive loss see images through the same network, so that one
    /// pass through it serves both.
    pub fn shares_features(&self) -> bool {
        let term = &self.loss.contrastive;
        self.discriminator.has_backbone()
            && self.backbone.network == term.network
            && self.backbone.weights == term.weights
    }

    /// Checks the name, which the default run folder has: it is no path.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check_name(&self) -> Result<()> {
        let name = &self.name;
        let is_name = !name.is_empty()
            && name.chars().count() <= NAME_LETTERS
            && !name.contains(['/', '\\'])
            && !name.contains(char::is_control)
            && !matches!(name.as_str(), "." | "..");
        ensure!(
            is_name,
            "configuration key `name`: {name:?} is no name: it becomes that of a folder and has 1 to \
             {NAME_LETTERS} letters, without slashes (--out chooses another place)"
        );
        Ok(())
    }

    /// Checks what can be checked without data or weights.
    ///
    /// # Errors
    /// Names the first key that is wrong and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.check_name()?;
        check_ranges(&values(self)?)?;
        self.generator.validate(self.data.height, self.data.width)?;
        self.loss.validate(self.generator.noise, self.data.size())?;
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
        Ok(())
    }
}
