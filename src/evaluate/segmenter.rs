//! A segmentation network for your own dataset: the discriminator's architecture, trained on
//! photos alone.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor};
use dp_sims_datasets::{Description, Size};
use dp_sims_model::backbones::{Backbone, BackboneKind, info};
use dp_sims_model::discriminator::{Discriminator, DiscriminatorConfig};
use dp_sims_model::init::XAVIER_GAIN;
use dp_sims_model::layers::Mode;
use dp_sims_model::weights::{load_state_dict, read_weights, state_dict, write_safetensors};
use serde::{Deserialize, Serialize};

use crate::checkpoint::snapshot::described;
use crate::config::Weights;
use crate::runtime::files::write_whole;
use crate::weights::{BackboneFile, load_backbone};

/// Version of the folder's layout.
const FORMAT: u32 = 1;
/// Name of the weights in a segmenter's folder.
pub const SEGMENTER_WEIGHTS: &str = "segmenter.safetensors";

/// Names of the files in a segmenter's folder.
const FILES: [&str; 3] = ["segmenter.toml", "dataset.toml", SEGMENTER_WEIGHTS];

/// What a segmenter is: `segmenter.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnSegmenterConfig {
    /// Version of the folder's layout.
    pub format: u32,
    /// Frozen backbone below the decoder.
    pub backbone: BackboneKind,
    /// Name of the backbone's weight file.
    pub backbone_file: String,
    /// SHA-256 of that file.
    pub backbone_sha256: String,
    /// Height in pixels of the images it was trained on.
    pub height: usize,
    /// Width in pixels of the images it was trained on.
    pub width: usize,
    /// Training steps.
    pub steps: u64,
    /// Batch size.
    pub batch: usize,
    /// Largest learning rate of Adam; it falls along a half cosine.
    pub learning_rate: f64,
    /// Seed of the first weights and of the order of the images.
    pub seed: u64,
    /// Feature conditioning and decoder.
    pub decoder: DiscriminatorConfig,
}

impl OwnSegmenterConfig {
    /// A segmenter on a backbone whose weights are in `folder`.
    ///
    /// # Errors
    /// When the weights are missing, or the size does not suit the backbone.
    pub fn new(backbone: BackboneKind, size: Size, folder: &Path) -> Result<Self> {
        let file = BackboneFile::find(backbone, &Weights::Pretrained, folder)?.hash()?;
        let (backbone_file, backbone_sha256) = file.context("random weights")?;
        let decoder = DiscriminatorConfig {
            decoder_channels: vec![256, 128, 128, 64, 32],
            full_resolution_channels: 32,
            // It keeps a discriminator from outrunning the generator; here it only slows learning.
            spectral_norm: false,
            ..Default::default()
        };
        let multiple = decoder.side_multiple(&info(backbone).strides);
        ensure!(
            size.pixels() > 0
                && size.height.is_multiple_of(multiple)
                && size.width.is_multiple_of(multiple),
            "--size {}x{}: both sides must be multiples of {multiple} pixels, the coarsest stride of {}",
            size.height,
            size.width,
            backbone.name()
        );
        Ok(Self {
            format: FORMAT,
            backbone,
            backbone_file,
            backbone_sha256,
            height: size.height,
            width: size.width,
            steps: 0,
            batch: 0,
            learning_rate: 0.0,
            seed: 0,
            decoder,
        })
    }

    /// Size of the images it was trained on.
    pub fn size(&self) -> Size {
        Size::new(self.height, self.width)
    }
}

/// Brings the first weights of convolutions, drawn for use under spectral norm, which takes their
/// scale away, to the scale of He et al. 2015: √(2 / fan_in), which carries a signal unchanged
/// through convolutions with ReLUs.
struct ForPlainConvolutions;

impl<B: Backend> ModuleMapper<B> for ForPlainConvolutions {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let [channels_out, channels_in] = match param.lazy_shape()[..] {
            [channels_out, channels_in, _, _] => [channels_out, channels_in],
            _ => return param,
        };
        let scale = ((channels_in + channels_out) as f64 / channels_in as f64).sqrt();
        param.map(|weight| {
            let weight = weight.detach().set_require_grad(false);
            weight.mul_scalar(scale / XAVIER_GAIN).require_grad()
        })
    }
}

/// A segmentation network: frozen backbone, feature conditioning and decoder, a logit per class.
#[derive(Debug)]
pub struct OwnSegmenter<B: Backend> {
    /// What it is.
    pub config: OwnSegmenterConfig,
    /// Frozen.
    pub backbone: Backbone<B>,
    /// The trained part.
    pub decoder: Discriminator<B>,
    /// Classes, void included; void has a logit and is never predicted.
    pub classes: usize,
}

