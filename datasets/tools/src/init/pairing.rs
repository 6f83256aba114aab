//! How the names of photos and label maps pair up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use dp_sims_datasets::description::PHOTO_ENDINGS;
use dp_sims_datasets::files::{strip_longest, strip_suffix};

use super::words::label_score;

/// Names before and after a name that are compared with it.
const NEIGHBOURS: usize = 6;

/// The ends of the names, without which the names of a pair are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Suffixes {
    /// Ends of the photo names, in any letter case.
    pub photos: Vec<String>,
    /// End of the names of the label maps, in any letter case.
    pub labels: String,
}

/// The pairs among the files of two folders; all paths are relative to these.
#[derive(Debug)]
pub(super) struct Pairing<'a> {
    pub suffixes: Suffixes,
    /// Photos with their label maps, by name.
    pub pairs: Vec<(&'a str, &'a str)>,
    /// Photos without label map.
    pub lonely_photos: Vec<&'a str>,
    /// Label maps without photo.
    pub lonely_labels: Vec<&'a str>,
    /// How many files of the photo folder belong to a pair, of how many: photos, or other files of
    /// the name of one, such as `a_depth.png` of `a.jpg`.
    pub photos_covered: (usize, usize),
    /// The same of the folder of label maps.
    pub labels_covered: (usize, usize),
}

impl Pairing<'_> {
    /// Whether the pairs explain more than half of the files of a folder. What explains less is found
    /// by chance, such as a number that two files share.
    fn is_majority(&self) -> bool {
        [self.photos_covered, self.labels_covered]
            .into_iter()
            .any(|(covered, all)| 2 * covered > all)
    }

    /// Whether the names of its pairs are whole names. A single pair may agree in a word by chance, as
    /// `my_cat.jpg` and `my_car.png` do, unless one name is the beginning of the other.
    fn is_of_whole_names(&self) -> bool {
        let base = |suffix: &String| suffix.rfind('.').unwrap_or(0);
        self.pairs.len() > 1
            || base(&self.suffixes.labels) == 0
            || self.suffixes.photos.iter().all(|suffix| base(suffix) == 0)
            || label_score(&self.suffixes.labels) > 0
    }
}

/// The ways in which the files of two sorted lists pair up, best first: there are several where a
/// folder holds several files for every photo.
///
/// A way counts when at least half of the photos, or of the label maps if these are fewer, find a
/// partner, and the pairs explain more than half of the files of either folder. With `together` both
/// lists are of one folder, where no file may count twice.
pub(super) fn pairings<'a>(
    photos: &[&'a str],
    labels: &[&'a str],
    together: bool,
) -> Vec<Pairing<'a>> {
    let mut found: Vec<_> = guesses(photos, labels, together)
        .into_iter()
        .map(|suffixes| apply(&suffixes, photos, labels, together))
        .filter(|pairing| {
            let (photos, labels) = (pairing.lonely_photos.len(), pairing.lonely_labels.len());
            !pairing.pairs.is_empty()
                && pairing.pairs.len() >= photos.min(labels)
                && pairing.is_majority()
                && pairing.is_of_whole_names()
        })
        .collect();
    found.sort_by_key(|pairing| Reverse(pairing.pairs.len()));
    found
}

/// Pairs up files by the ends of their names; files with other ends are passed over. With `together`
/// the longer end tells what a file is, as in [`dp_sims_datasets::files`].
pub(super) fn apply<'a>(
    suffixes: &Suffixes,
    photos: &[&'a str],
    labels: &[&'a str],
    together: bool,
) -> Pairing<'a> {
    let as_photo = |file: &'a str| strip_longest(file, &suffixes.photos);
    let as_label = |file: &'a str| strip_suffix(file, &suffixes.labels);
    let longer = |stem: &str, other: Option<&str>| {
        together && other.is_some_and(|other| other.len() < stem.len())
    };
    let label = |&file: &&'a str| {
        let stem = as_label(file).filter(|stem| !longer(stem, as_photo(file)))?;
        Some((stem, file))
    };
    let photo = |&file: &&'a str| {
        let stem = as_photo(file).filter(|stem| !longer(stem, as_label(file)))?;
        Some((stem, file))
    };
    let mut partners: BTreeMap<&str, &str> = labels.iter().filter_map(label).collect();
    let (mut pairs, mut lonely_photos) = (Vec::new(), Vec::new());
    let mut stems = HashSet::new();
    for (stem, photo) in photos.iter().filter_map(photo) {
        match partners.remove(stem) {
            Some(label) => {
                stems.insert(stem);
                pairs.push((photo, label));
            }
            None => lonely_photos.push(photo),
        }
    }
    Pairing {
        suffixes: suffixes.clone(),
        pairs,
        lonely_photos,
        lonely_labels: partners.into_values().collect(),
        photos_covered: covered(photos, &stems),
        labels_covered: covered(labels, &stems),
    }
}

