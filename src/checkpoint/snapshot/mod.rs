//! A trained generator and what it takes to use it, wherever it lies: in a checkpoint of a run, in a
//! model file, or inside the program. What makes images reads nothing else.

mod builtin;
mod files;
mod find;
mod model_file;
mod record;
#[cfg(all(test, feature = "flex"))]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use dp_sims_datasets::{Description, Size};
use dp_sims_model::generator::{Generator, GeneratorConfig};
use dp_sims_model::weights::state_dict;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

pub use builtin::BUILT_IN;
pub(crate) use files::weights;
pub use files::{
    AVERAGED_GENERATOR, GENERATOR_FILES, LossScale, Make, NotFinite, State, generator_files,
    read_description, read_experiment, read_generator, read_state, tensors,
};
pub use find::{newest_whole, open_whole};
pub use model_file::ModelFile;
pub(crate) use record::described;
pub use record::{Card, Record, TrainingRecord};

use crate::checkpoint::{Checkpoint, MANIFEST};
use crate::runtime::files::hex;
use crate::weights::sha256;

/// A trained generator with its configuration and its classes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Name of its experiment.
    pub name: String,
    /// Steps it was trained for.
    pub step: u64,
    /// Architecture.
    pub generator: GeneratorConfig,
    /// Size of its images.
    pub size: Size,
    /// Classes and their ids in label maps.
    pub description: Description,
    /// Folder of the dataset as the run knew it; none outside of runs.
    pub root: Option<PathBuf>,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Checkpoint(Checkpoint),
    Model(Box<ModelFile>),
}

impl Snapshot {
    /// Opens a checkpoint folder, a run folder (its newest checkpoint whose generator is whole), a
    /// model file, or the model inside the program by its name. What lies on disk comes first.
    ///
    /// # Errors
    /// When there is none, or what is there is damaged or not valid.
    pub fn open(place: &Path) -> Result<Self> {
        if place.is_file() {
            return Ok(Self::of_model(ModelFile::read(place)?));
        }
        if place == Path::new(BUILT_IN) && !place.exists() {
            return Self::built_in();
        }
        Self::of_checkpoint(find::open_generator(place)?)
    }

    /// The model inside the program.
    ///
    /// # Errors
    /// When the program was built without one.
    pub fn built_in() -> Result<Self> {
        Ok(Self::of_model(builtin::built_in()?))
    }

    fn of_checkpoint(checkpoint: Checkpoint) -> Result<Self> {
        let experiment = read_experiment(&checkpoint)?;
        experiment.validate()?;
        Ok(Self {
            step: checkpoint.step(),
            size: experiment.data.size(),
            description: read_description(&checkpoint)?,
            name: experiment.name,
            generator: experiment.generator,
            root: experiment.data.root,
            source: Source::Checkpoint(checkpoint),
        })
    }

    /// The generator of a model file.
    pub fn of_model(file: ModelFile) -> Self {
        let record = file.record();
        Self {
            name: record.name.clone(),
            step: record.training.step,
            generator: record.generator.clone(),
            size: record.size(),
            description: file.description().clone(),
            root: None,
            source: Source::Model(Box::new(file)),
        }
    }

    /// `checkpoint` or `model`.
    pub fn kind(&self) -> &'static str {
        match &self.source {
            Source::Checkpoint(_) => "checkpoint",
            Source::Model(_) => "model",
        }
    }

    /// Where it lies: a checkpoint folder, a file, or the name of the model inside the program.
    pub fn path(&self) -> &Path {
        match &self.source {
            Source::Checkpoint(checkpoint) => checkpoint.path(),
            Source::Model(file) => Path::new(file.origin()),
        }
    }

    /// SHA-256 of the file of its weights.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sha256(&self) -> Result<String> {
        match &self.source {
            Source::Checkpoint(checkpoint) => {
                Ok(sha256(&checkpoint.path().join(AVERAGED_GENERATOR))?)
            }
            Source::Model(file) => Ok(hex(&Sha256::digest(file.bytes()))),
        }
    }

    /// Bytes of the file of its weights.
    ///
    /// # Errors
    /// When there is no such file any more.
    pub fn bytes(&self) -> Result<u64> {
        match &self.source {
            Source::Checkpoint(checkpoint) => {
                let path = checkpoint.path().join(AVERAGED_GENERATOR);
                let metadata = std::fs::metadata(&path);
                let unread = || format!("cannot read {}", path.display());
                Ok(metadata.with_context(unread)?.len())
            }
            Source::Model(file) => Ok(file.bytes().len() as u64),
        }
    }

    /// The generator, ready for use.
    ///
    /// # Errors
    /// When its file is missing or damaged, or does not fit the configuration; names the tensor.
    pub fn load<B: Backend>(&self, device: &B::Device) -> Result<Generator<B>> {
        match &self.source {
            Source::Checkpoint(checkpoint) => {
                let classes = self.description.class_table().len();
                read_generator(checkpoint, &self.generator, classes, device)
            }
            Source::Model(file) => file.generator(device),
        }
    }

    /// How it was trained.
    ///
    /// # Errors
    /// When the checkpoint does not tell.
    pub fn training(&self) -> Result<TrainingRecord> {
        let checkpoint = match &self.source {
            Source::Checkpoint(checkpoint) => checkpoint,
            Source::Model(file) => return Ok(file.record().training.clone()),
        };
        let state = read_state(checkpoint)?;
        let path = checkpoint.path().join(MANIFEST);
        let saved = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        let saved = saved.with_context(|| format!("cannot read {}", path.display()))?;
        Ok(TrainingRecord {
            step: state.step,
            images_seen: state.images_seen,
            finished: OffsetDateTime::from(saved).date().to_string(),
            software: state.software,
            backend: state.backend,
        })
    }

    /// What its model file says of itself, or would.
    ///
    /// # Errors
    /// Those of [`Self::training`].
    pub fn record(&self) -> Result<Record> {
        if let Source::Model(file) = &self.source {
            return Ok(file.record().clone());
        }
        let folded = GeneratorConfig {
            spectral_norm: false,
            ..self.generator.clone()
        };
        let training = self.training()?;
        Record::new(&self.name, self.size, folded, &self.description, training)
    }

    /// The generator as a model file, with spectral norm folded into the weights; in half precision
    /// where that loses little, if `half`. The same checkpoint gives the same bytes.
    ///
    /// # Errors
    /// Those of [`Self::load`] and [`Self::training`].
    pub fn export<B: Backend>(&self, half: bool, device: &B::Device) -> Result<Vec<u8>> {
        let mut dict = state_dict(&self.load::<B>(device)?);
        if half {
            model_file::halve(&mut dict);
        }
        ModelFile::write(&dict, &self.record()?)
    }
}
