//! The vocabulary of the crate: samples, sizes, classes, splits and the dataset trait.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::DatasetError;

mod class_set;

pub use class_set::ClassSet;

/// A photo with its label map, both of the same size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Name of the image inside its dataset, the file stem for files.
    pub name: String,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// RGB photo, row-major `[height, width, 3]`.
    pub image: Vec<u8>,
    /// Class index of every pixel, row-major `[height, width]`; 0 is void.
    pub labels: Vec<u8>,
    /// Instance number of every pixel, row-major `[height, width]`; 0 is no instance.
    pub instances: Option<Vec<u16>>,
}

impl Sample {
    /// Mirrors photo, label map and instances horizontally.
    pub fn mirror(&mut self) {
        mirror(&mut self.image, self.width * 3);
        // The pixels of the photo are in their new places, but their channels are reversed.
        self.image.chunks_exact_mut(3).for_each(<[u8]>::reverse);
        mirror(&mut self.labels, self.width);
        if let Some(instances) = &mut self.instances {
            mirror(instances, self.width);
        }
    }
}

impl Sample {
    /// Keeps the pixels from row `top` and column `left` on that make up `size`, of photo, label map
    /// and instances. A place beyond the edge is moved inside.
    pub fn crop(&mut self, top: usize, left: usize, size: Size) {
        let from = Size::new(self.height, self.width);
        let size = Size::new(size.height.min(from.height), size.width.min(from.width));
        let (top, left) = (
            top.min(from.height - size.height),
            left.min(from.width - size.width),
        );
        cut(&mut self.image, from, (top, left), size, 3);
        cut(&mut self.labels, from, (top, left), size, 1);
        if let Some(instances) = &mut self.instances {
            cut(instances, from, (top, left), size, 1);
        }
        (self.height, self.width) = (size.height, size.width);
    }
}

/// Moves the rows of a cut to the front, where nothing is left to be read, and drops the rest.
fn cut<T: Copy>(
    values: &mut Vec<T>,
    from: Size,
    (top, left): (usize, usize),
    size: Size,
    channels: usize,
) {
    let (row, step) = (size.width * channels, from.width * channels);
    for line in 0..size.height {
        let start = (top + line) * step + left * channels;
        values.copy_within(start..start + row, line * row);
    }
    values.truncate(size.height * row);
}

/// Reverses the order of the values in every row.
fn mirror<T>(values: &mut [T], row: usize) {
    values.chunks_exact_mut(row).for_each(<[T]>::reverse);
}

/// Height and width of an image in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl Size {
    /// A size of `height` by `width` pixels.
    pub fn new(height: usize, width: usize) -> Self {
        Self { height, width }
    }

    /// A square size of `side` by `side` pixels.
    pub fn square(side: usize) -> Self {
        Self::new(side, side)
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{} (height x width)", self.height, self.width)
    }
}

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

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Images to train on.
    Train,
    /// Images to choose settings on.
    Validation,
    /// Images to report figures on.
    Test,
}

impl Split {
    /// Every split, in the usual order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name under which descriptions and the command line know the split.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Split {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|split| split.name() == text)
            .ok_or_else(|| DatasetError::UnknownSplit {
                name: text.to_string(),
            })
    }
}

/// A dataset of photos with label maps, readable from several threads at once.
pub trait LabelledImages: Send + Sync {
    /// Name of the dataset.
    fn name(&self) -> &str;

    /// Number of images.
    fn len(&self) -> usize;

    /// True when the dataset has no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes; every label of every sample is an index into this table.
    fn classes(&self) -> &ClassTable;

    /// The photo and the label map of image `index`, both at `size`.
    ///
    /// # Errors
    /// When `index` is outside the dataset, `size` has no pixel, or a file cannot be read.
    fn sample(&self, index: usize, size: Size) -> Result<Sample, DatasetError>;

    /// The classes in the full-resolution label map of image `index`, void included.
    ///
    /// # Errors
    /// When `index` is outside the dataset or a file cannot be read.
    fn present(&self, index: usize) -> Result<ClassSet, DatasetError>;

    /// Most bytes that decoding one image takes beside its sample; 0 where nothing is decoded.
    fn decoding(&self) -> u64 {
        0
    }
}

/// A view of a labelled dataset at one size as a [`burn_dataset::Dataset`].
///
/// burn's trait cannot carry an error, so an unreadable sample becomes the item `Some(Err(..))`
/// and only an index past the end becomes `None`.
#[derive(Clone)]
pub struct SizedDataset {
    dataset: Arc<dyn LabelledImages>,
    size: Size,
}

impl SizedDataset {
    /// Views `dataset` at `size`.
    pub fn new(dataset: Arc<dyn LabelledImages>, size: Size) -> Self {
        Self { dataset, size }
    }
}

impl burn_dataset::Dataset<Result<Sample, DatasetError>> for SizedDataset {
    fn get(&self, index: usize) -> Option<Result<Sample, DatasetError>> {
        (index < self.dataset.len()).then(|| self.dataset.sample(index, self.size))
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_cut_photo_labels_and_instances_alike() {
        let mut sample = Sample {
            name: String::new(),
            width: 3,
            height: 3,
            image: (0..27).collect(),
            labels: (0..9).collect(),
            instances: Some((0..9).map(|value| value * 1000).collect()),
        };
        sample.crop(1, 1, Size::new(2, 1));
        assert_eq!((sample.height, sample.width), (2, 1));
        assert_eq!(sample.image, [12, 13, 14, 21, 22, 23]);
        assert_eq!(sample.labels, [4, 7]);
        assert_eq!(sample.instances, Some(vec![4000, 7000]));
        sample.crop(5, 5, Size::new(1, 4));
        assert_eq!(sample.labels, [7]);
    }

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

    #[test]
    fn splits_have_names() {
        for split in Split::ALL {
            assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
            assert_eq!(
                serde_json::to_string(&split).unwrap(),
                format!("\"{split}\"")
            );
        }
        let message = "val".parse::<Split>().unwrap_err().to_string();
        assert!(
            message.contains("`val`") && message.contains("validation"),
            "{message}"
        );
    }
}
