use anyhow::Result;
use dp_sims_datasets::hex;
use dp_sims_model::cost::{self, Convention};
use dp_sims_model::generator::{GeneratorArchitecture, NoiseMode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::limits::Limits;
use crate::checkpoint::snapshot::Snapshot;

/// The model that makes the images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelFacts {
    /// Name of the experiment that it was trained by.
    pub name: String,
    /// SHA-256 of the file of its weights, in hexadecimal digits.
    pub hash: String,
    /// Classes, void included.
    pub classes: usize,
    /// Height of its images in pixels.
    pub height: usize,
    /// Width of its images in pixels.
    pub width: usize,
    /// Sides of other sizes are multiples of this.
    pub side_multiple: usize,
    /// Numbers in a latent.
    pub latent_dim: usize,
    /// Noise tokens of an image, 0 where it has none.
    pub tokens: usize,
    /// Trained numbers.
    pub parameters: u64,
    /// Bytes of the file of its weights.
    pub bytes: u64,
    /// Backend that computes.
    pub backend: String,
    /// Device that computes.
    pub device: String,
    /// Time that one image of its size takes; null until it is measured.
    pub milliseconds_per_image: Option<f64>,
    /// Most pixels of an image.
    pub max_pixels: usize,
    /// Most images of a request.
    pub max_samples: usize,
    /// Whether `/v1/segment` finds classes in photos.
    pub has_segmenter: bool,
    /// Whether the samples are label maps of a dataset on disk.
    pub has_data: bool,
}

impl ModelFacts {
    /// Of a model on a device.
    ///
    /// # Errors
    /// When the file of its weights cannot be read.
    pub fn new(model: &Snapshot, backend: &str, device: &str, limits: &Limits) -> Result<Self> {
        let (config, size) = (&model.generator, model.size);
        let classes = model.description.class_table().len();
        let shape = [size.height, size.width];
        let cost = cost::generator(config, classes, shape, Convention::Executed);
        let attends = config.architecture == GeneratorArchitecture::DpSims
            && config.noise == NoiseMode::CrossAttention;
        Ok(Self {
            name: model.name.clone(),
            hash: model.sha256()?,
            classes,
            height: size.height,
            width: size.width,
            side_multiple: config.start_stride(),
            latent_dim: config.latent_dim,
            tokens: if attends { config.tokens } else { 0 },
            parameters: cost.total().parameters,
            bytes: model.bytes()?,
            backend: backend.to_string(),
            device: device.to_string(),
            milliseconds_per_image: None,
            max_pixels: limits.pixels,
            max_samples: limits.samples,
            has_segmenter: false,
            has_data: false,
        })
    }
}

/// A class of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassFacts {
    /// Its index in label maps.
    pub id: u8,
    /// Name.
    pub name: String,
    /// Colour, `#rrggbb`.
    pub color: String,
    /// Share of the training pixels, 0 to 1; null where it is not known.
    pub share: Option<f64>,
    /// Whether it stands for all that is no class.
    pub is_void: bool,
}

impl ClassFacts {
    /// The classes of a model, void first.
    pub fn of(model: &Snapshot) -> Vec<Self> {
        let classes = model.description.class_table().classes;
        (0..)
            .zip(classes)
            .map(|(id, class)| Self {
                id,
                name: class.name,
                color: hex(class.colour),
                share: None,
                is_void: id == 0,
            })
            .collect()
    }
}
