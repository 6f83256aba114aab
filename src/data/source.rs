//! Which dataset is meant: by name, by path, or by what lies in a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::Description;

use crate::runtime::naming::hint;

macro_rules! built_in {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../experiments/datasets/", $name, ".toml")))),*]
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

/// Name of the description in the folder of a dataset.
const OWN: &str = "dataset.toml";

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

/// The dataset that a folder holds, as `data.dataset` of an experiment names it: its `dataset.toml`, or the
/// built-in dataset whose layout it has.
///
/// # Errors
/// When it has neither.
pub fn dataset_in(root: &Path) -> Result<String> {
    ensure!(root.is_dir(), "{} is no folder", root.display());
    let own = root.join(OWN);
    if own.is_file() {
        let own = own.to_str();
        let own = own.with_context(|| format!("{} is no UTF-8", root.display()))?;
        return Ok(own.to_string());
    }
    Ok(layout_of(root)?.to_string())
}

/// The description of the dataset in a folder: its `dataset.toml`, or the built-in one whose layout the
/// folder has.
///
/// # Errors
/// When it has neither, or its description is not valid.
pub fn detect(root: &Path) -> Result<Description> {
    let own = root.join(OWN);
    if own.is_file() {
        return Ok(Description::read(&own)?);
    }
    description(layout_of(root)?)
}

/// Name of the built-in dataset whose layout a folder has.
fn layout_of(root: &Path) -> Result<&'static str> {
    for (name, _) in BUILT_IN {
        let files = description(name)?.train;
        if files.is_some_and(|files| files.are_in(root)) {
            return Ok(name);
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
        assert!(dataset_in(root).is_err());
        make("gtFine/train");
        assert_eq!(found().unwrap(), "cityscapes");
        assert_eq!(dataset_in(root).unwrap(), "cityscapes");
        assert!(dataset_in(&root.join("none")).is_err());
        let own = "name = \"own\"\n[[class]]\nname = \"a\"\ncolour = \"#000001\"\nids = [1]\n\
                   [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
        std::fs::write(root.join("dataset.toml"), own).unwrap();
        assert_eq!(found().unwrap(), "own");
        assert_eq!(
            Path::new(&dataset_in(root).unwrap()),
            root.join("dataset.toml")
        );
        let path = root.join("dataset.toml");
        let (description, place) = source(path.to_str(), None).unwrap();
        assert_eq!((description.name.as_str(), place.as_path()), ("own", root));
        assert!(source(Some("camvid"), None).is_err());
    }
}
