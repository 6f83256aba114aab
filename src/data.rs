//! Opening the dataset of an experiment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::description::DescribedClass;
use dp_sims_datasets::{
    ClassSet, ClassTable, DatasetError, DescribedFolder, Description, LabelledImages, PackedImages,
    Report, Size, Split, load_or_check, presence,
};
use dp_sims_scenes::Scenes;

use crate::config::DataConfig;
use crate::runtime::progress::progress_bar;

mod places;
mod schema;
mod source;

pub use places::refuse_among_inputs;
pub use schema::schema;
pub use source::{built_in, dataset_in, description, detect, source};

/// Seeds of the two procedural splits: they share no scene.
const SCENES_SEEDS: [u64; 2] = [0, 1];

/// Procedural images in the validation split.
const SCENES_VALIDATION: usize = 100;

/// A dataset that has been checked.
#[derive(Clone)]
pub struct Data {
    /// Images to train on.
    pub train: Arc<dyn LabelledImages>,
    /// Images of previews: the validation split, or the training split where there is none.
    pub validation: Arc<dyn LabelledImages>,
    /// Classes present in each training image.
    pub presence: Vec<ClassSet>,
    /// What the ids of the label maps mean.
    pub description: Description,
}

impl Data {
    /// Opens and checks the dataset of an experiment, with its instances if `offsets` are wanted.
    ///
    /// Every label map of the training split is read once; what was found is remembered in
    /// `cache` until a file changes.
    ///
    /// # Errors
    /// The first faulty file in dataset order, with pixel and id.
    pub fn open(config: &DataConfig, offsets: bool, cache: &Path) -> Result<Self> {
        if config.dataset == "scenes" {
            return Self::scenes(config);
        }
        let description = description(&config.dataset)?;
        if let Some(folder) = &config.packed {
            return Self::packed(description, folder, config.size(), offsets);
        }
        let Some(root) = &config.root else {
            bail!(
                "dataset `{}` needs its folder: add --data DIR",
                description.name
            );
        };
        Self::folder(description, root, config.reduced_jpeg, offsets, cache)
    }

    /// Opens and checks a described folder. Without a validation split, the training split stands
    /// in for it.
    ///
    /// # Errors
    /// The first faulty file in dataset order, with pixel and id.
    pub fn folder(
        description: Description,
        root: &Path,
        reduced_jpeg: bool,
        offsets: bool,
        cache: &Path,
    ) -> Result<Self> {
        let open = |split| {
            let mut folder = DescribedFolder::open(&description, root, split)?;
            if reduced_jpeg {
                folder = folder.with_reduced_photos();
            }
            if offsets {
                folder.with_instances()
            } else {
                Ok(folder)
            }
        };
        let train = open(Split::Train)?;
        let validation = match &description.validation {
            Some(_) => open(Split::Validation)?,
            None => train.clone(),
        };
        tracing::debug!(
            "dataset {} in {}: {} photos for training, {} for validation",
            description.name,
            root.display(),
            train.len(),
            validation.len()
        );
        let report = checked(&train, cache)?;
        Ok(Self {
            train: Arc::new(train),
            validation: Arc::new(validation),
            presence: report.presence,
            description,
        })
    }

    /// Opens packed splits of a dataset in this size.
    fn packed(description: Description, folder: &Path, size: Size, offsets: bool) -> Result<Self> {
        let open = |split| {
            let packed = packed_split(folder, split)?;
            let path = packed_path(folder, split);
            let path = path.display();
            ensure!(
                packed.description().classes == description.classes,
                "{path} holds dataset `{}` with other classes than `{}` of the experiment: pack that \
                 one, or correct `data.dataset`",
                packed.description().name,
                description.name
            );
            ensure!(
                packed.size() == size,
                "{path} holds samples of {}, but `data.height` and `data.width` ask for {size}: pack \
                 in that size, or correct them",
                packed.size()
            );
            ensure!(
                packed.has_instances() || !offsets,
                "{path} has no instances, but `generator.offsets` needs them: pack with --offsets"
            );
            Ok(Arc::new(packed))
        };
        let train = open(Split::Train)?;
        let validation = if packed_path(folder, Split::Validation).exists() {
            open(Split::Validation)?
        } else {
            train.clone()
        };
        Ok(Self {
            presence: train.report().presence.clone(),
            train,
            validation,
            description,
        })
    }

