//! Finding the photo and label-map pairs of a split, and files by the same rule of names.
//!
//! The name of a file is its path below its folder without the suffix. Sub-folders are searched, and
//! hidden files are passed over. Of a file that ends in several suffixes the longest counts.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::FileType;
use std::path::{Path, PathBuf};

use crate::description::{Folders, Instances, ListFile, MAX_LIST_BYTES, SplitFiles};
use crate::error::DatasetError;
use crate::open::read_text;

mod label_maps;

pub use label_maps::{FoundMaps, find_label_maps, label_map_name};

/// A photo and its label map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Name of the photo inside its dataset.
    pub name: String,
    /// The photo.
    pub image: PathBuf,
    /// The label map.
    pub labels: PathBuf,
}

impl Pair {
    /// Names that an image made from the label map may have, without ending, best first: the name of
    /// the pair, of the label map and of the photo, each with its folders as folders, as `_`, or
    /// without them.
    pub fn image_names(&self) -> Vec<String> {
        let folder = self
            .name
            .rfind('/')
            .map_or("", |slash| &self.name[..=slash]);
        let stem = |path: &Path| {
            let stem = path.file_stem().unwrap_or_default();
            format!("{folder}{}", stem.to_string_lossy())
        };
        names_of(&[self.name.clone(), stem(&self.labels), stem(&self.image)])
    }
}

