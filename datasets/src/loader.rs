//! Worker threads that read, flip and stack samples ahead of their use.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use serde::{Deserialize, Serialize};

use crate::class::ClassSet;
use crate::error::DatasetError;
use crate::offsets::offsets;
use crate::resize::check_size;
use crate::sample::{LabelledImages, Sample};
use crate::sampler::{Sampler, crop, flip};
use crate::size::Size;

/// Unreadable images out of this many that a run goes on with.
const READABLE_SHARE: usize = 100;

/// Settings of a [`Loader`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    /// Height and width of every sample, in pixels.
    pub size: Size,
    /// Height and width, in pixels, that images are read at before a place of `size` is cut out of
    /// them at random; neither side smaller than that of `size`. `None` reads them at `size`, which
    /// is what the published training runs did (notes S7, O25).
    pub load: Option<Size>,
    /// Samples per batch, at least 1.
    pub batch: usize,
    /// Number of worker threads, at least 1.
    pub workers: usize,
    /// Finished batches that may wait beside the one each worker holds; divided among the workers,
    /// rounded down.
    pub queue: usize,
    /// Seed of the order and of the flips.
    pub seed: u64,
    /// Mirror every other sample, chosen at random, horizontally.
    pub flip: bool,
    /// Draw images by class-balanced weights instead of once per epoch.
    pub balanced: bool,
    /// Compute the centre offsets of instances; samples without instances have none.
    pub offsets: bool,
    /// Which part of every batch is read.
    #[serde(default)]
    pub share: Share,
}

/// A part of every batch: that of one of several loaders, which read a batch together.
///
/// The batches of all together are those of one loader whose batches are as large, in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Number of the part, from 0.
    pub part: usize,
    /// Parts of a batch, at least 1. [`LoaderConfig::batch`] are the samples of one.
    pub parts: usize,
}

impl Default for Share {
    /// The whole.
    fn default() -> Self {
        Self { part: 0, parts: 1 }
    }
}

/// Consecutive samples, stacked.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// RGB photos, `[len, height, width, 3]`.
    pub images: Vec<u8>,
    /// Class indices, `[len, height, width]`; 0 is void.
    pub labels: Vec<u8>,
    /// Offsets to the centre of the instance, `[len, 2, height, width]`, as [`offsets`] has them;
    /// `None` where they are not asked for.
    pub offsets: Option<Vec<f32>>,
    /// Height and width of every sample, in pixels.
    pub size: Size,
    /// Number of samples.
    pub len: usize,
    /// Names of the samples.
    pub names: Vec<String>,
    /// Position of the first sample in the sequence that the seed stands for.
    pub first_position: u64,
    /// What was wrong with images that could not be read and were not known as such before.
    pub unreadable: Vec<String>,
}

/// An endless, ordered sequence of batches.
///
/// Batch b holds the samples at positions b * batch to (b + 1) * batch - 1; a [`Share`] of it those of its part
/// of the batch that is parts as large. What it holds depends on the dataset, the seed and the settings, not on the number of workers or on timing. In place of
/// an image that cannot be read, the next one of the dataset is taken and the batch says so. When
/// more than one image in a hundred is unreadable, batches become errors. Dropping the loader stops
/// and joins its threads.
pub struct Loader {
    /// Worker w delivers the batches w, w + workers, .. counted from the first one.
    queues: Vec<Receiver<Result<Batch, DatasetError>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    dataset: Arc<dyn LabelledImages>,
    next: usize,
    failed: bool,
}

/// What every worker needs.
struct Source {
    dataset: Arc<dyn LabelledImages>,
    sampler: Sampler,
    config: LoaderConfig,
    stop: Arc<AtomicBool>,
    /// Images that could not be read.
    unreadable: Mutex<BTreeSet<usize>>,
}

impl Loader {
    /// Starts loading at batch number `start_batch`, counted from 0.
    ///
    /// `presence` are the classes of every image in dataset order, needed when the draw is
    /// balanced.
    ///
    /// # Errors
    /// When a setting is 0, the dataset is empty, `presence` is missing or of another length, or a
    /// thread cannot be started.
    pub fn new(
        dataset: Arc<dyn LabelledImages>,
        presence: Option<&[ClassSet]>,
        config: LoaderConfig,
        start_batch: u64,
    ) -> Result<Self, DatasetError> {
        check_size(config.size)?;
        if let Some(load) = config.load {
            check_size(load)?;
            if load.height < config.size.height || load.width < config.size.width {
                let problem = format!("{load} has no room for {}", config.size);
                let field = "load";
                return Err(DatasetError::Setting { field, problem });
            }
        }
        let Share { part, parts } = config.share;
        if part >= parts {
            let problem = format!("has no part {part} of {parts}, counted from 0");
            let field = "share";
            return Err(DatasetError::Setting { field, problem });
        }
        for (field, value) in [("batch", config.batch), ("workers", config.workers)] {
            if value == 0 {
                let problem = "must be at least 1".to_string();
                return Err(DatasetError::Setting { field, problem });
            }
        }
        let sampler = sampler(dataset.as_ref(), presence, &config)?;
        let (workers, capacity) = (config.workers, config.queue / config.workers);
        let stop = Arc::new(AtomicBool::new(false));
        let source = Source {
            dataset: dataset.clone(),
            sampler,
            config,
            stop: stop.clone(),
            unreadable: Mutex::default(),
        };
        let source = Arc::new(source);
        let mut loader = Self {
            queues: Vec::with_capacity(workers),
            threads: Vec::with_capacity(workers),
            stop,
            dataset,
            next: 0,
            failed: false,
        };
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(capacity);
            let source = source.clone();
            let first = start_batch + worker as u64;
            let thread = Builder::new()
                .name(format!("loader-{worker}"))
                .spawn(move || source.deliver(first, &sender))
                .map_err(|source| DatasetError::Thread { source })?;
            loader.queues.push(receiver);
            loader.threads.push(thread);
        }
        Ok(loader)
    }
}

