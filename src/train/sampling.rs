//! Using the averaged generator: refreshing its statistics, and drawing previews from it.

use anyhow::Result;
use burn::tensor::backend::Backend;
use dp_sims_datasets::{LabelledImages, Sample};
use dp_sims_model::generator::Generator;
use dp_sims_model::layers::{LabelMaps, Mode};
use image::RgbImage;

use crate::config::Experiment;
use crate::runtime::batch::{label_maps, to_rgb};
use crate::runtime::noise::{Draws, Purpose, SeededDraws, latents};
use crate::runtime::pictures::{GridRow, grid};

/// The averaged generator made ready for use: training batches run through it in training mode,
/// which moves running statistics and spectral-norm vectors to those of the averaged weights
/// (notes L34). The average itself stays as it is.
pub fn refreshed<B: Backend>(
    average: &Generator<B>,
    batches: &[LabelMaps<B>],
    draws: &dyn Draws,
) -> Generator<B> {
    let mut generator = average.clone();
    for (counter, maps) in batches.iter().enumerate() {
        let shape = [maps.dims()[0], generator.latent_dim()];
        let device = maps.labels.device();
        let latent = latents(draws, counter as u64, Purpose::Refresh, shape, &device);
        generator.features(maps.clone(), latent, Mode::Train);
    }
    generator
}

/// Label maps with their photos and the fixed noise under which previews show them.
pub struct Preview {
    rows: Vec<Sample>,
    label_colours: Vec<Vec<u8>>,
    samples: usize,
    seed: u64,
}

impl Preview {
    /// Takes label maps spread evenly over a dataset.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn new(data: &dyn LabelledImages, experiment: &Experiment) -> Result<Self> {
        let count = experiment.run.preview_rows.min(data.len());
        let rows = (0..count)
            .map(|row| data.sample(row * data.len() / count, experiment.data.size()))
            .collect::<Result<Vec<_>, _>>()?;
        let label_colours = rows
            .iter()
            .map(|row| data.classes().colourise(&row.labels))
            .collect();
        let run = &experiment.run;
        Ok(Self {
            rows,
            label_colours,
            samples: run.preview_samples,
            seed: run.seed,
        })
    }

    /// A grid of label map, photo and samples, one row per label map. Column k of every row has
    /// the same latent.
    ///
    /// # Errors
    /// When the device fails.
    pub fn draw<B: Backend>(
        &self,
        generator: &mut Generator<B>,
        device: &B::Device,
    ) -> Result<RgbImage> {
        let shape = [self.samples, generator.latent_dim()];
        let draws = SeededDraws { seed: self.seed };
        let latent = latents::<B>(&draws, 0, Purpose::Preview, shape, device);
        let mut rows = Vec::with_capacity(self.rows.len());
        for (sample, label_rgb) in self.rows.iter().zip(&self.label_colours) {
            let shape = [1, sample.height, sample.width];
            let maps = label_maps(&sample.labels, sample.offsets(), shape, device);
            let images = generator.forward(maps, latent.clone(), Mode::Eval);
            rows.push(GridRow {
                label_rgb: label_rgb.clone(),
                real_rgb: Some(sample.image.clone()),
                samples: to_rgb(images)?,
            });
        }
        let (width, height) = (self.rows[0].width as u32, self.rows[0].height as u32);
        grid(&rows, width, height)
    }
}
