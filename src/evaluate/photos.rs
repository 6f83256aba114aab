//! The photos and label maps that images are judged against.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dp_sims_datasets::files::Pair;
use dp_sims_datasets::{
    ClassTable, DescribedFolder, Description, LabelledImages, Sample, Size, Split,
};
use sha2::{Digest, Sha256};

use crate::data::{checked, checks_folder, scenes};
use crate::runtime::files::hex;

/// A split at one size, in its order.
#[derive(Clone)]
pub struct Photos {
    images: Arc<dyn LabelledImages>,
    /// Names that an image of every label map may have; none for procedural scenes, which have no files.
    names: Option<Vec<Vec<String>>>,
    /// State of the files, which statistics of the photos are remembered under.
    fingerprint: Option<String>,
    split: Split,
    size: Size,
    used: usize,
}

impl Photos {
    /// Opens a split and checks its label maps, unless that was done before.
    ///
    /// `split` falls back to the training split where the dataset has no such split. `limit` takes
    /// the first images only.
    ///
    /// # Errors
    /// The first faulty file; a dataset without its folder.
    pub fn open(
        description: &Description,
        root: Option<&Path>,
        split: Split,
        size: Size,
        offsets: bool,
        limit: Option<usize>,
    ) -> Result<Self> {
        if description.train.is_none() {
            let images = scenes(split).context("the procedural scenes have no such split")?;
            return Self::new(Arc::new(images), None, None, split, size, limit);
        }
        let root = root.with_context(|| {
            format!(
                "dataset `{}` needs its folder: add --data DIR",
                description.name
            )
        })?;
        let split = if description.files(split).is_some() {
            split
        } else {
            Split::Train
        };
        let mut folder = DescribedFolder::open(description, root, split)?;
        checked(&folder, &checks_folder())?;
        if offsets {
            folder = folder.with_instances()?;
        }
        let names = folder.pairs().iter().map(Pair::image_names).collect();
        let fingerprint = dp_sims_datasets::check::fingerprint(&folder)?;
        Self::new(
            Arc::new(folder),
            Some(names),
            Some(fingerprint),
            split,
            size,
            limit,
        )
    }

    /// A split that is open already, such as that of a training run.
    pub fn of(
        images: Arc<dyn LabelledImages>,
        split: Split,
        size: Size,
        limit: Option<usize>,
    ) -> Result<Self> {
        Self::new(images, None, None, split, size, limit)
    }

    fn new(
        images: Arc<dyn LabelledImages>,
        names: Option<Vec<Vec<String>>>,
        fingerprint: Option<String>,
        split: Split,
        size: Size,
        limit: Option<usize>,
    ) -> Result<Self> {
        let used = images.len().min(limit.unwrap_or(usize::MAX));
        ensure!(
            used > 0,
            "there is no image to evaluate on: --limit must be at least 1"
        );
        Ok(Self {
            images,
            names,
            fingerprint,
            split,
            size,
            used,
        })
    }

    /// The same photos at another size.
    pub fn at(self, size: Size) -> Self {
        Self { size, ..self }
    }

    /// Images that are used.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there are none; never the case.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Images of the split.
    pub fn all(&self) -> usize {
        self.images.len()
    }

    /// Name of the dataset.
    pub fn dataset(&self) -> &str {
        self.images.name()
    }

    /// The split.
    pub fn split(&self) -> Split {
        self.split
    }

    /// Size of every sample.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The classes.
    pub fn classes(&self) -> &ClassTable {
        self.images.classes()
    }

    /// Names that the images of the label maps that are used may have, of a dataset with files.
    pub fn names(&self) -> Option<&[Vec<String>]> {
        self.names.as_ref().map(|names| &names[..self.used])
    }

    /// A photo with its label map.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn sample(&self, index: usize) -> Result<Sample> {
        Ok(self.images.sample(index, self.size)?)
    }

    /// A name for statistics of these photos: other photos, another size or another number of them
    /// have another name. None for photos that may change unseen.
    pub fn cache_name(&self) -> Option<String> {
        let fingerprint = self.fingerprint.as_ref()?;
        let size = self.size;
        Some(format!(
            "{}-{}x{}-{}",
            &fingerprint[..32],
            size.height,
            size.width,
            self.used
        ))
    }
}

/// Folder in which statistics of photos are remembered: `dp-sims/statistics` in the user's cache.
pub fn statistics_folder() -> PathBuf {
    dirs::cache_dir()
        .unwrap_or_else(std::env::temp_dir)
        .join("dp-sims/statistics")
}

/// SHA-256 over samples in their order.
#[derive(Default)]
pub struct SampleHash {
    hasher: Sha256,
}

impl SampleHash {
    /// Takes in parts, such as name, label map and photo of a sample. The length in front of every
    /// part keeps neighbours from running into each other.
    pub fn add(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.hasher.update((part.len() as u64).to_le_bytes());
            self.hasher.update(part);
        }
    }

    /// In hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.hasher.finalize())
    }
}
