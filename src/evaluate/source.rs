//! Where judged images come from.

use anyhow::Result;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use dp_sims_datasets::{Sample, Size};
use dp_sims_model::generator::Generator;
use dp_sims_model::layers::{LabelMaps, Mode};

use super::images::ImageFolder;
use super::photos::SampleHash;
use crate::runtime::batch::{image_tensor, label_maps, to_rgb};
use crate::runtime::noise::{Purpose, SeededDraws, latents};

/// Images that are judged.
pub enum Source<'a, B: Backend> {
    /// Made by a generator, one per label map; the latent is a function of (seed, index).
    Generator {
        /// The averaged generator.
        generator: &'a mut Generator<B>,
        /// Seed of the noise.
        seed: u64,
    },
    /// Read from files.
    Folder(&'a ImageFolder),
}

/// Judged images in both forms they are needed in.
pub struct Images<B: Backend> {
    /// As they came from the generator, `[N, 3, H, W]` in [-1, 1].
    pub float: Tensor<B, 4>,
    /// Rounded to 8 bits, `[H, W, 3]` each.
    pub bytes: Vec<Vec<u8>>,
}

impl<B: Backend> Source<'_, B> {
    /// The images of consecutive label maps from number `first` on.
    ///
    /// # Errors
    /// When a file cannot be read or the device fails.
    pub fn images(
        &mut self,
        samples: &[Sample],
        first: usize,
        device: &B::Device,
    ) -> Result<Images<B>> {
        match self {
            Self::Generator { generator, seed } => {
                let draws = SeededDraws { seed: *seed };
                let rows = (first..first + samples.len())
                    .map(|index| {
                        let shape = [1, generator.latent_dim()];
                        latents(&draws, index as u64, Purpose::Evaluate, shape, device)
                    })
                    .collect();
                let float =
                    generator.forward(maps(samples, device), Tensor::cat(rows, 0), Mode::Eval);
                let bytes = to_rgb(float.clone())?;
                Ok(Images { float, bytes })
            }
            Self::Folder(folder) => {
                let bytes = (first..first + samples.len())
                    .map(|index| folder.pixels(index))
                    .collect::<Result<Vec<_>>>()?;
                Ok(Images {
                    float: float(&bytes, folder.size(), device),
                    bytes,
                })
            }
        }
    }

    /// Takes the images themselves into a hash, where nothing else identifies them.
    pub fn identify(&self, hash: &mut SampleHash, samples: &[Sample], images: &Images<B>) {
        if let Self::Folder(_) = self {
            for (sample, pixels) in samples.iter().zip(&images.bytes) {
                hash.add(&[sample.name.as_bytes(), pixels]);
            }
        }
    }
}

/// Label maps of samples of one size, stacked.
pub(super) fn maps<B: Backend>(samples: &[Sample], device: &B::Device) -> LabelMaps<B> {
    let maps: Vec<LabelMaps<B>> = samples
        .iter()
        .map(|sample| {
            let shape = [1, sample.height, sample.width];
            label_maps(&sample.labels, sample.offsets(), shape, device)
        })
        .collect();
    let offsets: Option<Vec<_>> = maps.iter().map(|maps| maps.offsets.clone()).collect();
    LabelMaps {
        labels: Tensor::cat(maps.into_iter().map(|maps| maps.labels).collect(), 0),
        offsets: offsets.map(|offsets| Tensor::cat(offsets, 0)),
    }
}

/// Images of one size on the device, `[N, 3, H, W]` in [-1, 1].
pub(super) fn float<B: Backend, I: AsRef<[u8]>>(
    images: &[I],
    size: Size,
    device: &B::Device,
) -> Tensor<B, 4> {
    let pixels = images
        .iter()
        .flat_map(|image| image.as_ref())
        .copied()
        .collect();
    image_tensor(pixels, [images.len(), size.height, size.width], device)
}
