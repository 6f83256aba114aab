//! Finding the photo and label-map pairs of a split.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::description::{Folders, ListFile, SplitFiles};
use crate::error::DatasetError;

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

/// The pairs of a split under `root`, in the order of the list file, or by name in folders.
///
/// # Errors
/// When a list or folder cannot be read, a list line is not a pair, or half a pair is missing.
pub(crate) fn find_pairs(files: &SplitFiles, root: &Path) -> Result<Vec<Pair>, DatasetError> {
    match files {
        SplitFiles::List(list) => listed_pairs(list, root),
        SplitFiles::Folders(folders) => folder_pairs(folders, root),
    }
}

fn listed_pairs(list: &ListFile, root: &Path) -> Result<Vec<Pair>, DatasetError> {
    let path = root.join(&list.file);
    let text = std::fs::read_to_string(&path).map_err(|source| DatasetError::Read {
        path: path.clone(),
        source,
    })?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let wrong = |problem| DatasetError::ListLine {
                path: path.clone(),
                line: index + 1,
                problem,
            };
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
            if !image.is_file() {
                return Err(DatasetError::MissingPair {
                    missing: image,
                    partner: labels,
                });
            }
            if !labels.is_file() {
                return Err(DatasetError::MissingPair {
                    missing: labels,
                    partner: image,
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
        })
        .collect()
}

fn folder_pairs(folders: &Folders, root: &Path) -> Result<Vec<Pair>, DatasetError> {
    let images = root.join(&folders.images);
    let labels = root.join(&folders.labels);
    let photos = find_named(&images, &folders.image_suffixes)?;
    let mut maps = find_named(&labels, std::slice::from_ref(&folders.label_suffix))?;
    let mut pairs = Vec::with_capacity(photos.len());
    for (name, image) in photos {
        let Some(labels) = maps.remove(&name) else {
            let missing = labels.join(format!("{name}{}", folders.label_suffix));
            return Err(DatasetError::MissingPair {
                missing,
                partner: image,
            });
        };
        pairs.push(Pair {
            name,
            image,
            labels,
        });
    }
    if let Some((name, partner)) = maps.pop_first() {
        let suffix = folders.image_suffixes.first().map_or("", String::as_str);
        let missing = images.join(format!("{name}{suffix}"));
        return Err(DatasetError::MissingPair { missing, partner });
    }
    Ok(pairs)
}

/// The files under `folder` that end in one of `suffixes`, by path below the folder without the
/// suffix. Links are followed.
///
/// # Errors
/// When a folder cannot be read, a link leads nowhere or to a folder above it, or two files have
/// the same name.
pub(crate) fn find_named(
    folder: &Path,
    suffixes: &[String],
) -> Result<BTreeMap<String, PathBuf>, DatasetError> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    // Folders to search: their path below `folder`, where they are, and the real folders above.
    let mut folders = vec![(String::new(), folder.to_path_buf(), Vec::new())];
    while let Some((above, folder, mut parents)) = folders.pop() {
        let unreadable = |source| DatasetError::Read {
            path: folder.clone(),
            source,
        };
        let real = folder.canonicalize().map_err(unreadable)?;
        if parents.contains(&real) {
            return Err(DatasetError::LinkLoop { path: folder });
        }
        parents.push(real);
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let file_name = entry.file_name().to_string_lossy().into_owned();
            // Desktop programs leave hidden files with photo names beside the photos.
            if file_name.starts_with('.') {
                continue;
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(unreadable)?;
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
                return Err(DatasetError::Read { path, source });
            }
            if let Some(other) = found.insert(format!("{above}{stem}"), path.clone()) {
                return Err(DatasetError::AmbiguousName {
                    first: other.clone().min(path.clone()),
                    second: other.max(path),
                });
            }
        }
    }
    Ok(found)
}