/// How many of some files begin with one of these names, which does not end within a word or a
/// number of theirs.
fn covered(files: &[&str], stems: &HashSet<&str>) -> (usize, usize) {
    let lengths: BTreeSet<usize> = stems.iter().map(|stem| stem.len()).collect();
    let is_covered = |file: &&&str| {
        let mut parts = lengths.iter().filter_map(|&end| file.split_at_checked(end));
        parts.any(|(start, rest)| stems.contains(start) && is_whole(start, rest))
    };
    (files.iter().filter(is_covered).count(), files.len())
}

/// Whether neither a word nor a number goes on from `start` to `rest`.
fn is_whole(start: &str, rest: &str) -> bool {
    let (last, next) = (start.chars().next_back(), rest.chars().next());
    let both = |is: fn(char) -> bool| last.is_some_and(is) && next.is_some_and(is);
    !both(char::is_numeric) && !both(char::is_alphabetic)
}

/// Ends of names for which some file of the shorter list would have a partner.
fn guesses(photos: &[&str], labels: &[&str], together: bool) -> Vec<Suffixes> {
    let photos_are_fewer = photos.len() <= labels.len();
    let (few, many) = match photos_are_fewer {
        true => (photos, labels),
        false => (labels, photos),
    };
    let mut found = BTreeSet::new();
    let probes = [0, few.len() / 2, few.len().saturating_sub(1)];
    for probe in probes.into_iter().filter_map(|place| few.get(place)) {
        // The names with most in common stand side by side.
        let place = many.partition_point(|name| name < probe);
        let near = place.saturating_sub(NEIGHBOURS)..(place + NEIGHBOURS).min(many.len());
        for other in &many[near] {
            let (photo, label) = match photos_are_fewer {
                true => (probe, other),
                false => (other, probe),
            };
            let ends = ends(photo, label);
            found.extend(ends.and_then(|(photo, label)| suffixes(photos, photo, label, together)));
        }
    }
    found.into_iter().collect()
}

/// What follows the common part of two names, which ends before the ending, and not within a word
/// or a number.
fn ends<'a>(photo: &'a str, label: &'a str) -> Option<(&'a str, &'a str)> {
    let letters = photo.char_indices().zip(label.chars());
    let common = letters
        .take_while(|((_, a), b)| a == b)
        .map(|((place, letter), _)| place + letter.len_utf8())
        .last()?;
    let end = common.min(photo.rfind('.')?).min(label.rfind('.')?);
    let name = photo[..end].rfind('/').map_or(0, |slash| slash + 1);
    let last = photo[..end].chars().next_back()?;
    let nexts = [photo, label].map(|name| name[end..].chars().next());
    let next = |is: fn(char) -> bool| nexts.iter().flatten().any(|&letter| is(letter));
    // Names with different numbers are those of different images.
    if next(char::is_numeric) {
        return None;
    }
    let end = if next(|letter| !letter.is_alphanumeric()) {
        end
    } else if last.is_numeric() {
        // As in 0001rgb.png and 0001seg.png.
        end
    } else {
        // Within a word: the names agree by chance from the last separator on.
        name + photo[name..end].rfind(|letter: char| !letter.is_alphanumeric())?
    };
    let (photo, label) = (&photo[end..], &label[end..]);
    (end > name && !photo.contains('/') && !label.contains('/')).then_some((photo, label))
}

