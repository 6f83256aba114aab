//! Label maps that belong to no split, found by the names that those of a split have.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::{find_files, strip_longest, strip_suffix};
use crate::description::{Description, SplitFiles};
use crate::error::DatasetError;

/// End of the names of label maps where no description says otherwise.
const PNG: &str = ".png";

/// Label maps that belong to no split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMaps {
    /// The label maps by name.
    pub maps: BTreeMap<String, PathBuf>,
    /// End of their names.
    pub suffix: String,
    /// Number of other PNGs beside them.
    pub others: usize,
}

/// The label maps under a folder that is that of no split: the files that end as those of a split do,
/// training first, or else all PNGs. What is in the folder `except` is passed over.
///
/// # Errors
/// Those of [`find_files`].
pub fn find_label_maps(
    folder: &Path,
    description: &Description,
    except: Option<&Path>,
) -> Result<FoundMaps, DatasetError> {
    let pngs = find_files(folder, &[PNG.to_string()])?;
    // Only a folder inside is passed over: from another, label maps are read as ever.
    let except = except.and_then(|path| path.canonicalize().ok());
    let except = except.filter(|except| {
        let folder = folder.canonicalize();
        folder.is_ok_and(|folder| except.starts_with(&folder) && *except != folder)
    });
    let is_seen = |path: &PathBuf| match (&except, path.canonicalize()) {
        (Some(except), Ok(path)) => !path.starts_with(except),
        _ => true,
    };
    let pngs: Vec<PathBuf> = pngs.into_values().filter(is_seen).collect();
    for suffixes in label_suffixes(description) {
        let mut maps = find_files(folder, &suffixes[..1])?;
        // Of a file that ends in several suffixes the longest counts.
        maps.retain(|_, path| is_seen(path) && ends_in_first(path, &suffixes));
        if !maps.is_empty() {
            let found: HashSet<&PathBuf> = maps.values().collect();
            let others = pngs.iter().filter(|path| !found.contains(path));
            return Ok(FoundMaps {
                others: others.count(),
                suffix: suffixes[0].clone(),
                maps,
            });
        }
    }
    Ok(FoundMaps {
        maps: BTreeMap::new(),
        suffix: PNG.to_string(),
        others: 0,
    })
}

/// The name of a label map that is named by itself: its file name without the suffix that label maps of
/// the description have, or else without its ending.
pub fn label_map_name(path: &Path, description: &Description) -> String {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut suffixes = label_suffixes(description).into_iter();
    let stem = suffixes.find_map(|suffixes| strip_suffix(&file_name, &suffixes[0]));
    match stem.filter(|stem| !stem.is_empty()) {
        Some(stem) => stem.to_string(),
        None => path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }
}

/// Ends of the names of label maps, in the order in which they are tried; each first in a list with
/// those of the photos in the same folder.
fn label_suffixes(description: &Description) -> Vec<Vec<String>> {
    let folders = description.splits().filter_map(|(_, files)| match files {
        SplitFiles::Folders(folders) => Some(folders),
        SplitFiles::List(_) => None,
    });
    let mut found: Vec<Vec<String>> = folders
        .map(|folders| {
            let mut suffixes = vec![folders.label_suffix.clone()];
            if folders.images == folders.labels {
                suffixes.extend(folders.image_suffixes.iter().cloned());
            }
            suffixes
        })
        .collect();
    found.push(vec![PNG.to_string()]);
    found
}

/// Whether the first of some suffixes is the longest that a file ends in.
fn ends_in_first(path: &Path, suffixes: &[String]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    strip_suffix(&name, &suffixes[0]) == strip_longest(&name, suffixes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tree;

    fn description(table: &str) -> Description {
        let text = format!(
            "name = \"x\"\n[[class]]\nname = \"a\"\ncolour = \"#000001\"\nids = [1]\n{table}"
        );
        Description::parse(&text, Path::new("dataset.toml")).unwrap()
    }

    fn folders(images: &str, label_suffix: &str) -> Description {
        description(&format!(
            "[train.folders]\nimages = \"{images}\"\nlabels = \"m\"\n\
             image_suffixes = [\".png\"]\nlabel_suffix = \"{label_suffix}\"\n"
        ))
    }

    fn names(found: &FoundMaps) -> Vec<&str> {
        found.maps.keys().map(String::as_str).collect()
    }

    #[test]
    fn label_maps_end_as_those_of_a_split_or_as_pngs() {
        let root = tree(&[
            "ulm/1_ids.png",
            "ulm/1_color.png",
            "2_IDS.PNG",
            "._3_ids.png",
            "t.txt",
        ]);
        let folder = root.path();
        let found = find_label_maps(folder, &folders("p", "_ids.png"), None).unwrap();
        assert_eq!((names(&found), found.others), (vec!["2", "ulm/1"], 1));
        let other = find_label_maps(folder, &folders("p", "_mask.png"), None).unwrap();
        assert_eq!(names(&other), ["2_IDS", "ulm/1_color", "ulm/1_ids"]);
        assert_eq!((other.suffix.as_str(), other.others), (".png", 0));
        // What is written into the folder is none of them.
        let out = folder.join("./ulm/");
        let found = find_label_maps(folder, &folders("p", "_ids.png"), Some(&out)).unwrap();
        assert_eq!((names(&found), found.others), (vec!["2"], 0));
        let found = find_label_maps(folder, &folders("p", "_ids.png"), Some(folder)).unwrap();
        assert_eq!(names(&found), ["2", "ulm/1"]);
        let list = description("[train.list]\nfile = \"list.txt\"\n");
        assert_eq!(find_label_maps(folder, &list, None).unwrap().maps.len(), 3);
    }

    #[test]
    fn photos_in_the_folder_of_label_maps_are_none() {
        let root = tree(&["a.png", "a_mask.png"]);
        let found = find_label_maps(root.path(), &folders("m", "_mask.png"), None).unwrap();
        assert_eq!((names(&found), found.others), (vec!["a"], 1));
    }

    #[test]
    fn a_label_map_alone_has_the_same_name() {
        let description = folders("p", "_mask.png");
        for (path, expected) in [
            ("x/a_mask.png", "a"),
            ("x/A_MASK.PNG", "A"),
            ("x/a.png", "a"),
            ("x/_mask.png", "_mask"),
        ] {
            assert_eq!(label_map_name(Path::new(path), &description), expected);
        }
    }
}
