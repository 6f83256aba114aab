//! A dataset read from the folders of a [`Description`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::budget::{decoding_bytes, room};
use crate::class::{ClassSet, ClassTable};
use crate::description::{Description, SplitFiles};
use crate::error::DatasetError;
use crate::files::{OnFault, Pair, find_pairs};
use crate::instances::InstanceMaps;
use crate::labels::{LabelCode, LabelMap, LabelReader};
use crate::photo::{PhotoSize, photo_size, read_photo, read_reduced_photo};
use crate::resize::{check_size, resize_labels, resize_photo};
use crate::sample::{LabelledImages, Sample};
use crate::size::Size;
use crate::split::Split;

/// One split of a described dataset.
#[derive(Clone, Debug)]
pub struct DescribedFolder {
    description: Description,
    split: Split,
    classes: ClassTable,
    labels: LabelReader,
    root: PathBuf,
    pairs: Vec<Pair>,
    instances: Option<InstanceMaps>,
    reduces: bool,
    /// Bytes that decoding a pair takes and one more; 0 where its headers have not been read yet.
    decoding: Arc<[AtomicU64]>,
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
        let folder = Self::open_with(description, root, split, &mut Err)?;
        if folder.pairs.is_empty() {
            return Err(folder.empty());
        }
        Ok(folder)
    }

    /// Opens a split, possibly without a pair, and lets `fault` decide about its faults.
    ///
    /// # Errors
    /// When the description is not valid or has no such split, and those that `fault` gives back.
    pub fn open_with(
        description: &Description,
        root: &Path,
        split: Split,
        fault: &mut OnFault,
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
        let pairs = find_pairs(files, root, fault)?;
        Ok(Self {
            split,
            classes: description.class_table(),
            labels: LabelReader::of(LabelCode::new(description, files.label_values())),
            root: root.to_path_buf(),
            decoding: pairs.iter().map(|_| AtomicU64::new(0)).collect(),
            pairs,
            instances: None,
            reduces: false,
            description: description.clone(),
        })
    }

    /// The error of a split without a pair.
    pub fn empty(&self) -> DatasetError {
        let place = match self.description.files(self.split) {
            Some(SplitFiles::List(list)) => list.file.as_path(),
            Some(SplitFiles::Folders(folders)) => folders.images.as_path(),
            None => Path::new(""),
        };
        DatasetError::EmptySplit {
            split: self.split,
            path: self.root.join(place),
        }
    }

    /// Reads the instances of things too, from the source that the description names.
    ///
    /// Samples then have instance numbers. For sources with a JSON file the whole file is read now.
    ///
    /// # Errors
    /// When no source is described, a JSON file is not valid, or an image has no instance map or
    /// entry.
    pub fn with_instances(mut self) -> Result<Self, DatasetError> {
        let files = self.description.files(self.split);
        let source = files.and_then(SplitFiles::instances);
        let source = source.ok_or_else(|| DatasetError::NoInstances {
            dataset: self.description.name.clone(),
            split: self.split,
        })?;
        let class_of_id = self.description.class_of_id();
        let maps = InstanceMaps::open(source, &self.root, &self.pairs, class_of_id)?;
        self.instances = Some(maps);
        Ok(self)
    }

    /// Decodes JPEGs that are many times larger than the sample at a fraction of their size: faster
    /// for photos of several megapixels, and off by a few levels from the exact resize.
    pub fn with_reduced_photos(mut self) -> Self {
        self.reduces = true;
        self
    }

    /// The description the folder was opened with.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The split that was opened.
    pub fn split(&self) -> Split {
        self.split
    }

    /// Whether samples have instance numbers.
    pub fn has_instances(&self) -> bool {
        self.instances.is_some()
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
        let map = self.labels.read(&pair.labels)?;
        same_size(pair, photo_size(&pair.image)?, map.size)?;
        Ok(map)
    }

    /// Photo, label map and instances of image `index` as they are on disk, but for the photo that
    /// may be reduced for a sample of `size`.
    ///
    /// # Errors
    /// When `index` is outside the split, a file is damaged, an id is unknown or the sizes differ.
    pub fn decode(&self, index: usize, size: Size) -> Result<Decoded, DatasetError> {
        let pair = self.pair(index)?;
        let map = self.labels.read(&pair.labels)?;
        let (photo, stored, photo_size) = if self.reduces {
            read_reduced_photo(&pair.image, size)?
        } else {
            let (photo, stored) = read_photo(&pair.image)?;
            (photo, stored, stored.upright)
        };
        same_size(pair, stored, map.size)?;
        Ok(Decoded {
            name: pair.name.clone(),
            instances: self.instances(index, pair, &map)?,
            photo,
            photo_size,
            map,
        })
    }

    /// What the pixels of the label maps mean.
    pub fn code(&self) -> &LabelCode {
        self.labels.code()
    }

    /// Instance number of every pixel of a thing at full resolution, if instances are read.
    pub fn instances(
        &self,
        index: usize,
        pair: &Pair,
        map: &LabelMap,
    ) -> Result<Option<Vec<u16>>, DatasetError> {
        let Some(maps) = &self.instances else {
            return Ok(None);
        };
        let mut instances = maps.read(index, map, &pair.labels)?;
        for (instance, &label) in instances.iter_mut().zip(&map.labels) {
            if !self.classes.classes[usize::from(label)].thing {
                *instance = 0;
            }
        }
        Ok(Some(instances))
    }

    /// Bytes that decoding a pair takes. Headers are read once.
    fn decoding_of(&self, index: usize) -> Result<u64, DatasetError> {
        let pair = self.pair(index)?;
        let known = &self.decoding[index];
        if let Some(bytes) = known.load(Ordering::Relaxed).checked_sub(1) {
            return Ok(bytes);
        }
        let bytes = decoding_bytes(pair);
        known.store(bytes.saturating_add(1), Ordering::Relaxed);
        Ok(bytes)
    }

    fn pair(&self, index: usize) -> Result<&Pair, DatasetError> {
        let pair = self.pairs.get(index);
        pair.ok_or_else(|| DatasetError::index(self.name(), index, self.len()))
    }
}

