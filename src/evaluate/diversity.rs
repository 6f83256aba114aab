//! LPIPS: how far samples of a label map are from each other, and from the photo.

use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use dp_sims_datasets::{Sample, Size};
use dp_sims_evaluators::{Lpips, LpipsTrunk};
use dp_sims_model::generator::Generator;
use dp_sims_model::layers::Mode;
use indicatif::ProgressBar;

use super::networks::{NetworkFolder, Weighted};
use super::photos::Photos;
use super::protocol::LpipsSettings;
use super::results::{NetworkRecord, Value};
use super::source::maps;
use super::together::{Rounds, Together};
use crate::runtime::device::read;
use crate::runtime::noise::{Purpose, SeededDraws, latents};

/// Samples that are made at once.
const AT_ONCE: usize = 4;

/// LPIPS of image pairs.
pub struct LpipsMeter<B: Backend> {
    network: Lpips<B>,
    record: NetworkRecord,
    samples: usize,
    family: &'static str,
    distances: Vec<f64>,
}

impl<B: Backend> LpipsMeter<B> {
    /// Loads the network.
    ///
    /// # Errors
    /// When weights are missing or images of this size are too small for it.
    pub fn new(
        settings: &LpipsSettings,
        size: Size,
        folder: &NetworkFolder,
        device: &B::Device,
    ) -> Result<Self> {
        let trunk = settings.trunk.into();
        large_enough(trunk, size)?;
        let (Weighted { network, record }, is_published) = folder.lpips(trunk, device)?;
        if !is_published {
            tracing::warn!(
                "{} is not there: distances in the features of another VGG-16 are called \
                 perceptual, not LPIPS",
                trunk.file().name
            );
        }
        Ok(Self {
            network,
            record,
            samples: settings.samples,
            family: if is_published { "lpips" } else { "perceptual" },
            distances: Vec::new(),
        })
    }

    /// Loads VGG-16 for [`Self::diversity`] without the weights of LPIPS: the squared distance of
    /// feature vectors of length one, averaged over positions and taps. Any VGG-16 will do, but values
    /// of different files cannot be compared.
    ///
    /// # Errors
    /// When weights are missing or images of this size are too small for it.
    pub fn even(
        settings: &LpipsSettings,
        size: Size,
        folder: &NetworkFolder,
        device: &B::Device,
    ) -> Result<Self> {
        large_enough(LpipsTrunk::Vgg, size)?;
        let Weighted { network, record } = folder.even_vgg(device)?;
        Ok(Self {
            network,
            record,
            samples: settings.samples,
            family: "even",
            distances: Vec::new(),
        })
    }

    /// Its name and weight files.
    pub fn record(&self) -> &NetworkRecord {
        &self.record
    }

    /// Forgets what was taken in.
    pub fn begin(&mut self) {
        self.distances.clear();
    }

    /// Distances between images and their photos.
    ///
    /// # Shapes
    /// - both: `[N, 3, H, W]` in [-1, 1]
    ///
    /// # Errors
    /// When the device fails.
    pub fn distances(&self, photos: Tensor<B, 4>, images: Tensor<B, 4>) -> Result<Vec<f32>> {
        let (photos, images) = (self.network.features(photos), self.network.features(images));
        numbers(self.network.distance(&photos, &images))
    }

    /// Takes in distances.
    pub fn take(&mut self, distances: &[f32]) {
        self.distances
            .extend(distances.iter().copied().map(f64::from));
    }

    /// Name of a value: distances in the features of another trunk are not called LPIPS.
    pub fn value_name(&self, what: &str) -> String {
        format!("{}-{what}", self.family)
    }

    /// Mean distance to the photo of what was taken in.
    pub fn finish(&self) -> Option<Value> {
        mean(&self.distances)
    }

    /// Mean distance of all pairs of samples of a label map, over all label maps (Table 9), which ranks divide
    /// among them; on all but the first, none. Sample k of every label map has the same noise.
    ///
    /// Costs `samples` images and as many passes of the network per label map, whose features are all
    /// kept until the label map is done: 32 MB a sample with VGG at 256 × 256.
    ///
    /// # Errors
    /// When a label map cannot be read or the device fails.
    pub fn diversity(
        &self,
        photos: &Photos,
        generator: &mut Generator<B>,
        seed: u64,
        bar: &ProgressBar,
        together: &Together<'_>,
        device: &B::Device,
    ) -> Result<Option<Value>> {
        let draws = SeededDraws { seed };
        let mut diversities = Vec::with_capacity(photos.len());
        let mut rounds = Rounds::new(together, photos.len(), 1);
        while rounds.next(
            &mut diversities,
            |_, index| {
                let found = self.diversity_of(&photos.sample(index)?, generator, &draws, device);
                bar.set_position(index as u64 + 1);
                found
            },
            |diversities, _, found| {
                diversities.extend(found.iter().copied().map(f64::from));
                Ok(())
            },
        )? {}
        Ok(mean(&diversities))
    }

    /// That of one label map, as the only number.
    fn diversity_of(
        &self,
        sample: &Sample,
        generator: &mut Generator<B>,
        draws: &SeededDraws,
        device: &B::Device,
    ) -> Result<Vec<f32>> {
        let mut features = Vec::with_capacity(self.samples);
        let mut first = 0;
        while first < self.samples {
            let last = self.samples.min(first + AT_ONCE);
            let maps = maps::<B>(std::slice::from_ref(sample), device);
            let rows = (first..last)
                .map(|k| {
                    let shape = [1, generator.latent_dim()];
                    latents(draws, k as u64, Purpose::Diversity, shape, device)
                })
                .collect();
            let images = generator.forward(maps, Tensor::cat(rows, 0), Mode::Eval);
            features.push(self.network.features(images));
            first = last;
        }
        let found = self.network.pairwise(&features);
        numbers(found.context("fewer than two samples")?)
    }
}

fn large_enough(trunk: LpipsTrunk, size: Size) -> Result<()> {
    let least = trunk.min_size();
    ensure!(
        size.height >= least && size.width >= least,
        "{} needs images of at least {least}x{least} pixels, these are {size}",
        trunk.name()
    );
    Ok(())
}

/// Mean with its standard error over images.
fn mean(values: &[f64]) -> Option<Value> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (!values.is_empty()).then(|| Value {
        value: mean,
        standard_error: (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt()),
        count: values.len() as u64,
    })
}

fn numbers<B: Backend>(tensor: Tensor<B, 1>) -> Result<Vec<f32>> {
    Ok(read(tensor)?.iter::<f32>().collect())
}
