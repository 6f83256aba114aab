use std::ops::Range;

use anyhow::Result;
use burn::tensor::backend::Backend;
use dp_sims_datasets::{ClassTable, Sample};
use dp_sims_metrics::Confusion;

use super::super::gallery::{Exhibit, Gallery};
use super::super::photos::{Photos, SampleHash};
use super::super::source::{Source, float};
use super::super::together::{halves, whole};
use super::{Clock, Evaluator};

/// What a pass over a split gathers beside the meters.
pub(super) struct Pass {
    pub(super) clock: Clock,
    pub(super) gallery: Gallery,
    pub(super) data_hash: SampleHash,
    pub(super) image_hash: SampleHash,
    /// Of each judge.
    pub(super) confusions: Vec<Confusion>,
    /// Whether a meter of features needs the photos, of each.
    pub(super) needs_photos: Vec<bool>,
}

impl<B: Backend> Evaluator<B> {
    /// Numbers that are found in a batch of so many images.
    pub(super) fn found(&self, images: usize, pass: &Pass) -> usize {
        let meters = self.features.iter().zip(&pass.needs_photos);
        let features: usize = meters
            .map(|(meter, needs)| (1 + usize::from(*needs)) * meter.length())
            .sum();
        let lpips = usize::from(self.lpips.is_some());
        let counts = pass.confusions.iter().map(|sum| 2 * sum.counts().len());
        (features + lpips) * images + counts.sum::<usize>()
    }

    /// What the networks find in some images: of each meter the features of the photos, if it needs them, and of the
    /// images; their distances; and of each judge the counts of all images.
    ///
    /// # Errors
    /// When a file cannot be read or the device fails.
    pub(super) fn judge(
        &mut self,
        at: Range<usize>,
        photos: &Photos,
        source: &mut Source<'_, B>,
        pass: &mut Pass,
    ) -> Result<Vec<f32>> {
        let (first, device) = (at.start, self.device.clone());
        let clock = &mut pass.clock;
        let samples = clock.time("photos", || {
            at.map(|index| photos.sample(index))
                .collect::<Result<Vec<_>>>()
        })?;
        let images = clock.time("images", || source.images(&samples, first, &device))?;
        for sample in &samples {
            let parts = [sample.name.as_bytes(), &sample.labels, &sample.image];
            pass.data_hash.add(&parts);
        }
        source.identify(&mut pass.image_hash, &samples, &images);
        let size = photos.size();
        let photo_bytes: Vec<&[u8]> = samples.iter().map(|s| s.image.as_slice()).collect();
        let photo_tensor = float::<B, _>(&photo_bytes, size, &device);
        let judged = if self.plan.protocol.fid.quantise {
            float(&images.bytes, size, &device)
        } else {
            images.float.clone()
        };
        let mut found = Vec::new();
        for (meter, needs) in self.features.iter().zip(&pass.needs_photos) {
            clock.time("features", || {
                if *needs {
                    found.extend(meter.features(photo_tensor.clone())?);
                }
                found.extend(meter.features(judged.clone())?);
                anyhow::Ok(())
            })?;
        }
        let mut scores: Vec<Option<f64>> = vec![None; samples.len()];
        if let Some(lpips) = &self.lpips {
            let distances = clock.time("lpips", || lpips.distances(photo_tensor, images.float))?;
            scores = distances.iter().map(|&found| Some(found.into())).collect();
            found.extend(distances);
        }
        let labels: Vec<&[u8]> = samples.iter().map(|s| s.labels.as_slice()).collect();
        for (name, _, judge) in &mut self.judges {
            let each = clock.time(name, || judge.judge(&images.bytes, &labels, size, &device))?;
            let mut sum = judge.confusion();
            for (score, confusion) in scores.iter_mut().zip(&each) {
                sum.merge(confusion)?;
                *score = score.or(confusion.accuracy());
            }
            found.extend(halves(sum.counts()));
        }
        for (offset, sample) in samples.iter().enumerate() {
            let (index, score) = (first + offset, scores[offset]);
            pass.gallery.offer(index, score, || {
                exhibit(
                    index,
                    sample,
                    &images.bytes[offset],
                    score,
                    photos.classes(),
                )
            });
        }
        Ok(found)
    }

    /// Takes in what was found in a batch of so many images.
    ///
    /// # Errors
    /// When a feature is not finite.
    pub(super) fn take(&mut self, images: usize, found: &[f32], pass: &mut Pass) -> Result<()> {
        let mut rest = found;
        let mut next = |count| {
            let (part, after) = rest.split_at(count);
            rest = after;
            part
        };
        for (meter, needs) in self.features.iter_mut().zip(&pass.needs_photos) {
            let length = images * meter.length();
            let photos = next(if *needs { length } else { 0 });
            meter.take([photos, next(length)])?;
        }
        if let Some(lpips) = &mut self.lpips {
            lpips.take(next(images));
        }
        for sum in &mut pass.confusions {
            let counts = 2 * sum.counts().len();
            sum.add_counts(&whole(next(counts)))?;
        }
        Ok(())
    }
}

fn exhibit(
    index: usize,
    sample: &Sample,
    image: &[u8],
    score: Option<f64>,
    classes: &ClassTable,
) -> Exhibit {
    Exhibit {
        index,
        name: sample.name.clone(),
        score,
        labels: classes.colourise(&sample.labels),
        photo: sample.image.clone(),
        image: image.to_vec(),
    }
}
