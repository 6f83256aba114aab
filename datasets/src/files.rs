//! Finding the photo and label-map pairs of a split.

use std::collections::BTreeMap;
use std::fs::FileType;
use std::path::{Path, PathBuf};

use crate::description::{Folders, ListFile, SplitFiles};
use crate::error::DatasetError;
use crate::open::read_text;

/// Most bytes a list file may have: 256 MiB, some million lines.
pub(crate) const MAX_LIST_BYTES: u64 = 1 << 28;

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

/// Decides about a fault: `Ok` passes over what is faulty and goes on, `Err` ends the search.
///
/// `&mut Err` ends it at the first fault.
pub(crate) type OnFault<'a> = dyn FnMut(DatasetError) -> Result<(), DatasetError> + 'a;

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
    let photos = find_named(&images, &folders.image_suffixes, fault)?;
    let suffix = std::slice::from_ref(&folders.label_suffix);
    let mut maps = find_named(&labels, suffix, fault)?;
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

/// The files under `folder` that end in one of `suffixes`, by path below the folder without the
/// suffix. Links are followed.
///
/// Faults are a folder that cannot be read, a link that leads nowhere or to a folder above it, and
/// two files of the same name.
///
/// # Errors
/// Those that `fault` gives back.
pub(crate) fn find_named(
    folder: &Path,
    suffixes: &[String],
    fault: &mut OnFault,
) -> Result<BTreeMap<String, PathBuf>, DatasetError> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
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
            let stem = suffixes
                .iter()
                .find_map(|suffix| strip_suffix(&file_name, suffix));
            let Some(stem) = stem else { continue };
            if kind.is_symlink()
                && let Err(source) = path.metadata()
            {
                fault(DatasetError::Read { path, source })?;
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
    let path = folder.to_path_buf();
    let unreadable = |source| DatasetError::Read {
        path: folder.to_path_buf(),
        source,
    };
    let real = folder.canonicalize().map_err(unreadable)?;
    if parents.contains(&real) {
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

/// Cuts `suffix`, in any letter case, off `name`.
pub(crate) fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(stem)
}

#[cfg(test)]
mod tests;
