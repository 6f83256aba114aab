//! Which folders hold photos and which label maps.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dp_sims_datasets::Split;

use super::looks::Looks;
use super::pairing::{Pairing, Suffixes, apply, pairings};
use super::tree::{Folder, Group, groups, image_files, summary};
use super::values::{Kind, problem};
use super::words::{label_score, photo_score};
use super::{InitError, SurveyedSplit};

/// Where the photos and label maps of a dataset are.
#[derive(Debug)]
pub(super) struct DatasetLayout {
    pub suffixes: Suffixes,
    /// Splits in their usual order.
    pub splits: Vec<SurveyedSplit>,
    /// The label maps of all pairs.
    pub maps: Vec<PathBuf>,
}

/// Two groups that pair up.
struct Candidate<'a> {
    photos: &'a Group<'a>,
    labels: &'a Group<'a>,
    suffixes: Suffixes,
    /// Pairs in all splits that both have.
    pairs: usize,
    /// The split whose files were looked at.
    key: Option<Split>,
    /// Whether the photos have the colours of photos.
    certain: bool,
    kind: Kind,
}

impl Candidate<'_> {
    /// How much speaks for it, beside the number of pairs.
    fn rank(&self) -> impl Ord + use<> {
        let label_name = format!("{}/{}", self.labels.template, self.suffixes.labels);
        let photo_name = format!("{}/{}", self.photos.template, self.suffixes.photos[0]);
        (
            self.certain,
            self.key == Some(Split::Train),
            label_score(&label_name) + photo_score(&photo_name),
            Reverse(self.kind),
            match self.photos.template == self.labels.template {
                // What is in one folder is in those above it too.
                true => self.photos.depth as isize,
                false => -((self.photos.depth + self.labels.depth) as isize),
            },
        )
    }
}

/// Finds the photos and label maps below `root`.
///
/// # Errors
/// When a folder cannot be read, or nothing pairs up that can be photos and label maps.
pub(super) fn find_layout(root: &Path) -> Result<DatasetLayout, InitError> {
    let files = image_files(root)?;
    let groups = groups(&files);
    let mut looks = Looks::new(root);
    let mut candidates = Vec::new();
    let mut refused: Vec<(i32, PathBuf)> = Vec::new();
    for photos in &groups {
        for labels in &groups {
            let Some(key) = common_key(photos, labels) else {
                continue;
            };
            let (photo_folder, label_folder) = (&photos.folders[&key], &labels.folders[&key]);
            for way in ways(
                photo_folder,
                label_folder,
                photos.template == labels.template,
            ) {
                let (photo_look, label_look) = looks.of(&way, photo_folder, label_folder);
                if !label_look.is_map() {
                    let path = root.join(label_folder.path).join(way.pairs[0].1);
                    refused.push((label_look.score - photo_look.score, path));
                } else if photo_look.is_photo_beside(&label_look) {
                    candidates.push(Candidate {
                        photos,
                        labels,
                        pairs: all_pairs(photos, labels, key, &way.suffixes),
                        suffixes: way.suffixes,
                        key,
                        certain: photo_look.photo,
                        kind: label_look.kind,
                    });
                }
            }
        }
    }
    let most = candidates.iter().map(|candidate| candidate.pairs).max();
    let Some(most) = most else {
        return Err(nothing(root, &files, &groups, refused));
    };
    // A stray file more in another folder does not make that the better one.
    candidates.retain(|candidate| candidate.pairs * 10 >= most * 9);
    candidates.sort_by_key(|candidate| Reverse(candidate.rank()));
    let best = candidates.remove(0);
    candidates.retain(|other| {
        other.photos.template == best.photos.template
            && (&other.labels.template, &other.suffixes.labels)
                != (&best.labels.template, &best.suffixes.labels)
    });
    let (splits, maps) = splits(root, &best, &candidates);
    Ok(DatasetLayout {
        suffixes: best.suffixes,
        splits,
        maps,
    })
}

/// The split in which two groups are compared: the first that both have, training first.
fn common_key(photos: &Group, labels: &Group) -> Option<Option<Split>> {
    let keys = [
        Some(Split::Train),
        None,
        Some(Split::Validation),
        Some(Split::Test),
    ];
    let both =
        |key: &Option<Split>| photos.folders.contains_key(key) && labels.folders.contains_key(key);
    keys.into_iter().find(both)
}

/// The splits of a layout whose files were compared in `key`, under their keys.
fn keys(key: Option<Split>) -> Vec<(Option<Split>, Split)> {
    match key {
        None => vec![(None, Split::Train)],
        Some(_) => Split::all().map(|split| (Some(split), split)).collect(),
    }
}