/// Names with their folders as folders, as `_`, or without them, each once.
pub fn names_of(names: &[String]) -> Vec<String> {
    let last = |name: &String| name.rsplit('/').next().unwrap_or(name).to_string();
    let flat = names.iter().map(|name| name.replace('/', "_"));
    let all = names
        .iter()
        .cloned()
        .chain(flat)
        .chain(names.iter().map(last));
    let mut found: Vec<String> = Vec::new();
    for name in all {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Decides about a fault: `Ok` passes over what is faulty and goes on, `Err` ends the search.
///
/// `&mut Err` ends it at the first fault.
pub type OnFault<'a> = dyn FnMut(DatasetError) -> Result<(), DatasetError> + 'a;

/// The pairs of a split under `root`, in the order of the list file, or by name in folders.
///
/// Faults are a list or folder that cannot be read, a list line that is no pair, and half a pair.
///
/// # Errors
/// Those that `fault` gives back.
pub(crate) fn find_pairs(
    files: &SplitFiles,
    root: &Path,
    fault: &mut OnFault,
) -> Result<Vec<Pair>, DatasetError> {
    match files {
        SplitFiles::List(list) => listed_pairs(list, root, fault),
        SplitFiles::Folders(folders) => folder_pairs(folders, root, fault),
    }
}

/// The folders that the photos and label maps of a split are in, as far as they can be told, and what
/// they hold; each once. Of a list file those that it names.
pub fn folders_of(files: &SplitFiles, root: &Path) -> Vec<(PathBuf, &'static str)> {
    const PHOTOS: &str = "photos";
    const LABELS: &str = "label maps";
    let mut found = Vec::new();
    match files {
        SplitFiles::Folders(folders) => {
            found.push((root.join(&folders.images), PHOTOS));
            found.push((root.join(&folders.labels), LABELS));
            match &folders.instances {
                Some(Instances::Png(png)) => found.push((root.join(&png.folder), "instance maps")),
                Some(Instances::Panoptic(png)) => found.push((root.join(&png.folder), "segments")),
                Some(Instances::Coco(_)) | None => {}
            }
        }
        SplitFiles::List(list) => {
            // What is wrong with a list is for those to say who read the dataset.
            let pairs = listed_pairs(list, root, &mut |_| Ok(())).unwrap_or_default();
            let mut seen = HashSet::new();
            for pair in &pairs {
                for (file, what) in [(&pair.image, PHOTOS), (&pair.labels, LABELS)] {
                    let folder = file.parent().unwrap_or(root);
                    if seen.insert(folder) {
                        found.push((folder.to_path_buf(), what));
                    }
                }
            }
        }
    }
    found
}

fn listed_pairs(
    list: &ListFile,
    root: &Path,
    fault: &mut OnFault,
) -> Result<Vec<Pair>, DatasetError> {
    let path = root.join(&list.file);
    let text = match read_text(&path, MAX_LIST_BYTES) {
        Ok(text) => text,
        Err(error) => return fault(error).map(|()| Vec::new()),
    };
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let pair = listed_pair(line, list, root, |problem| DatasetError::ListLine {
            path: path.clone(),
            line: number,
            problem,
        });
        match pair {
            Ok(pair) => pairs.push(pair),
            Err(error) => fault(error)?,
        }
    }
    Ok(pairs)
}

/// The pair that a line of a list file names; `wrong` makes the error of the line.
fn listed_pair(
    line: &str,
    list: &ListFile,
    root: &Path,
    wrong: impl Fn(String) -> DatasetError,
) -> Result<Pair, DatasetError> {
    let entries: Vec<&str> = line.split_whitespace().collect();
    let &[image, labels] = entries.as_slice() else {
        let found = entries.len();
        return Err(wrong(format!(
            "{found} paths instead of 2: write `PHOTO LABELS`, without spaces in a path"
        )));
    };
    let locate = |entry: &str| {
        let prefix = &list.strip_prefix;
        let rest = entry.strip_prefix(prefix.as_str()).ok_or_else(|| {
            wrong(format!(
                "`{entry}` does not start with `strip_prefix` = `{prefix}`"
            ))
        })?;
        // What follows a stripped prefix is relative, with or without a slash between.
        let rest = if prefix.is_empty() {
            rest
        } else {
            rest.trim_start_matches('/')
        };
        Ok(root.join(rest))
    };
    let (image, labels) = (locate(image)?, locate(labels)?);
    for (file, partner) in [(&image, &labels), (&labels, &image)] {
        if file.is_file() {
            continue;
        }
        if file.exists() {
            let file = file.display();
            return Err(wrong(format!(
                "{file} is no ordinary file: name a photo and a label map"
            )));
        }
        return Err(DatasetError::MissingPair {
            missing: file.clone(),
            partner: partner.clone(),
        });
    }
    let name = image
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(Pair {
        name,
        image,
        labels,
    })
}

fn folder_pairs(
    folders: &Folders,
    root: &Path,
    fault: &mut OnFault,
) -> Result<Vec<Pair>, DatasetError> {
    let images = root.join(&folders.images);
    let labels = root.join(&folders.labels);
    // In a folder of both, what ends as label maps do is one.
    let mut suffixes = folders.image_suffixes.clone();
    suffixes
        .retain(|suffix| images != labels || !suffix.eq_ignore_ascii_case(&folders.label_suffix));
    if suffixes.is_empty() {
        suffixes.clone_from(&folders.image_suffixes);
    }
    let mut photos = find_named(&images, &suffixes, fault)?;
    let suffix = std::slice::from_ref(&folders.label_suffix);
    let mut maps = find_named(&labels, suffix, fault)?;
    tell_apart(&mut photos, &mut maps);
    let mut pairs = Vec::with_capacity(photos.len());
    for (name, image) in photos {
        let Some(labels) = maps.remove(&name) else {
            fault(DatasetError::MissingPair {
                missing: labels.join(format!("{name}{}", folders.label_suffix)),
                partner: image,
            })?;
            continue;
        };
        pairs.push(Pair {
            name,
            image,
            labels,
        });
    }
    let suffix = folders.image_suffixes.first().map_or("", String::as_str);
    for (name, partner) in maps {
        let missing = images.join(format!("{name}{suffix}"));
        fault(DatasetError::MissingPair { missing, partner })?;
    }
    Ok(pairs)
}

/// A label map is never a photo: a file that could be both is what has the longer suffix and so the
/// shorter name, or what the inner one of two folders is of.
fn tell_apart(photos: &mut BTreeMap<String, PathBuf>, maps: &mut BTreeMap<String, PathBuf>) {
    let map_names: HashMap<&PathBuf, &String> =
        maps.iter().map(|(name, path)| (path, name)).collect();
    let (mut no_photos, mut no_maps) = (Vec::new(), Vec::new());
    for (photo, path) in photos.iter() {
        if let Some(&map) = map_names.get(path) {
            match map.len().cmp(&photo.len()) {
                Ordering::Less => no_photos.push(photo.clone()),
                Ordering::Greater => no_maps.push(map.clone()),
                // One folder and one suffix: every file would be its own label map, which the
                // pixels of photos refute.
                Ordering::Equal => {}
            }
        }
    }
    photos.retain(|name, _| no_photos.binary_search(name).is_err());
    no_maps.sort_unstable();
    maps.retain(|name, _| no_maps.binary_search(name).is_err());
}

/// The files under `folder` that end in one of `suffixes`, by name.
///
/// # Errors
/// When a folder cannot be read, a link leads nowhere or to a folder above it, a name is not UTF-8, or
/// two files have the same name.
pub fn find_files(
    folder: &Path,
    suffixes: &[String],
) -> Result<BTreeMap<String, PathBuf>, DatasetError> {
    find_named(folder, suffixes, &mut Err)
}

/// The files under `folder` that end in one of `suffixes`, by name. Links are followed.
///
/// Faults are a folder that cannot be read, a link that leads nowhere or to a folder above it, a name
/// that is not UTF-8, and two files of the same name.
///
/// # Errors
/// Those that `fault` gives back.
pub fn find_named(
    folder: &Path,
    suffixes: &[String],
    fault: &mut OnFault,
) -> Result<BTreeMap<String, PathBuf>, DatasetError> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    let root = folder;
    // Folders to search: their path below `folder`, where they are, and the real folders above.
    let mut folders = vec![(String::new(), folder.to_path_buf(), Vec::new())];
    while let Some((above, folder, mut parents)) = folders.pop() {
        let entries = match enter(&folder, &mut parents) {
            Ok(entries) => entries,
            Err(error) => {
                fault(error)?;
                continue;
            }
        };
        for (file_name, path, kind) in entries {
            if kind.is_dir() || kind.is_symlink() && path.is_dir() {
                folders.push((format!("{above}{file_name}/"), path, parents.clone()));
                continue;
            }
            let Some(stem) = strip_longest(&file_name, suffixes) else {
                continue;
            };
            if kind.is_symlink()
                && let Err(source) = path.metadata()
            {
                fault(DatasetError::Read { path, source })?;
                continue;
            }
            // Two names may be the same as text, and an image could not have that of its label map.
            if path
                .strip_prefix(root)
                .is_ok_and(|below| below.to_str().is_none())
            {
                fault(DatasetError::NotUtf8 { path })?;
                continue;
            }
            let name = format!("{above}{stem}");
            if let Some(other) = found.get(&name) {
                let (first, second) = (other.clone().min(path.clone()), other.clone().max(path));
                fault(DatasetError::AmbiguousName { first, second })?;
                continue;
            }
            found.insert(name, path);
        }
    }
    Ok(found)
}

