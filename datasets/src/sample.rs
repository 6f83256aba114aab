//! Samples, and the trait of what yields them.

use std::sync::Arc;

use crate::class::{ClassSet, ClassTable};
use crate::error::DatasetError;
use crate::size::Size;

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
}
