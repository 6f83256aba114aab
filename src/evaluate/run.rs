//! One pass over a split: images in, values out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::Backend;
use dp_sims_datasets::{ClassTable, Sample};
use dp_sims_metrics::Confusion;

use super::diversity::LpipsMeter;
use super::features::{FeatureMeter, FeaturePlan};
use super::gallery::{Exhibit, Gallery};
use super::judge::Judge;
use super::networks::NetworkFolder;
use super::photos::{Photos, SampleHash};
use super::protocol::{FeatureSettings, Protocol, SegmentationSettings};
use super::results::{ClassValue, NetworkRecord, Value};
use super::source::{Source, float};
use crate::config::Metric;
use crate::config::described;
use crate::runtime::progress::progress_bar;

/// What is measured, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything that decides what the values mean.
    pub protocol: Protocol,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// Images at once.
    pub batch: usize,
    /// Folder of a segmenter of the user's own.
    pub segmenter: Option<PathBuf>,
    /// Statistics of the photos to use instead of the photos.
    pub real_statistics: Option<PathBuf>,
    /// File to write statistics of the photos to.
    pub save_statistics: Option<PathBuf>,
    /// Folder in which statistics of the photos are remembered.
    pub cache: Option<PathBuf>,
    /// Whether progress is shown.
    pub progress: bool,
}

/// What a pass over a split found.
#[derive(Debug)]
pub struct Outcome {
    /// Values by name.
    pub values: BTreeMap<String, Value>,
    /// Classes by metric.
    pub classes: BTreeMap<String, Vec<ClassValue>>,
    /// Seconds by part.
    pub seconds: BTreeMap<String, f64>,
    /// Networks by part.
    pub networks: BTreeMap<String, NetworkRecord>,
    /// SHA-256 of label maps and photos.
    pub data_hash: String,
    /// SHA-256 of the images, where they came from files.
    pub image_hash: String,
    /// Images to look at.
    pub gallery: Gallery,
}

/// The loaded networks of a plan. They are loaded once and judge any number of images.
pub struct Evaluator<B: Backend> {
    plan: Plan,
    features: Vec<FeatureMeter<B>>,
    lpips: Option<LpipsMeter<B>>,
    /// Network of `diversity-vgg16`.
    spread: Option<LpipsMeter<B>>,
    judges: Vec<(&'static str, SegmentationSettings, Judge<B>)>,
    device: B::Device,
}

impl<B: Backend> Evaluator<B> {
    /// Loads every network the metrics need, before any long work.
    ///
    /// # Errors
    /// When weights are missing or wrong, there are too few images for a metric, or the protocol
    /// does not define one.
    pub fn load(plan: Plan, photos: &Photos, weights: &Path, device: &B::Device) -> Result<Self> {
        let folder = NetworkFolder::new(weights.to_path_buf());
        let protocol = &plan.protocol;
        let plans = FeaturePlan::of(&plan.metrics, protocol.features);
        for size in plans
            .iter()
            .filter_map(|features| features.settings.map(FeatureSettings::size))
        {
            let own = photos.size();
            ensure!(
                size.height >= own.height && size.width >= own.width,
                "protocol `{}` enlarges images to {size}, these are {own}: evaluate under another one",
                protocol.name
            );
        }
        for features in &plans {
            let needed = if features.kernel { 3 } else { 2 };
            ensure!(
                photos.len() >= needed,
                "the distances of features need at least {needed} images, there are {}",
                photos.len()
            );
        }
        let cache_name = photos.cache_name();
        let cache = plan.cache.as_deref().zip(cache_name.as_deref());
        let features = plans
            .into_iter()
            .map(|features| {
                FeatureMeter::new(
                    features,
                    &folder,
                    plan.real_statistics.as_deref(),
                    cache,
                    device,
                )
            })
            .collect::<Result<Vec<_>>>()?;
        let wants = |metric: Metric| plan.metrics.contains(&metric);
        let lpips = wants(Metric::Lpips)
            .then(|| LpipsMeter::new(&protocol.lpips, photos.size(), &folder, device))
            .transpose()?;
        let spread = wants(Metric::Diversity)
            .then(|| LpipsMeter::even(&protocol.lpips, photos.size(), &folder, device))
            .transpose()?;
        let mut judges = Vec::new();
        for (name, wanted, settings) in [
            (
                "miou",
                wants(Metric::Miou) || wants(Metric::Accuracy),
                &protocol.miou,
            ),
            ("miou-mf", wants(Metric::MiouMf), &protocol.miou_mf),
        ] {
            if !wanted {
                continue;
            }
            let settings = settings.clone().with_context(|| {
                format!(
                    "protocol `{}` does not define {name}: leave it out",
                    protocol.name
                )
            })?;
            let own = plan.segmenter.as_deref();
            let judge = Judge::new(&settings, own, weights, photos.classes(), device)?;
            judges.push((name, settings, judge));
        }
        Ok(Self {
            plan,
            features,
            lpips,
            spread,
            judges,
            device: device.clone(),
        })
    }