/// The suffixes for a photo name that ends in `photo`: the same with every ending that occurs.
fn suffixes(photos: &[&str], photo: &str, label: &str, together: bool) -> Option<Suffixes> {
    let base = &photo[..photo.rfind('.')?];
    let (label, ending) = label.split_at(label.rfind('.')?);
    let label = label.to_string() + &ending.to_lowercase();
    // Of two different ends the longer one tells what a file is.
    let clash = |suffix: &String| together && suffix.eq_ignore_ascii_case(&label);
    let occurs = |suffix: &String| {
        let mut photos = photos.iter();
        photos.any(|photo| strip_suffix(photo, suffix).is_some())
    };
    let suffixes = PHOTO_ENDINGS.iter().map(|ending| format!("{base}{ending}"));
    let photos: Vec<String> = suffixes
        .filter(|suffix| !clash(suffix) && occurs(suffix))
        .collect();
    (!photos.is_empty()).then_some(Suffixes {
        photos,
        labels: label,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(photos: &[&str], labels: &[&str], together: bool) -> Option<(String, String, usize)> {
        let pairing = pairings(photos, labels, together).into_iter().next()?;
        let Suffixes { photos, labels } = pairing.suffixes;
        Some((photos.join(" "), labels, pairing.pairs.len()))
    }

    fn expect(photos: &str, labels: &str, count: usize) -> Option<(String, String, usize)> {
        Some((photos.to_string(), labels.to_string(), count))
    }

    #[test]
    fn names_pair_up_to_their_ends() {
        for (photos, labels, expected) in [
            (
                &["1.JPG", "2.jpeg", "3.png"][..],
                &["1.png", "2.png", "3.PNG"][..],
                expect(".jpg .jpeg .png", ".png", 3),
            ),
            (
                &["a_photo.jpg", "b_photo.jpg"],
                &["a_mask.png", "b_mask.png"],
                expect("_photo.jpg", "_mask.png", 2),
            ),
            (
                &["img1.png", "img10.png", "img2.png"],
                &["img10mask.png", "img1mask.png", "img2mask.png"],
                expect(".png", "mask.png", 3),
            ),
            (
                // The common part ends before `_`, although the names agree in one letter more.
                &["x/a_rgb.png", "x/b_rgb.png"],
                &["x/a_raw_ids.png", "x/b_raw_ids.png"],
                expect("_rgb.png", "_raw_ids.png", 2),
            ),
            (
                &["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"],
                &["2.png", "5.png", "9.png"],
                expect(".jpg", ".png", 2),
            ),
            (&["a.jpg", "b.jpg"], &["c.png", "d.png"], None),
            (&["a.jpg"], &[], None),
            (
                &["01rgb.png", "02rgb.png"],
                &["01seg.png", "02seg.png"],
                expect("rgb.png", "seg.png", 2),
            ),
            // Names that agree by chance.
            (
                &["00012.jpg", "00034.jpg"],
                &["00013.png", "00035.png"],
                None,
            ),
            (&["cat.jpg"], &["car.png"], None),
        ] {
            assert_eq!(found(photos, labels, false), expected, "{photos:?}");
        }
    }

    #[test]
    fn one_folder_holds_both_if_the_names_tell_them_apart() {
        let files = ["a.jpg", "a.png", "b.jpg", "b.png"];
        let labels = ["a.png", "b.png"];
        assert_eq!(found(&files, &labels, true), expect(".jpg", ".png", 2));
        let files = ["a_mask.png", "a_photo.png", "b_mask.png", "b_photo.png"];
        let found = pairings(&files, &files, true);
        let ends: Vec<_> = found
            .iter()
            .map(|way| way.suffixes.labels.as_str())
            .collect();
        assert_eq!(ends, ["_photo.png", "_mask.png"]);
        // The longer suffix tells that a label map is no photo, and no photo a label map.
        let files = ["a.png", "a_mask.png", "b.png", "b_mask.png"];
        let ways: Vec<_> = pairings(&files, &files, true)
            .into_iter()
            .map(|way| {
                (
                    way.suffixes.photos.join(" "),
                    way.suffixes.labels,
                    way.pairs,
                )
            })
            .collect();
        let pairs = vec![("a.png", "a_mask.png"), ("b.png", "b_mask.png")];
        assert!(
            ways.contains(&(".png".to_string(), "_mask.png".to_string(), pairs)),
            "{ways:?}"
        );
    }

    #[test]
    fn whole_names_pair_up_and_a_majority_of_the_files() {
        // A number in common is no name in common.
        let files = ["s_000.png", "s_000_m.png", "s_001.png", "s_001_m.png"];
        for way in pairings(&files, &files, true) {
            for (photo, label) in way.pairs {
                assert_eq!(photo[..5], label[..5], "{photo} {label}");
            }
        }
        for (photos, labels) in [
            // A word in common.
            (&["my_cat.jpg"][..], &["my_car.png"][..]),
            // One of many.
            (
                &["x1.jpg", "x2.jpg", "x3.jpg"],
                &["u_a.png", "w_b.png", "x1_m.png", "z_c.png"],
            ),
            (&["a_1.jpg", "a_2.jpg"], &["a_12.png", "a_13.png"]),
        ] {
            assert_eq!(found(photos, labels, false), None, "{photos:?}");
        }
        // Many photos without label map are no sign of a wrong guess, nor are other files of a photo.
        let photos = ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"];
        let labels = ["2_depth.png", "2_ids.png", "2_tags.png"];
        let ways = pairings(&photos, &labels, false);
        let way = ways
            .iter()
            .find(|way| way.suffixes.labels == "_ids.png")
            .unwrap();
        assert_eq!((way.photos_covered, way.labels_covered), ((1, 5), (3, 3)));
    }

    #[test]
    fn files_without_partner_are_listed() {
        let photos = ["1.jpg", "2.jpg", "3.jpg"];
        let labels = ["1.png", "2.png", "4.png", "x_other.png"];
        let pairing = pairings(&photos, &labels, false).remove(0);
        assert_eq!(pairing.pairs, [("1.jpg", "1.png"), ("2.jpg", "2.png")]);
        assert_eq!(pairing.lonely_photos, ["3.jpg"]);
        assert_eq!(pairing.lonely_labels, ["4.png", "x_other.png"]);
    }
}