/// Names, paths and kinds of what is in a folder, by name and without hidden files; the real folder
/// is added to its parents.
fn enter(
    folder: &Path,
    parents: &mut Vec<PathBuf>,
) -> Result<Vec<(String, PathBuf, FileType)>, DatasetError> {
    let unreadable = DatasetError::read(folder);
    let real = folder.canonicalize().map_err(unreadable)?;
    if parents.contains(&real) {
        let path = folder.to_path_buf();
        return Err(DatasetError::LinkLoop { path });
    }
    parents.push(real);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Desktop programs leave hidden files with photo names beside the photos.
        if !name.starts_with('.') {
            let kind = entry.file_type().map_err(unreadable)?;
            entries.push((name, entry.path(), kind));
        }
    }
    // The system lists a folder in any order; which fault is the first must not depend on it.
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// Cuts the longest of some suffixes, in any letter case, off `name`.
pub fn strip_longest<'a>(name: &'a str, suffixes: &[String]) -> Option<&'a str> {
    let stems = suffixes
        .iter()
        .filter_map(|suffix| strip_suffix(name, suffix));
    stems.min_by_key(|stem| stem.len())
}

/// Cuts `suffix`, in any letter case, off `name`.
pub fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(stem)
}

#[cfg(test)]
mod tests;
