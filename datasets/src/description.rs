//! A dataset described by a TOML file: its classes, the ids of its label maps and its files.
//!
//! A folder of photos with a folder of label maps of the same names needs no more than this:
//!
//! ```toml
//! name = "garden"
//! void = [255]
//!
//! [[class]]
//! name = "grass"
//! colour = "#40a040"
//! ids = [1, 2]
//!
//! [[class]]
//! name = "dog"
//! colour = [160, 96, 32]
//! ids = [7]
//! thing = true
//!
//! [train.folders]
//! images = "photos"
//! labels = "masks"
//! ```
//!
//! Class indices follow the order of the `[[class]]` tables, counted from 1; index 0 is void.

use std::collections::HashMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::class::{Class, ClassTable};
use crate::error::{DatasetError, DescriptionError, MAX_CLASSES};
use crate::open::read_text;
use crate::split::Split;

mod colour;
mod files;

pub(crate) use files::MAX_LIST_BYTES;
pub use files::{
    CocoFile, Folders, InstancePng, Instances, LabelValues, ListFile, PHOTO_ENDINGS, PanopticFiles,
    SplitFiles,
};

/// Name of class index 0.
const VOID: &str = "void";

/// Most bytes a description may have: 16 MiB.
const MAX_BYTES: u64 = 1 << 24;

/// A dataset: classes, ids and files. Paths are relative to a root folder given when it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Name of the dataset.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Ids that mean void.
    #[serde(default)]
    pub void: Vec<u8>,
    /// A table per class, up to 255; the first one gets class index 1.
    #[serde(rename = "class")]
    #[schemars(length(min = 1, max = MAX_CLASSES))]
    pub classes: Vec<DescribedClass>,
    /// How the files of the training split are found. At least one split is described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<SplitFiles>,
    /// How the files of the validation split are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<SplitFiles>,
    /// How the files of the test split are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<SplitFiles>,
}

/// A class and the ids it has in the label maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribedClass {
    /// Name, unique inside the description and not `void`.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Colour of the class in previews, as `"#rrggbb"` or `[r, g, b]`.
    #[serde(with = "colour")]
    #[schemars(with = "colour::Colour")]
    pub colour: [u8; 3],
    /// Ids that mean the class; several ids merge. May be left out if every split is colour-coded.
    #[serde(default)]
    pub ids: Vec<u8>,
    /// True for countable objects.
    #[serde(default)]
    pub thing: bool,
}

impl Description {
    /// Reads and validates a description file.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid.
    pub fn read(file: &Path) -> Result<Self, DatasetError> {
        Self::parse(&read_text(file, MAX_BYTES)?, file)
    }

    /// Parses and validates the text of a description; `file` is named in errors.
    ///
    /// # Errors
    /// When the text is not valid.
    pub fn parse(text: &str, file: &Path) -> Result<Self, DatasetError> {
        toml::from_str(text)
            .map_err(|error| DescriptionError::Syntax(Box::new(error)))
            .and_then(|description: Self| description.validate().map(|()| description))
            .map_err(|source| DatasetError::Description {
                file: file.to_path_buf(),
                source,
            })
    }

    /// Checks what the types alone cannot: names, ids, counts and splits.
    ///
    /// # Errors
    /// The first thing found wrong, by key.
    pub fn validate(&self) -> Result<(), DescriptionError> {
        non_empty("name", &self.name, "write the name of the dataset")?;
        if self.classes.is_empty() {
            let remedy = "describe at least one class in a [[class]] table";
            return Err(DescriptionError::Empty {
                key: "class".to_string(),
                remedy,
            });
        }
        if self.classes.len() > MAX_CLASSES {
            return Err(DescriptionError::TooManyClasses {
                count: self.classes.len(),
            });
        }
        self.validate_names()?;
        self.validate_ids()?;
        if self.splits().next().is_none() {
            return Err(DescriptionError::NoSplit);
        }
        if self.label_values(LabelValues::Colours) {
            self.validate_colours()?;
        }
        self.splits().try_for_each(|(split, files)| {
            let things = self.classes.iter().any(|class| class.thing);
            if files.instances().is_some() && !things {
                return Err(DescriptionError::NoThing { split });
            }
            files.validate(split)
        })
    }