impl<B: Backend> OwnSegmenter<B> {
    /// With first weights, for `classes` classes, void included.
    ///
    /// # Errors
    /// When the backbone's weights are missing or the decoder does not fit it.
    pub fn new(
        config: OwnSegmenterConfig,
        classes: usize,
        folder: &Path,
        device: &B::Device,
    ) -> Result<Self> {
        ensure!(
            classes > 1,
            "a dataset with no class but void has nothing to segment"
        );
        let entry = info(config.backbone);
        let backbone = load_backbone(config.backbone, &Weights::Pretrained, folder, 0, device)?;
        // A discriminator has one more output, "fake", than it is given classes.
        let decoder = config.decoder.init(
            &entry.channels,
            &entry.strides,
            classes - 1,
            config.seed,
            device,
        )?;
        Ok(Self {
            config,
            backbone,
            decoder: decoder.map(&mut ForPlainConvolutions),
            classes,
        })
    }

    /// Class of every pixel, never void.
    ///
    /// # Shapes
    /// - `images`: `[N, 3, H, W]` in [-1, 1], of the size it was trained on
    /// - output: `[N, H, W]`, class indices from 1
    pub fn predict(&mut self, images: Tensor<B, 4>) -> Tensor<B, 3, Int> {
        let features = self.backbone.forward(images.clone());
        let logits = self.decoder.forward(images, features, Mode::Eval);
        let classes = logits.narrow(1, 1, self.classes - 1);
        classes.argmax(1).squeeze_dim::<3>(1).add_scalar(1)
    }

    /// Writes a segmenter's folder. Each file appears whole.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, out: &Path, description: &Description) -> Result<()> {
        std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        let [config, dataset, weights] = FILES.map(|name| out.join(name));
        write_safetensors(&weights, &state_dict(&self.decoder))?;
        for (path, text) in [
            (dataset, toml::to_string_pretty(description)?),
            // Last, so that a folder with it is whole.
            (config, toml::to_string_pretty(&self.config)?),
        ] {
            write_whole(&path, text.as_bytes())?;
        }
        Ok(())
    }

    /// Opens a segmenter's folder; the backbone's weights are in `weights`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the backbone's weights are not those it was trained
    /// with.
    pub fn load(folder: &Path, weights: &Path, device: &B::Device) -> Result<(Self, Description)> {
        let (config, description) = read_segmenter(folder)?;
        let file = BackboneFile::find(config.backbone, &Weights::Pretrained, weights)?.hash()?;
        let (name, hash) = file.context("random weights")?;
        ensure!(
            hash == config.backbone_sha256,
            "the segmenter in {} was trained on {} with SHA-256 {}, but {name} in {} has {hash}: put \
             the same file there",
            folder.display(),
            config.backbone_file,
            config.backbone_sha256,
            weights.display()
        );
        let classes = description.class_table().len();
        let mut segmenter = Self::new(config, classes, weights, device)?;
        let path = folder.join(FILES[2]);
        let state = read_weights(&path)?;
        segmenter.decoder =
            load_state_dict(segmenter.decoder, &state, &path.display().to_string())?;
        Ok((segmenter, description))
    }
}

impl<B: AutodiffBackend> OwnSegmenter<B> {
    /// Without a graph.
    pub fn valid(&self) -> OwnSegmenter<B::InnerBackend> {
        OwnSegmenter {
            config: self.config.clone(),
            backbone: self.backbone.valid(),
            decoder: self.decoder.valid(),
            classes: self.classes,
        }
    }
}

/// Configuration and dataset of a segmenter's folder.
///
/// # Errors
/// When a file is missing or not valid.
pub fn read_segmenter(folder: &Path) -> Result<(OwnSegmenterConfig, Description)> {
    let path = folder.join(FILES[0]);
    let text = crate::runtime::files::read_text(&path).with_context(|| {
        format!(
            "{} is no folder of `dp-sims train-segmenter`: cannot read {}",
            folder.display(),
            FILES[0]
        )
    })?;
    let invalid = || format!("{} is not valid", path.display());
    let config: OwnSegmenterConfig = toml::from_str(&text).with_context(invalid)?;
    ensure!(
        config.format == FORMAT,
        "{} has layout {}, this program reads layout {FORMAT}: train the segmenter again",
        path.display(),
        config.format
    );
    let multiple = config.decoder.side_multiple(&info(config.backbone).strides);
    ensure!(
        config.height > 0
            && config.width > 0
            && config.height.is_multiple_of(multiple)
            && config.width.is_multiple_of(multiple),
        "{}: `height` and `width` must be multiples of {multiple}",
        path.display()
    );
    let path = folder.join(FILES[1]);
    let text = crate::runtime::files::read_text(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let description =
        described(&text).with_context(|| format!("{} is not valid", path.display()))?;
    Ok((config, description))
}

/// The weight file of a segmenter's decoder.
pub fn segmenter_weights(folder: &Path) -> std::path::PathBuf {
    folder.join(FILES[2])
}