fn sampler(
    dataset: &dyn LabelledImages,
    presence: Option<&[ClassSet]>,
    config: &LoaderConfig,
) -> Result<Sampler, DatasetError> {
    if !config.balanced {
        return Sampler::permuted(dataset.len(), config.seed);
    }
    let setting = |problem| DatasetError::Setting {
        field: "balanced",
        problem,
    };
    let presence = presence.ok_or_else(|| {
        setting("needs the classes of every image: check the dataset first".to_string())
    })?;
    if presence.len() != dataset.len() {
        return Err(setting(format!(
            "has the classes of {} images, but the dataset has {}: check the dataset again",
            presence.len(),
            dataset.len()
        )));
    }
    Sampler::balanced(presence, config.seed)
}

impl Source {
    /// Sends the batches `first`, `first + workers`, .. until the loader is dropped.
    fn deliver(&self, first: u64, sender: &SyncSender<Result<Batch, DatasetError>>) {
        for number in (first..).step_by(self.config.workers) {
            let Some(batch) = self.batch(number) else {
                return;
            };
            if sender.send(batch).is_err() {
                return;
            }
        }
    }

    /// Reads a batch; `None` when the loader is dropped meanwhile.
    fn batch(&self, number: u64) -> Option<Result<Batch, DatasetError>> {
        let LoaderConfig {
            size,
            batch: len,
            share,
            ..
        } = self.config;
        let before = number * share.parts as u64 + share.part as u64;
        let first_position = before * len as u64;
        let pixels = len * size.pixels();
        let mut batch = Batch {
            images: Vec::with_capacity(3 * pixels),
            labels: Vec::with_capacity(pixels),
            offsets: self.config.offsets.then(|| Vec::with_capacity(2 * pixels)),
            size,
            len,
            names: Vec::with_capacity(len),
            first_position,
            unreadable: Vec::new(),
        };
        let positions = first_position..first_position + len as u64;
        for (position, index) in positions.clone().zip(self.sampler.indices(positions)) {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let mut sample = match self.sample(position, index, &mut batch.unreadable) {
                Ok(sample) => sample,
                Err(error) => return Some(Err(error)),
            };
            if let Some(all) = &mut batch.offsets {
                match &sample.instances {
                    Some(instances) => all.append(&mut offsets(instances, size)),
                    None => all.resize(all.len() + 2 * size.pixels(), 0.0),
                }
            }
            batch.images.append(&mut sample.image);
            batch.labels.append(&mut sample.labels);
            batch.names.push(sample.name);
        }
        Some(Ok(batch))
    }

    /// The sample at a position of the sequence, cut and mirrored: image `index`, or the next one that
    /// can be read.
    fn sample(
        &self,
        position: u64,
        mut index: usize,
        unreadable: &mut Vec<String>,
    ) -> Result<Sample, DatasetError> {
        let LoaderConfig { size, seed, .. } = self.config;
        let load = self.config.load.unwrap_or(size);
        // Ends, since every turn finds another unreadable image and there may not be many.
        let mut sample = loop {
            match self.dataset.sample(index, load) {
                Ok(sample) => break sample,
                Err(error) => unreadable.extend(self.pass_over(index, error)?),
            }
            index = (index + 1) % self.dataset.len();
        };
        if load != size {
            let (top, left) = crop(seed, position, load, size);
            sample.crop(top, left, size);
        }
        if self.config.flip && flip(seed, position) {
            sample.mirror();
        }
        Ok(sample)
    }

    /// Notes that an image cannot be read: what there is to say, if it is new.
    fn pass_over(&self, index: usize, error: DatasetError) -> Result<Option<String>, DatasetError> {
        let images = self.dataset.len();
        let mut known = self
            .unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let new = known.insert(index);
        let unreadable = known.len();
        drop(known);
        if unreadable * READABLE_SHARE > images {
            return Err(DatasetError::Unreadable {
                unreadable,
                images,
                source: Box::new(error),
            });
        }
        Ok(new.then(|| {
            let cause = std::error::Error::source(&error);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            format!("{error}{cause}; another image takes its place ({unreadable} of {images})")
        }))
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let queue = &self.queues[self.next];
        self.next = (self.next + 1) % self.queues.len();
        Some(queue.recv().unwrap_or_else(|_| {
            // Only a panic of the dataset ends a worker before the loader is dropped.
            self.failed = true;
            Err(DatasetError::Worker {
                dataset: self.dataset.name().to_string(),
            })
        }))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A worker that waits for room in its queue wakes up when the queue is gone.
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // A panic in a worker was reported as an error in its place.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