/// A pair as it is on disk.
#[derive(Clone, Debug)]
pub struct Decoded {
    name: String,
    photo: Vec<u8>,
    photo_size: Size,
    map: LabelMap,
    instances: Option<Vec<u16>>,
}

impl Decoded {
    /// The sample of a size.
    ///
    /// # Errors
    /// When `size` has no pixel or is too large.
    pub fn resize(self, size: Size) -> Result<Sample, DatasetError> {
        let from = self.map.size;
        let resized = |instances: Vec<u16>| {
            resize_labels(&instances, from, size).map(|resized| resized.into_owned())
        };
        Ok(Sample {
            name: self.name,
            width: size.width,
            height: size.height,
            image: resize_photo(self.photo, self.photo_size, size)?,
            labels: resize_labels(&self.map.labels, from, size)?.into_owned(),
            instances: self.instances.map(resized).transpose()?,
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
        // Threads that read large photos at once would take all the memory there is.
        let _room = room(self.decoding_of(index)?);
        self.decode(index, size)?.resize(size)
    }

    fn present(&self, index: usize) -> Result<ClassSet, DatasetError> {
        let pair = self.pair(index)?;
        Ok(ClassSet::of(&self.labels.read(&pair.labels)?.labels))
    }

    fn decoding(&self) -> u64 {
        let all = (0..self.pairs.len()).into_par_iter();
        let all = all.filter_map(|index| self.decoding_of(index).ok());
        all.max().unwrap_or(0)
    }
}

/// Checks the size of a label map against that of its photo.
///
/// # Errors
/// When they differ.
pub fn same_size(pair: &Pair, photo: PhotoSize, label_size: Size) -> Result<(), DatasetError> {
    let (image, labels) = (pair.image.clone(), pair.labels.clone());
    if photo.upright == label_size {
        Ok(())
    } else if photo.stored == label_size {
        Err(DatasetError::Turned { image, labels })
    } else {
        Err(DatasetError::SizeMismatch {
            image,
            image_size: photo.upright,
            labels,
            label_size,
        })
    }
}

#[cfg(test)]
mod tests;
