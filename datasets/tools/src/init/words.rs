//! What words in the paths of files say of them.

/// Words in paths of label maps, and how much they speak for them.
const LABEL_WORDS: [(&str, i32); 14] = [
    ("label", 2),
    ("mask", 2),
    ("annot", 2),
    ("semantic", 2),
    ("seg", 1),
    ("gt", 1),
    ("class", 1),
    ("inst", -4),
    ("panoptic", -4),
    ("depth", -4),
    ("edge", -4),
    ("color", -2),
    ("colour", -2),
    ("vis", -2),
];

/// Words in paths of photos.
const PHOTO_WORDS: [(&str, i32); 6] = [
    ("photo", 2),
    ("image", 2),
    ("img", 2),
    ("rgb", 1),
    ("left", 1),
    ("jpeg", 1),
];

/// How much the words in a path speak for label maps.
pub(super) fn label_score(path: &str) -> i32 {
    score(path, &LABEL_WORDS)
}

/// How much the words in a path speak for photos.
pub(super) fn photo_score(path: &str) -> i32 {
    score(path, &PHOTO_WORDS)
}

/// The sum of what the words in `path` speak for.
fn score(path: &str, words: &[(&str, i32)]) -> i32 {
    let path = path.to_ascii_lowercase();
    let found = words.iter().filter(|(word, _)| path.contains(word));
    found.map(|(_, score)| score).sum()
}
