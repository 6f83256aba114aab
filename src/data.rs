//! Opening the dataset of an experiment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dp_sims_datasets::description::DescribedClass;
use dp_sims_datasets::scenes::Scenes;
use dp_sims_datasets::{
    ClassSet, ClassTable, DescribedFolder, Description, LabelledImages, Split, load_or_check,
    presence,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::DataConfig;

macro_rules! built_in {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../experiments/datasets/", $name, ".toml")))),*]
    };
}

/// Descriptions that are part of the program: names and texts.
const BUILT_IN: &[(&str, &str)] = built_in![
    "camvid",
    "ade20k",
    "coco-stuff",
    "coco-stuff-spade",
    "cityscapes",
];

/// Seeds of the two procedural splits: they share no scene.
const SCENES_SEEDS: [u64; 2] = [0, 1];

/// Procedural images in the validation split.
const SCENES_VALIDATION: usize = 100;

/// A dataset that has been checked.
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
    /// Opens and checks the dataset of an experiment.
    ///
    /// Every label map of the training split is read once; what was found is remembered in
    /// `cache` until a file changes.
    ///
    /// # Errors
    /// The first faulty file in dataset order, with pixel and id.
    pub fn open(config: &DataConfig, cache: &Path) -> Result<Self> {
        if config.dataset == "scenes" {
            return Self::scenes(config);
        }
        let description = description(&config.dataset)?;
        let Some(root) = &config.root else {
            bail!(
                "dataset `{}` needs its folder: add --data DIR",
                description.name
            );
        };
        let train = DescribedFolder::open(&description, root, Split::Train)?;
        let validation = match &description.validation {
            Some(_) => DescribedFolder::open(&description, root, Split::Validation)?,
            None => DescribedFolder::open(&description, root, Split::Train)?,
        };
        let bar = progress_bar("checking label maps", train.len() as u64);
        let report = load_or_check(&train, cache, &|done, _| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        Ok(Self {
            train: Arc::new(train),
            validation: Arc::new(validation),
            presence: report.presence,
            description,
        })
    }

    fn scenes(config: &DataConfig) -> Result<Self> {
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

/// Reads a dataset description: a built-in name or the path of a TOML file.
///
/// # Errors
/// When the file cannot be read or is not valid.
pub fn description(name_or_path: &str) -> Result<Description> {
    let path = PathBuf::from(name_or_path);
    if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
        return Ok(Description::parse(text, Path::new(name))?);
    }
    let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    Description::read(&path).with_context(|| {
        format!(
            "configuration key `data.dataset`: give scenes, {} or the path of a dataset \
             description",
            names.join(", ")
        )
    })
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

/// A bar on standard error; invisible where that is no terminal.
pub fn progress_bar(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length)
        .with_style(style)
        .with_message(what)
}