    /// True when a split has label maps of such values.
    fn label_values(&self, values: LabelValues) -> bool {
        self.splits()
            .any(|(_, files)| files.label_values() == values)
    }

    fn validate_colours(&self) -> Result<(), DescriptionError> {
        let table = self.class_table().classes;
        for (index, second) in table.iter().enumerate() {
            if let Some(first) = table[..index]
                .iter()
                .find(|first| first.colour == second.colour)
            {
                return Err(DescriptionError::DuplicateColour {
                    first: first.name.clone(),
                    second: second.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn validate_names(&self) -> Result<(), DescriptionError> {
        let mut names = vec![VOID];
        for class in &self.classes {
            non_empty("class.name", &class.name, "write the name of the class")?;
            if names.contains(&class.name.as_str()) {
                return Err(DescriptionError::DuplicateName {
                    name: class.name.clone(),
                });
            }
            names.push(&class.name);
        }
        Ok(())
    }

    fn validate_ids(&self) -> Result<(), DescriptionError> {
        let key = |index: usize| match index {
            0 => VOID.to_string(),
            _ => format!("class.{}.ids", self.classes[index - 1].name),
        };
        let mut owners = [None; 256];
        for (index, ids) in self.ids().enumerate() {
            if ids.is_empty() && index > 0 && self.label_values(LabelValues::Ids) {
                let remedy = "list the ids that mean the class";
                return Err(DescriptionError::Empty {
                    key: key(index),
                    remedy,
                });
            }
            for &id in ids {
                if let Some(first) = owners[usize::from(id)].replace(index) {
                    let (first, second) = (key(first), key(index));
                    return Err(DescriptionError::DuplicateId { id, first, second });
                }
            }
        }
        Ok(())
    }

    /// The ids of every class by class index, those of void first.
    fn ids(&self) -> impl Iterator<Item = &[u8]> {
        let classes = self.classes.iter().map(|class| class.ids.as_slice());
        std::iter::once(self.void.as_slice()).chain(classes)
    }

    /// The class index of every id; `None` for an id that is not described.
    pub fn class_of_id(&self) -> [Option<u8>; 256] {
        let mut map = [None; 256];
        for (index, ids) in (0..=u8::MAX).zip(self.ids()) {
            ids.iter()
                .for_each(|&id| map[usize::from(id)] = Some(index));
        }
        map
    }

    /// The class index of every colour of [`Description::class_table`].
    pub fn class_of_colour(&self) -> HashMap<[u8; 3], u8> {
        let colours = self.class_table().classes.into_iter();
        colours.map(|class| class.colour).zip(0..=u8::MAX).collect()
    }

    /// The class table: void in black, then the described classes.
    pub fn class_table(&self) -> ClassTable {
        let void = Class {
            name: VOID.to_string(),
            colour: [0, 0, 0],
            thing: false,
        };
        let classes = self.classes.iter().map(|class| Class {
            name: class.name.clone(),
            colour: class.colour,
            thing: class.thing,
        });
        ClassTable {
            classes: std::iter::once(void).chain(classes).collect(),
        }
    }

    /// The described splits in the usual order.
    pub fn splits(&self) -> impl Iterator<Item = (Split, &SplitFiles)> {
        let files = |split: Split| Some((split, self.files(split)?));
        Split::all().filter_map(files)
    }

    /// How the files of a split are found, `None` when the split is not described.
    pub fn files(&self, split: Split) -> Option<&SplitFiles> {
        match split {
            Split::Train => self.train.as_ref(),
            Split::Validation => self.validation.as_ref(),
            Split::Test => self.test.as_ref(),
        }
    }
}

fn non_empty(key: &str, text: &str, remedy: &'static str) -> Result<(), DescriptionError> {
    if text.is_empty() {
        return Err(DescriptionError::Empty {
            key: key.to_string(),
            remedy,
        });
    }
    Ok(())
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
