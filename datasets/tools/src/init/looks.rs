//! What files and their names look like: photos or label maps.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::pairing::Pairing;
use super::tree::Folder;
use super::values::{Kind, Look, look};
use super::words::label_score;

/// The looks of files, each read once.
pub(super) struct Looks<'a> {
    root: &'a Path,
    known: HashMap<PathBuf, Option<Look>>,
}

impl<'a> Looks<'a> {
    pub fn new(root: &'a Path) -> Self {
        let known = HashMap::new();
        Self { root, known }
    }

    /// How photos and label maps of some pairs look.
    pub fn of(&mut self, way: &Pairing, photos: &Folder, labels: &Folder) -> (SideLook, SideLook) {
        let last = way.pairs.len() - 1;
        let (mut photo, mut label) = (SideLook::default(), SideLook::default());
        for (a, b) in [0, last / 2, last].map(|place| way.pairs[place]) {
            photo.add(self.look(photos.path, a));
            label.add(self.look(labels.path, b));
        }
        photo.score = label_score(&format!("{}/{}", photos.path, way.suffixes.photos[0]));
        label.score = label_score(&format!("{}/{}", labels.path, way.suffixes.labels));
        (photo, label)
    }

    fn look(&mut self, folder: &str, file: &str) -> Option<Look> {
        let path = self.root.join(folder).join(file);
        *self.known.entry(path).or_insert_with_key(|path| look(path))
    }
}

/// How some files of a folder look.
pub(super) struct SideLook {
    /// One is a photo.
    pub photo: bool,
    /// One has values that are no ids.
    large: bool,
    pub kind: Kind,
    /// Most values in a file.
    values: usize,
    /// How much its path speaks for label maps.
    pub score: i32,
}

impl Default for SideLook {
    fn default() -> Self {
        Self {
            photo: false,
            large: false,
            kind: Kind::Gray,
            values: 0,
            score: 0,
        }
    }
}

impl SideLook {
    /// Adds a file. One that cannot be read says nothing: it is named when all are read.
    fn add(&mut self, look: Option<Look>) {
        match look {
            Some(Look::Photo) => self.photo = true,
            Some(Look::Map {
                kind,
                values,
                large,
            }) => {
                self.large |= large.is_some();
                self.kind = self.kind.max(kind);
                self.values = self.values.max(values);
            }
            None => {}
        }
    }

    pub fn is_map(&self) -> bool {
        !self.photo && !self.large
    }

    /// Whether this is the folder of the photos, and `labels` that of the label maps. Photos may be
    /// gray or drawn: then names decide, and after them colours and the number of values.
    pub fn is_photo_beside(&self, labels: &Self) -> bool {
        let colour = |side: &Self| side.kind == Kind::Colour;
        let own = (-self.score, colour(self), self.values);
        self.photo || own > (-labels.score, colour(labels), labels.values)
    }
}
