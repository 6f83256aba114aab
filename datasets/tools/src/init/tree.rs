//! The images below a folder, grouped by folders that play the same part in different splits.

use std::collections::BTreeMap;
use std::path::Path;

use dp_sims_datasets::description::PHOTO_ENDINGS;
use dp_sims_datasets::files::find_named;
use dp_sims_datasets::{DatasetError, Split};

/// How deep below the root folder the folders of photos and label maps are looked for.
const MAX_DEPTH: usize = 3;

/// Most groups that are compared; those nearest to the root come first.
const MAX_GROUPS: usize = 40;

/// Words in folder names that tell a split, longest first.
const SPLIT_WORDS: [(&str, Split); 7] = [
    ("validation", Split::Validation),
    ("training", Split::Train),
    ("testing", Split::Test),
    ("train", Split::Train),
    ("valid", Split::Validation),
    ("test", Split::Test),
    ("val", Split::Validation),
];

/// What may follow such a word without a separator, as in CamVid's `trainannot`.
const GLUED: [&str; 10] = [
    "annot", "label", "mask", "image", "img", "photo", "gt", "seg", "rgb", "color",
];

/// Paths of the photos and PNGs below a folder, relative to it, with `/` between; sorted.
///
/// # Errors
/// When a folder cannot be read, or two files differ in letter case alone.
pub(super) fn image_files(root: &Path) -> Result<Vec<String>, DatasetError> {
    let mut files = Vec::new();
    for ending in PHOTO_ENDINGS {
        for (name, path) in find_named(root, &[ending.to_string()], &mut Err)? {
            let folder = name.rfind('/').map_or("", |slash| &name[..=slash]);
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            files.push(format!("{folder}{file}"));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Folders whose paths are the same but for the split.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// The path with `*` for the word that tells the split.
    pub template: String,
    /// Number of folders in the path.
    pub depth: usize,
    /// By split, `None` for a folder that belongs to none.
    pub folders: BTreeMap<Option<Split>, Folder<'a>>,
}

/// A folder and the images below it.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    /// Relative to the root folder; empty for the root folder itself.
    pub path: &'a str,
    /// Relative to the folder, sorted.
    pub files: Vec<&'a str>,
}

/// Groups the folders that hold `files`, those nearest to the root first.
pub(super) fn groups(files: &[String]) -> Vec<Group<'_>> {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files {
        let slashes = file.match_indices('/').map(|(place, _)| place);
        let ends = std::iter::once(0).chain(slashes.map(|place| place + 1));
        for end in ends.take(MAX_DEPTH + 1) {
            let folder = file[..end].trim_end_matches('/');
            folders.entry(folder).or_default().push(&file[end..]);
        }
    }
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (path, files) in folders {
        let (template, split) = template(path);
        let depth = path.split('/').filter(|part| !part.is_empty()).count();
        let group = groups.entry(template.clone()).or_insert_with(|| Group {
            template,
            depth,
            folders: BTreeMap::new(),
        });
        // Of `val` and `valid` beside each other the first counts.
        let folder = Folder { path, files };
        group.folders.entry(split).or_insert(folder);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| group.depth);
    groups.truncate(MAX_GROUPS);
    groups
}

/// The path with `*` in place of the word that tells the split, and that split.
fn template(path: &str) -> (String, Option<Split>) {
    let mut split = None;
    let parts = path.split('/').map(|part| match split_word(part) {
        Some((found, template)) if split.is_none_or(|split| split == found) => {
            split = Some(found);
            template
        }
        _ => part.to_string(),
    });
    let parts: Vec<String> = parts.collect();
    (parts.join("/"), split)
}

/// The split that a folder name tells, and the name with `*` in place of the word.
fn split_word(name: &str) -> Option<(Split, String)> {
    // Lower case by letters alone, so that places in both names agree.
    let lower = name.to_ascii_lowercase();
    SPLIT_WORDS.into_iter().find_map(|(word, split)| {
        let (place, _) = lower.match_indices(word).find(|&(place, _)| {
            let before = lower[..place].chars().next_back();
            let rest = &lower[place + word.len()..];
            let after = rest.chars().next();
            let letter = |letter: Option<char>| letter.is_some_and(char::is_alphabetic);
            let glued = place == 0 && GLUED.iter().any(|glued| rest.starts_with(glued));
            !letter(before) && (!letter(after) || glued)
        })?;
        let (before, rest) = (&name[..place], &name[place + word.len()..]);
        Some((split, format!("{before}*{rest}")))
    })
}

/// The folders of a list of files with their numbers by format, for messages.
pub(super) fn summary(files: &[String]) -> String {
    const MOST: usize = 8;
    let mut folders: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for file in files {
        let folder = file.rfind('/').map_or("", |slash| &file[..slash]);
        let format = match file.to_ascii_lowercase() {
            name if name.ends_with(".png") => 1,
            name if name.ends_with(".webp") => 2,
            _ => 0,
        };
        folders.entry(folder).or_default()[format] += 1;
    }
    let total = folders.len();
    let mut parts: Vec<String> = folders
        .into_iter()
        .take(MOST)
        .map(|(folder, counts)| {
            let folder = if folder.is_empty() { "." } else { folder };
            let counts = counts.into_iter().zip(["JPEG", "PNG", "WebP"]);
            let counts = counts.filter(|(count, _)| *count > 0);
            let counts: Vec<String> = counts.map(|(n, format)| format!("{n} {format}")).collect();
            format!("{folder} ({})", counts.join(", "))
        })
        .collect();
    if total > MOST {
        parts.push(format!("{} more folders", total - MOST));
    }
    match parts.is_empty() {
        true => "no file that ends in .jpg, .jpeg, .png or .webp".to_string(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_tell_their_split() {
        use Split::{Test, Train, Validation};
        for (path, expected, split) in [
            ("photos/train", "photos/*", Some(Train)),
            ("Training/photos", "*/photos", Some(Train)),
            ("trainannot", "*annot", Some(Train)),
            ("images/val2017", "images/*2017", Some(Validation)),
            ("test_label", "*_label", Some(Test)),
            ("img-valid", "img-*", Some(Validation)),
            ("train/train_masks", "*/*_masks", Some(Train)),
            ("trains", "trains", None),
            ("valley/constrain", "valley/constrain", None),
            ("photos", "photos", None),
            ("", "", None),
        ] {
            assert_eq!(template(path), (expected.to_string(), split), "{path}");
        }
    }

    #[test]
    fn folders_are_grouped_over_splits() {
        let files = ["a/train/2.jpg", "a/train/x/1.jpg", "a/val/3.jpg", "b/1.png"];
        let files = files.map(String::from);
        let groups = groups(&files);
        let templates: Vec<_> = groups.iter().map(|group| group.template.as_str()).collect();
        assert_eq!(templates, ["", "a", "b", "a/*", "a/*/x"]);
        let train = &groups[3].folders[&Some(Split::Train)];
        assert_eq!(train.path, "a/train");
        assert_eq!(train.files, ["2.jpg", "x/1.jpg"]);
        assert_eq!(groups[3].folders.len(), 2);
        assert_eq!(groups[1].folders[&None].files.len(), 3);
    }

    #[test]
    fn summaries_name_folders() {
        let files = ["a/1.jpg", "a/2.PNG", "b/1.png", "3.jpeg"].map(String::from);
        let text = summary(&files);
        assert_eq!(text, ". (1 JPEG), a (1 JPEG, 1 PNG), b (1 PNG)");
        assert!(summary(&[]).starts_with("no file"));
    }
}
