use crate::split::Split;

/// Largest number of classes beside void that fits into `u8` class indices.
pub(crate) const MAX_CLASSES: usize = 255;

/// What is wrong with a dataset description.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// Not TOML, or a key is unknown, missing or of the wrong type.
    #[error("{0}")]
    Syntax(Box<toml::de::Error>),
    /// A key that needs a text has none.
    #[error("key `{key}` is empty: {remedy}")]
    Empty {
        /// The key.
        key: String,
        /// What to write there.
        remedy: &'static str,
    },
    /// There are more classes than `u8` indices.
    #[error("key `class` has {count} tables, at most {MAX_CLASSES} fit beside void: merge classes")]
    TooManyClasses {
        /// Number of classes described.
        count: usize,
    },
    /// Two classes have the same name, or one is called `void`.
    #[error("key `class.name`: the name `{name}` is already taken: give every class its own name")]
    DuplicateName {
        /// The repeated name.
        name: String,
    },
    /// An id means two things.
    #[error("the id {id} is in `{first}` and in `{second}`: remove it from one of them")]
    DuplicateId {
        /// The repeated id.
        id: u8,
        /// The key with the first occurrence.
        first: String,
        /// The key with the second occurrence.
        second: String,
    },
    /// Label maps are told by colours, but two classes have the same one.
    #[error(
        "the classes `{first}` and `{second}` have the same colour, but `label_values` of a split \
         is \"colours\": give every class a colour of its own, void has black"
    )]
    DuplicateColour {
        /// The class with the first occurrence.
        first: String,
        /// The class with the second occurrence.
        second: String,
    },
    /// Value 0 of an instance PNG would be an instance.
    #[error("key `{key}` is 0, which always means no instance: write the smallest instance value")]
    FirstInstance {
        /// The key.
        key: String,
    },
    /// Instances are described, but no class has any.
    #[error("key `{split}.folders.instances` needs a thing: set `thing = true` in its [[class]]")]
    NoThing {
        /// The split with instances.
        split: Split,
    },
    /// No split has files.
    #[error("keys `train`, `validation` and `test` are all missing: describe at least one split")]
    NoSplit,
}