    /// Judges the images of a source.
    ///
    /// # Errors
    /// When a file cannot be read, the device fails or a metric has no value.
    pub fn run(&mut self, photos: &Photos, source: &mut Source<'_, B>) -> Result<Outcome> {
        self.features.iter_mut().for_each(FeatureMeter::begin);
        self.lpips.iter_mut().for_each(LpipsMeter::begin);
        let mut clock = Clock::default();
        let mut confusions: Vec<Confusion> = self
            .judges
            .iter()
            .map(|(_, _, judge)| judge.confusion())
            .collect();
        let mut gallery = Gallery::new(photos.len(), self.ranking());
        let (mut data_hash, mut image_hash) = (SampleHash::default(), SampleHash::default());
        let bar = self.bar("evaluating", photos.len());
        let mut first = 0;
        while first < photos.len() {
            let last = photos.len().min(first + self.plan.batch);
            let samples = clock.time("photos", || {
                (first..last)
                    .map(|index| photos.sample(index))
                    .collect::<Result<Vec<_>>>()
            })?;
            let images = clock.time("images", || source.images(&samples, first, &self.device))?;
            for sample in &samples {
                data_hash.add(&[sample.name.as_bytes(), &sample.labels, &sample.image]);
            }
            source.identify(&mut image_hash, &samples, &images);
            let size = photos.size();
            let photo_bytes: Vec<&[u8]> = samples.iter().map(|s| s.image.as_slice()).collect();
            let photo_tensor = float::<B, _>(&photo_bytes, size, &self.device);
            let mut scores: Vec<Option<f64>> = vec![None; samples.len()];
            let judged = if self.plan.protocol.fid.quantise {
                float(&images.bytes, size, &self.device)
            } else {
                images.float.clone()
            };
            for meter in &mut self.features {
                clock.time("features", || {
                    meter.add(photo_tensor.clone(), judged.clone())
                })?;
            }
            if let Some(lpips) = &mut self.lpips {
                let found = clock.time("lpips", || lpips.add(photo_tensor, images.float))?;
                scores = found.into_iter().map(Some).collect();
            }
            let labels: Vec<&[u8]> = samples.iter().map(|s| s.labels.as_slice()).collect();
            for ((name, _, judge), sum) in self.judges.iter_mut().zip(&mut confusions) {
                let found = clock.time(name, || {
                    judge.judge(&images.bytes, &labels, size, &self.device)
                })?;
                for (score, confusion) in scores.iter_mut().zip(&found) {
                    sum.merge(confusion)?;
                    *score = score.or(confusion.accuracy());
                }
            }
            for (offset, sample) in samples.iter().enumerate() {
                gallery.offer(first + offset, scores[offset], || {
                    let index = first + offset;
                    exhibit(
                        index,
                        sample,
                        &images.bytes[offset],
                        scores[offset],
                        photos.classes(),
                    )
                });
            }
            first = last;
            bar.set_position(first as u64);
        }
        bar.finish_and_clear();
        let mut outcome = Outcome {
            values: BTreeMap::new(),
            classes: BTreeMap::new(),
            seconds: BTreeMap::new(),
            networks: BTreeMap::new(),
            data_hash: data_hash.finish(),
            image_hash: image_hash.finish(),
            gallery,
        };
        self.distances(photos, source, &mut clock, &mut outcome)?;
        self.shares(&confusions, &mut outcome);
        outcome.seconds = clock.seconds;
        Ok(outcome)
    }