/// Number of pairs in all splits.
fn all_pairs(photos: &Group, labels: &Group, key: Option<Split>, suffixes: &Suffixes) -> usize {
    let together = photos.template == labels.template;
    let pairs = |(key, _)| {
        let (photos, labels) = (photos.folders.get(&key)?, labels.folders.get(&key)?);
        let (photos, labels) = (outside(photos, labels), outside(labels, photos));
        Some(apply(suffixes, &photos, &labels, together).pairs.len())
    };
    keys(key).into_iter().filter_map(pairs).sum()
}

/// The files of a folder that are not in another one inside of it: in `photos/labels` there are no photos.
fn outside<'a>(folder: &Folder<'a>, other: &Folder) -> Vec<&'a str> {
    let inner = match other.path.strip_prefix(folder.path) {
        Some(rest) if folder.path.is_empty() => rest,
        Some(rest) => rest.strip_prefix('/').unwrap_or(""),
        None => "",
    };
    let is_outside = |file: &&&str| {
        let rest = file.strip_prefix(inner);
        inner.is_empty() || !rest.is_some_and(|rest| rest.starts_with('/'))
    };
    folder.files.iter().filter(is_outside).copied().collect()
}

/// How photos of one folder and PNGs of another pair up.
fn ways<'a>(photos: &Folder<'a>, labels: &Folder<'a>, together: bool) -> Vec<Pairing<'a>> {
    let png = |file: &&&str| file.to_ascii_lowercase().ends_with(".png");
    let pngs = outside(labels, photos);
    let pngs: Vec<&str> = pngs.iter().filter(png).copied().collect();
    pairings(&outside(photos, labels), &pngs, together)
}

/// Where the splits of the chosen groups are, and all their label maps; `others` pair up with the same
/// photos.
fn splits(
    root: &Path,
    best: &Candidate,
    others: &[Candidate],
) -> (Vec<SurveyedSplit>, Vec<PathBuf>) {
    let (mut splits, mut all) = (Vec::new(), Vec::new());
    for (key, split) in keys(best.key) {
        let folders = (best.photos.folders.get(&key), best.labels.folders.get(&key));
        let (Some(photos), Some(labels)) = folders else {
            continue;
        };
        let together = best.photos.template == best.labels.template;
        let (seen, maps) = (outside(photos, labels), outside(labels, photos));
        let found = apply(&best.suffixes, &seen, &maps, together);
        if found.pairs.is_empty() {
            continue;
        }
        let of = |(covered, all): (usize, usize)| found.pairs.len() + all - covered;
        let owned = |files: &[&str]| files.iter().map(ToString::to_string).collect();
        let path = |path: &str| if path.is_empty() { "." } else { path }.to_string();
        let place = root.join(labels.path);
        let other = |other: &Candidate| {
            let folder = other.labels.folders.get(&key)?;
            Some((path(folder.path), other.suffixes.labels.clone()))
        };
        all.extend(found.pairs.iter().map(|pair| place.join(pair.1)));
        splits.push(SurveyedSplit {
            split,
            images: path(photos.path),
            labels: path(labels.path),
            pairs: found.pairs.len(),
            photos: of(found.photos_covered),
            maps: of(found.labels_covered),
            lonely_photos: owned(&found.lonely_photos),
            lonely_labels: owned(&found.lonely_labels),
            others: others.iter().filter_map(other).collect(),
        });
    }
    (splits, all)
}

/// Why nothing pairs up: what would be label maps is of another kind, or there is nothing.
fn nothing(
    root: &Path,
    files: &[String],
    groups: &[Group],
    mut refused: Vec<(i32, PathBuf)>,
) -> InitError {
    refused.sort_by_key(|(score, _)| Reverse(*score));
    if let Some(error) = refused.iter().find_map(|(_, path)| problem(path)) {
        return error;
    }
    let other = |file: &&&str| !file.to_ascii_lowercase().ends_with(".png");
    let mut pairs = BTreeMap::new();
    for (photos, labels) in groups
        .iter()
        .flat_map(|a| groups.iter().map(move |b| (a, b)))
    {
        let key = common_key(photos, labels);
        let Some(key) = key.filter(|_| photos.template != labels.template) else {
            continue;
        };
        let (photos, labels) = (&photos.folders[&key], &labels.folders[&key]);
        let others = outside(labels, photos);
        let others: Vec<&str> = others.iter().filter(other).copied().collect();
        if let Some(way) = pairings(&outside(photos, labels), &others, false).first() {
            let place = |folder: &Folder, file: &str| root.join(folder.path).join(file);
            let pair = (place(photos, way.pairs[0].0), place(labels, way.pairs[0].1));
            pairs
                .entry(Reverse(label_score(labels.path)))
                .or_insert(pair);
        }
    }
    match pairs.pop_first() {
        Some((_, (photo, labels))) => InitError::LossyLabels { labels, photo },
        None => InitError::NothingPairs {
            root: root.to_path_buf(),
            seen: summary(files),
        },
    }
}
