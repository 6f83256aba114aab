use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of class indices.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub struct ClassSet {
    bits: [u64; 4],
}

impl ClassSet {
    /// The classes that occur in a label map.
    pub fn of(labels: &[u8]) -> Self {
        labels.iter().copied().collect()
    }

    /// Adds a class.
    pub fn insert(&mut self, class: u8) {
        self.bits[usize::from(class >> 6)] |= 1 << (class & 63);
    }

    /// True when the class is in the set.
    pub fn contains(&self, class: u8) -> bool {
        self.bits[usize::from(class >> 6)] >> (class & 63) & 1 == 1
    }

    /// Number of classes in the set.
    pub fn len(&self) -> usize {
        self.bits
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// True when no class is in the set.
    pub fn is_empty(&self) -> bool {
        self.bits == [0; 4]
    }

    /// The classes in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|&class| self.contains(class))
    }
}

impl fmt::Debug for ClassSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<u8> for ClassSet {
    fn from_iter<I: IntoIterator<Item = u8>>(classes: I) -> Self {
        let mut set = Self::default();
        classes.into_iter().for_each(|class| set.insert(class));
        set
    }
}

impl From<Vec<u8>> for ClassSet {
    fn from(classes: Vec<u8>) -> Self {
        classes.into_iter().collect()
    }
}

impl From<ClassSet> for Vec<u8> {
    fn from(set: ClassSet) -> Self {
        set.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_sets_hold_every_index() {
        let classes = [0, 1, 63, 64, 127, 128, 200, 255];
        let set = ClassSet::of(&classes);
        assert_eq!((set.len(), set.is_empty()), (8, false));
        assert_eq!(set.iter().collect::<Vec<_>>(), classes);
        assert!(!set.contains(2) && !set.contains(129) && set.contains(255));
        assert!(ClassSet::default().is_empty());
        assert_eq!(
            serde_json::to_string(&set).unwrap(),
            "[0,1,63,64,127,128,200,255]"
        );
        assert_eq!(
            serde_json::from_str::<ClassSet>("[200,0,1,63,64,127,128,255]").unwrap(),
            set
        );
    }
}