    fn scenes(config: &DataConfig) -> Result<Self> {
        if let Some(root) = &config.root {
            tracing::warn!(
                "data.root, {}, is not used: `scenes` is procedural and has no files",
                root.display()
            );
        }
        let train = Scenes::new(config.scenes, SCENES_SEEDS[0]);
        let presence = if config.balanced {
            presence(&train)?
        } else {
            Vec::new()
        };
        let description = described(train.name(), train.classes());
        Ok(Self {
            train: Arc::new(train),
            validation: Arc::new(Scenes::new(SCENES_VALIDATION, SCENES_SEEDS[1])),
            presence,
            description,
        })
    }

    /// Presence lists for the loader, if images are drawn by rarity.
    pub fn balance(&self, config: &DataConfig) -> Option<&[ClassSet]> {
        config.balanced.then_some(self.presence.as_slice())
    }
}

/// File of a split inside a folder of packed splits.
pub fn packed_path(folder: &Path, split: Split) -> PathBuf {
    folder.join(format!("{split}.pack"))
}

/// Opens a split inside a folder of packed splits.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn packed_split(folder: &Path, split: Split) -> Result<PackedImages> {
    PackedImages::open(&packed_path(folder, split)).with_context(|| {
        format!(
            "{} is no folder of packed splits: make one with `dp-sims dataset pack`",
            folder.display()
        )
    })
}

/// Checks the label maps of a split, or takes what `cache` remembers of an earlier check. A cache that
/// cannot be written to is told on standard error; it is not needed.
///
/// # Errors
/// The first faulty file in dataset order, with pixel and id.
pub fn checked(folder: &DescribedFolder, cache: &Path) -> Result<Report, DatasetError> {
    let bar = progress_bar("checking label maps", folder.len() as u64);
    let checked = load_or_check(folder, cache, &|done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    let (report, unwritten) = checked?;
    if let Some(error) = unwritten {
        tracing::warn!("the check is not remembered and will be made again: {error}");
    }
    Ok(report)
}

/// Folder in which checks of datasets are remembered: `dp-sims/checks` in the user's cache.
pub fn checks_folder() -> PathBuf {
    dirs::cache_dir()
        .unwrap_or_else(std::env::temp_dir)
        .join("dp-sims/checks")
}

/// The procedural dataset as an experiment without settings has it; `None` for the test split.
pub fn scenes(split: Split) -> Option<Scenes> {
    match split {
        Split::Train => Some(Scenes::new(DataConfig::default().scenes, SCENES_SEEDS[0])),
        Split::Validation => Some(Scenes::new(SCENES_VALIDATION, SCENES_SEEDS[1])),
        Split::Test => None,
    }
}

/// Makes a folder the dataset of an experiment: the place of the dataset that it names or, where it is one of
/// procedural scenes, the dataset itself.
///
/// # Errors
/// When the folder is no dataset.
pub fn place(config: &mut DataConfig, root: &Path) -> Result<()> {
    config.root = Some(root.to_path_buf());
    if config.dataset == "scenes" {
        config.dataset = dataset_in(root).context(
            "--data: the experiment is one of procedural scenes, and the folder is no dataset",
        )?;
    }
    Ok(())
}

/// Classes of the dataset of an experiment, void included. Reads its description alone.
///
/// # Errors
/// When there is none.
pub fn classes(config: &DataConfig) -> Result<usize> {
    if config.dataset == "scenes" {
        return Ok(Scenes::new(1, SCENES_SEEDS[0]).classes().len());
    }
    Ok(description(&config.dataset)?.class_table().len())
}

/// Photos of the training split, where the folder of the dataset is known. Reads no photo.
///
/// # Errors
/// When the folder is not that of the dataset.
pub fn training_photos(config: &DataConfig) -> Result<Option<usize>> {
    let scenes = config.dataset == "scenes";
    match &config.root {
        _ if scenes => Ok(Some(config.scenes)),
        None => Ok(None),
        Some(root) => {
            let description = description(&config.dataset)?;
            let train = DescribedFolder::open(&description, root, Split::Train)?;
            Ok(Some(train.len()))
        }
    }
}

/// The description of a dataset whose label maps hold class indices.
fn described(name: &str, classes: &ClassTable) -> Description {
    Description {
        name: name.to_string(),
        void: vec![0],
        classes: (1u8..)
            .zip(classes.classes.iter().skip(1))
            .map(|(id, class)| DescribedClass {
                name: class.name.clone(),
                colour: class.colour,
                ids: vec![id],
                thing: class.thing,
            })
            .collect(),
        train: None,
        validation: None,
        test: None,
    }
}
