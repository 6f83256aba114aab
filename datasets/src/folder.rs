//! A dataset read from the folders of a [`Description`].

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use image::{ImageError, ImageReader};

use crate::description::{Description, SplitFiles};
use crate::error::DatasetError;
use crate::files::{Pair, find_pairs};
use crate::labels::{LabelMap, read_labels_with};
use crate::resize::{check_size, resize_labels, resize_photo};
use crate::sample::{ClassSet, ClassTable, LabelledImages, Sample, Size, Split};

/// One split of a described dataset.
#[derive(Clone, Debug)]
pub struct DescribedFolder {
    description: Description,
    split: Split,
    classes: ClassTable,
    class_of_id: [Option<u8>; 256],
    pairs: Vec<Pair>,
}

impl DescribedFolder {
    /// Opens a split: finds its pairs and checks that both files of each exist.
    ///
    /// # Errors
    /// When the description is not valid, has no such split, the split is empty, or a file of a
    /// pair is missing. The contents of the files are not looked at.
    pub fn open(
        description: &Description,
        root: &Path,
        split: Split,
    ) -> Result<Self, DatasetError> {
        description
            .validate()
            .map_err(|source| DatasetError::Description {
                file: PathBuf::from(&description.name),
                source,
            })?;
        let files = description
            .files(split)
            .ok_or_else(|| DatasetError::NoSuchSplit {
                dataset: description.name.clone(),
                split,
            })?;
        let pairs = find_pairs(files, root)?;
        if pairs.is_empty() {
            let path = root.join(match files {
                SplitFiles::List(list) => &list.file,
                SplitFiles::Folders(folders) => &folders.images,
            });
            return Err(DatasetError::EmptySplit { split, path });
        }
        Ok(Self {
            split,
            classes: description.class_table(),
            class_of_id: description.class_of_id(),
            pairs,
            description: description.clone(),
        })
    }

    /// The description the folder was opened with.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The split that was opened.
    pub fn split(&self) -> Split {
        self.split
    }

    /// The files of the split in dataset order.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The label map of image `index` at full resolution, checked against the size of its photo.
    ///
    /// Of the photo only the header is read.
    ///
    /// # Errors
    /// When `index` is outside the split, a file is damaged, an id is unknown or the sizes differ.
    pub fn label_map(&self, index: usize) -> Result<LabelMap, DatasetError> {
        let pair = self.pair(index)?;
        let map = read_labels_with(&pair.labels, &self.class_of_id)?;
        let (width, height) = open_photo(&pair.image)?
            .into_dimensions()
            .map_err(|error| decode_error(&pair.image, error))?;
        same_size(pair, Size::new(height as usize, width as usize), map.size)?;
        Ok(map)
    }

    fn pair(&self, index: usize) -> Result<&Pair, DatasetError> {
        self.pairs.get(index).ok_or_else(|| DatasetError::Index {
            dataset: self.description.name.clone(),
            index,
            len: self.pairs.len(),
        })
    }
}

impl LabelledImages for DescribedFolder {
    fn name(&self) -> &str {
        &self.description.name
    }

    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn classes(&self) -> &ClassTable {
        &self.classes
    }

    fn sample(&self, index: usize, size: Size) -> Result<Sample, DatasetError> {
        check_size(size)?;
        let pair = self.pair(index)?;
        let map = read_labels_with(&pair.labels, &self.class_of_id)?;
        let photo = open_photo(&pair.image)?
            .decode()
            .map_err(|error| decode_error(&pair.image, error))?;
        let photo = photo.into_rgb8();
        let photo_size = Size::new(photo.height() as usize, photo.width() as usize);
        same_size(pair, photo_size, map.size)?;
        Ok(Sample {
            name: pair.name.clone(),
            width: size.width,
            height: size.height,
            image: resize_photo(photo.into_raw(), photo_size, size)?,
            labels: resize_labels(&map.labels, map.size, size)?.into_owned(),
            instances: None,
        })
    }

    fn present(&self, index: usize) -> Result<ClassSet, DatasetError> {
        let pair = self.pair(index)?;
        Ok(ClassSet::of(
            &read_labels_with(&pair.labels, &self.class_of_id)?.labels,
        ))
    }
}

/// Opens a photo and tells its format by its first bytes, whatever its name ends in.
fn open_photo(path: &Path) -> Result<ImageReader<BufReader<File>>, DatasetError> {
    ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|source| DatasetError::Read {
            path: path.to_path_buf(),
            source,
        })
}

fn decode_error(path: &Path, error: ImageError) -> DatasetError {
    DatasetError::Decode {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

fn same_size(pair: &Pair, image_size: Size, label_size: Size) -> Result<(), DatasetError> {
    if image_size == label_size {
        return Ok(());
    }
    Err(DatasetError::SizeMismatch {
        image: pair.image.clone(),
        image_size,
        labels: pair.labels.clone(),
        label_size,
    })
}

#[cfg(test)]
mod tests;
