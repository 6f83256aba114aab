//! Opening the dataset of an experiment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::description::DescribedClass;
use dp_sims_datasets::scenes::Scenes;
use dp_sims_datasets::{
    ClassSet, ClassTable, DatasetError, DescribedFolder, Description, LabelledImages, PackedImages,
    Report, Size, Split, load_or_check, presence,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::DataConfig;
use crate::naming::hint;

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
        eprintln!("warning: the check is not remembered and will be made again: {error}");
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

/// The descriptions that are part of the program.
///
/// # Errors
/// When one of them is not valid.
pub fn built_in() -> Result<Vec<Description>> {
    BUILT_IN.iter().map(|(name, _)| description(name)).collect()
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
             description{}",
            names.join(", "),
            hint(name_or_path, names.iter().copied().chain(["scenes"]))
        )
    })
}

/// The description and the root folder of a dataset on disk, of which either may be left to be found:
/// without a name, `dataset.toml` in the root folder or else the built-in dataset whose layout the
/// folder has; without a root folder, the folder of the description.
///
/// # Errors
/// When nothing says which dataset is meant, or the description cannot be read or is not valid.
pub fn source(dataset: Option<&str>, root: Option<&Path>) -> Result<(Description, PathBuf)> {
    let built_in = |name: &str| BUILT_IN.iter().any(|(known, _)| *known == name);
    match (dataset, root) {
        (Some("scenes"), _) => bail!("`scenes` is procedural and has no files: name a dataset"),
        (Some(name), Some(root)) => Ok((description(name)?, root.to_path_buf())),
        (Some(name), None) if built_in(name) => {
            bail!("dataset `{name}` needs its folder: add --data DIR")
        }
        (Some(path), None) => {
            let folder = Path::new(path).parent().unwrap_or(Path::new(""));
            Ok((description(path)?, folder.to_path_buf()))
        }
        (None, Some(root)) => Ok((detect(root)?, root.to_path_buf())),
        (None, None) => bail!("no dataset: name its folder with --data DIR"),
    }
}

/// The description of the dataset in a folder.
fn detect(root: &Path) -> Result<Description> {
    let own = root.join("dataset.toml");
    if own.is_file() {
        return Ok(Description::read(&own)?);
    }
    for (name, _) in BUILT_IN {
        let description = description(name)?;
        if description
            .train
            .as_ref()
            .is_some_and(|files| files.are_in(root))
        {
            return Ok(description);
        }
    }
    let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    bail!(
        "{} has no dataset.toml and the layout of none of {}: write a description with `dp-sims \
         dataset init {0}`, or name one",
        root.display(),
        names.join(", ")
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_tells_its_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let make = |path: &str| std::fs::create_dir_all(root.join(path)).unwrap();
        let found = || source(None, Some(root)).map(|(description, _)| description.name);
        let message = found().unwrap_err().to_string();
        assert!(message.contains("dp-sims dataset init"), "{message}");
        // The list of another project is not taken for CamVid's.
        std::fs::write(root.join("train.txt"), "photos/a.jpg masks/a.png\n").unwrap();
        assert!(found().is_err());
        make("leftImg8bit/train");
        assert!(found().is_err());
        make("gtFine/train");
        assert_eq!(found().unwrap(), "cityscapes");
        let own = "name = \"own\"\n[[class]]\nname = \"a\"\ncolour = \"#000001\"\nids = [1]\n\
                   [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
        std::fs::write(root.join("dataset.toml"), own).unwrap();
        assert_eq!(found().unwrap(), "own");
        let path = root.join("dataset.toml");
        let (description, place) = source(path.to_str(), None).unwrap();
        assert_eq!((description.name.as_str(), place.as_path()), ("own", root));
        assert!(source(Some("camvid"), None).is_err());
    }
}
