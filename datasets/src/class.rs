//! The classes of a dataset, and sets of them.

use serde::{Deserialize, Serialize};

mod set;

pub use set::ClassSet;

/// One class of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Name, unique inside its table.
    pub name: String,
    /// RGB colour in which the class is drawn.
    pub colour: [u8; 3],
    /// True for countable objects (things), false for regions (stuff).
    pub thing: bool,
}

/// A colour as `#rrggbb`.
pub fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// The classes of a dataset; index 0 is always void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTable {
    /// The classes by index, void first.
    pub classes: Vec<Class>,
}

impl ClassTable {
    /// Number of classes including void: the number of label-map channels.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// True when the table has no class, not even void.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// RGB colour of the class `index`; black for an index outside the table.
    pub fn colour(&self, index: u8) -> [u8; 3] {
        self.classes
            .get(usize::from(index))
            .map_or([0, 0, 0], |class| class.colour)
    }

    /// Draws a label map in class colours.
    ///
    /// # Shapes
    /// - labels: `[height, width]`
    /// - output: `[height, width, 3]`
    pub fn colourise(&self, labels: &[u8]) -> Vec<u8> {
        labels
            .iter()
            .flat_map(|&label| self.colour(label))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_tables_colour_label_maps() {
        let class = |name: &str, colour| Class {
            name: name.to_string(),
            colour,
            thing: false,
        };
        let table = ClassTable {
            classes: vec![class("void", [1, 2, 3]), class("sky", [4, 5, 6])],
        };
        assert_eq!((table.len(), table.is_empty()), (2, false));
        assert_eq!(table.colourise(&[1, 0, 2]), [4, 5, 6, 1, 2, 3, 0, 0, 0]);
        let json = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<ClassTable>(&json).unwrap(), table);
    }
}