/// Cuts `suffix`, in any letter case, off `name`.
pub(crate) fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(stem)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::description::LabelValues;

    /// A folder with empty files of these names.
    fn tree(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn folders(image_suffixes: &[&str], label_suffix: &str) -> SplitFiles {
        SplitFiles::Folders(Folders {
            images: "photos".into(),
            image_suffixes: image_suffixes.iter().map(ToString::to_string).collect(),
            labels: "masks".into(),
            label_suffix: label_suffix.to_string(),
            label_values: LabelValues::Ids,
            instances: None,
        })
    }

    fn list(root: &TempDir, text: &str, strip_prefix: &str) -> SplitFiles {
        std::fs::write(root.path().join("list.txt"), text).unwrap();
        SplitFiles::List(ListFile {
            file: "list.txt".into(),
            strip_prefix: strip_prefix.into(),
            label_values: LabelValues::Ids,
        })
    }

    fn names(pairs: &[Pair]) -> Vec<&str> {
        pairs.iter().map(|pair| pair.name.as_str()).collect()
    }

    #[test]
    fn folders_pair_by_name_below_sub_folders() {
        let root = tree(&[
            "photos/b/x_photo.PNG",
            "photos/a/y_photo.png",
            "photos/.z_photo.png",
            "photos/readme.txt",
            "masks/a/y_ids.png",
            "masks/b/x_ids.png",
            "masks/b/x_colour.png",
        ]);
        let pairs = find_pairs(&folders(&["_photo.png"], "_ids.png"), root.path()).unwrap();
        assert_eq!(names(&pairs), ["a/y", "b/x"]);
        assert_eq!(pairs[1].image, root.path().join("photos/b/x_photo.PNG"));
        assert_eq!(pairs[1].labels, root.path().join("masks/b/x_ids.png"));
    }

    #[test]
    fn half_pairs_and_doubles_in_folders_are_named() {
        let rule = folders(&[".jpg", ".png"], ".png");
        let problem = |files: &[&str]| find_pairs(&rule, tree(files).path()).unwrap_err();

        let message = problem(&["photos/a.jpg", "photos/b.jpg", "masks/a.png"]).to_string();
        assert!(message.contains("masks/b.png is missing"), "{message}");
        let message = problem(&["photos/a.jpg", "masks/a.png", "masks/b.png"]).to_string();
        assert!(message.contains("photos/b.jpg is missing"), "{message}");
        let message = problem(&["photos/a.jpg", "photos/a.png", "masks/a.png"]).to_string();
        assert!(
            message.contains("a.jpg") && message.contains("a.png"),
            "{message}"
        );
        assert!(matches!(
            problem(&["photos/a.jpg"]),
            DatasetError::Read { .. }
        ));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_their_faults_named() {
        use std::os::unix::fs::symlink;
        let root = tree(&[
            "real/p/x.jpg",
            "real/m/x.png",
            "photos/y.jpg",
            "masks/y.png",
        ]);
        let at = |path: &str| root.path().join(path);
        symlink(at("real/p"), at("photos/sub")).unwrap();
        symlink(at("real/m"), at("masks/sub")).unwrap();
        symlink(at("real/p/x.jpg"), at("photos/z.JPG")).unwrap();
        symlink("sub/x.png", at("masks/z.png")).unwrap();
        let rule = folders(&[".jpg"], ".png");
        let pairs = find_pairs(&rule, root.path()).unwrap();
        assert_eq!(names(&pairs), ["sub/x", "y", "z"]);

        symlink(at("absent.jpg"), at("photos/w.jpg")).unwrap();
        let message = find_pairs(&rule, root.path()).unwrap_err().to_string();
        assert!(
            message.contains("cannot read") && message.contains("photos/w.jpg"),
            "{message}"
        );
        std::fs::remove_file(at("photos/w.jpg")).unwrap();
        symlink(at("photos"), at("real/p/back")).unwrap();
        let error = find_pairs(&rule, root.path()).unwrap_err();
        assert!(matches!(error, DatasetError::LinkLoop { .. }), "{error}");
        assert!(error.to_string().contains("photos/sub/back"), "{error}");
    }

    #[test]
    fn lists_keep_their_order_and_strip_the_prefix() {
        let root = tree(&["t/b.png", "l/b.png", "t/a.png", "l/a.png"]);
        let text = "/old/t/b.png /old/l/b.png\r\n\n/old/t/a.png\t/old/l/a.png\n";
        for prefix in ["/old", "/old/"] {
            let pairs = find_pairs(&list(&root, text, prefix), root.path()).unwrap();
            assert_eq!(names(&pairs), ["b", "a"]);
            assert_eq!(pairs[0].labels, root.path().join("l/b.png"));
        }
        let pairs = find_pairs(&list(&root, "t/a.png l/a.png", ""), root.path()).unwrap();
        assert_eq!(pairs[0].image, root.path().join("t/a.png"));
    }

    #[test]
    fn bad_list_lines_are_named_by_number() {
        let root = tree(&["t/a.png", "l/a.png"]);
        let problem = |text, prefix| {
            find_pairs(&list(&root, text, prefix), root.path())
                .unwrap_err()
                .to_string()
        };
        let message = problem("t/a.png l/a.png\n\nt/a.png\n", "");
        assert!(
            message.contains("list.txt:3: 1 paths instead of 2"),
            "{message}"
        );
        let message = problem("/old/t/a.png /new/l/a.png", "/old");
        assert!(
            message.contains("list.txt:1: `/new/l/a.png` does not start"),
            "{message}"
        );
        assert!(problem("t/a.png l/b.png", "").contains("l/b.png is missing"));
        assert!(problem("t/b.png l/a.png", "").contains("t/b.png is missing"));
    }
}