    fn distances(
        &mut self,
        photos: &Photos,
        source: &mut Source<'_, B>,
        clock: &mut Clock,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let save = self.plan.save_statistics.clone();
        for meter in &mut self.features {
            let kernel = &self.plan.protocol.kid;
            let values = clock.time("distances", || meter.finish(kernel, save.as_deref()))?;
            outcome.values.extend(values);
            outcome.networks.extend([meter.record()]);
        }
        let mut diverse = Vec::new();
        if let Some(lpips) = &self.lpips {
            let networks = &mut outcome.networks;
            networks.insert("lpips".to_string(), lpips.record().clone());
            if let Some(value) = lpips.finish() {
                outcome.values.insert(lpips.value_name("distance"), value);
            }
            diverse.push((lpips.value_name("diversity"), lpips));
        }
        if let Some(spread) = &self.spread {
            let name = Metric::Diversity.to_string();
            outcome
                .networks
                .insert(name.clone(), spread.record().clone());
            diverse.push((name, spread));
        }
        if let Source::Generator { generator, seed } = source {
            for (name, meter) in diverse {
                let bar = self.bar("diversity", photos.len());
                let found = clock.time("diversity", || {
                    meter.diversity(photos, generator, *seed, &bar, &self.device)
                })?;
                bar.finish_and_clear();
                outcome.values.insert(name, found);
            }
        }
        Ok(())
    }

    fn shares(&self, confusions: &[Confusion], outcome: &mut Outcome) {
        let wants = |metric: Metric| self.plan.metrics.contains(&metric);
        for ((name, settings, judge), confusion) in self.judges.iter().zip(confusions) {
            let (miou, accuracy, classes) = judge.values(settings, confusion);
            let is_main = *name == "miou";
            for (key, value, wanted) in [
                (*name, miou, !is_main || wants(Metric::Miou)),
                ("accuracy", accuracy, is_main && wants(Metric::Accuracy)),
            ] {
                if let Some(value) = value.filter(|_| wanted) {
                    outcome.values.insert(key.to_string(), value);
                }
            }
            outcome.classes.insert(name.to_string(), classes);
            outcome
                .networks
                .insert(name.to_string(), judge.record().clone());
        }
    }

    /// What single images are ranked by.
    fn ranking(&self) -> Option<(String, bool)> {
        if let Some(lpips) = &self.lpips {
            let (title, _, _) = described(&lpips.value_name("distance"));
            Some((title, false))
        } else if let Some((name, _, _)) = self.judges.first() {
            Some((format!("pixel accuracy of the network of {name}"), true))
        } else {
            None
        }
    }

    fn bar(&self, what: &'static str, length: usize) -> indicatif::ProgressBar {
        if self.plan.progress {
            progress_bar(what, length as u64)
        } else {
            indicatif::ProgressBar::hidden()
        }
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

/// Adds up seconds by part.
#[derive(Default)]
struct Clock {
    seconds: BTreeMap<String, f64>,
}

impl Clock {
    fn time<T>(&mut self, part: &str, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let output = work();
        *self.seconds.entry(part.to_string()).or_default() += started.elapsed().as_secs_f64();
        output
    }
}
