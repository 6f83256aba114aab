//! One pass over a split: images in, values out.

mod batch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::Backend;
use dp_sims_metrics::Confusion;

use super::diversity::LpipsMeter;
use super::features::{FeatureMeter, FeaturePlan};
use super::gallery::Gallery;
use super::judge::Judge;
use super::networks::NetworkFolder;
use super::photos::{Photos, SampleHash};
use super::protocol::{FeatureSettings, Protocol, SegmentationSettings};
use super::results::{ClassValue, NetworkRecord, Value};
use super::source::Source;
use super::together::{Rounds, Together};
use crate::config::Metric;
use crate::config::described;
use crate::runtime::progress::progress_bar;
use batch::Pass;

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

    /// Judges the images of a source, together with other ranks. The values are the first rank's, which are those that
    /// it finds alone; hashes and images to look at are of each rank's own part.
    ///
    /// # Errors
    /// When a file cannot be read, the device fails or a metric has no value; on every rank, unless it is the first
    /// one that makes nothing of what was found.
    pub fn run(
        &mut self,
        photos: &Photos,
        source: &mut Source<'_, B>,
        together: &Together<'_>,
    ) -> Result<Outcome> {
        self.features.iter_mut().for_each(FeatureMeter::begin);
        self.lpips.iter_mut().for_each(LpipsMeter::begin);
        let needs = |meter: &FeatureMeter<B>| f32::from(u8::from(meter.needs_photos()));
        let needs_photos = together.of_first(self.features.iter().map(needs).collect())?;
        let confusions = self.judges.iter().map(|(_, _, judge)| judge.confusion());
        let mut pass = Pass {
            clock: Clock::default(),
            gallery: Gallery::new(photos.len(), self.ranking()),
            data_hash: SampleHash::default(),
            image_hash: SampleHash::default(),
            confusions: confusions.collect(),
            needs_photos: needs_photos.iter().map(|&needs| needs > 0.0).collect(),
        };
        let bar = self.bar("evaluating", photos.len());
        let batch = self.plan.batch;
        let most = self.found(batch.min(photos.len()), &pass);
        let mut rounds = Rounds::new(together, photos.len().div_ceil(batch), most);
        let images = |piece: usize| piece * batch..photos.len().min((piece + 1) * batch);
        let mut state = (&mut *self, &mut pass);
        while rounds.next(
            &mut state,
            |(evaluator, pass), piece| {
                let found = evaluator.judge(images(piece), photos, source, pass);
                bar.set_position(images(piece).end as u64);
                found
            },
            |(evaluator, pass), piece, found| evaluator.take(images(piece).len(), found, pass),
        )? {}
        bar.finish_and_clear();
        let diversities = self.diversities(photos, source, together, &mut pass.clock)?;
        let mut outcome = Outcome {
            values: BTreeMap::new(),
            classes: BTreeMap::new(),
            seconds: BTreeMap::new(),
            networks: BTreeMap::new(),
            data_hash: pass.data_hash.finish(),
            image_hash: pass.image_hash.finish(),
            gallery: pass.gallery,
        };
        if together.is_first() {
            self.distances(&mut pass.clock, &mut outcome)?;
            outcome.values.extend(diversities);
            self.shares(&pass.confusions, &mut outcome);
        }
        outcome.seconds = pass.clock.seconds;
        Ok(outcome)
    }

    fn distances(&mut self, clock: &mut Clock, outcome: &mut Outcome) -> Result<()> {
        let save = self.plan.save_statistics.clone();
        for meter in &mut self.features {
            let kernel = &self.plan.protocol.kid;
            let values = clock.time("distances", || meter.finish(kernel, save.as_deref()))?;
            outcome.values.extend(values);
            outcome.networks.extend([meter.record()]);
        }
        if let Some(lpips) = &self.lpips {
            let networks = &mut outcome.networks;
            networks.insert("lpips".to_string(), lpips.record().clone());
            if let Some(value) = lpips.finish() {
                outcome.values.insert(lpips.value_name("distance"), value);
            }
        }
        if let Some(spread) = &self.spread {
            let name = Metric::Diversity.to_string();
            outcome.networks.insert(name, spread.record().clone());
        }
        Ok(())
    }

    /// How far the samples of a label map are from each other, where a generator makes them.
    fn diversities(
        &self,
        photos: &Photos,
        source: &mut Source<'_, B>,
        together: &Together<'_>,
        clock: &mut Clock,
    ) -> Result<Vec<(String, Value)>> {
        let mut values = Vec::new();
        let Source::Generator { generator, seed } = source else {
            return Ok(values);
        };
        let lpips = self.lpips.iter();
        let lpips = lpips.map(|meter| (meter.value_name("diversity"), meter));
        let spread = self.spread.iter();
        let spread = spread.map(|meter| (Metric::Diversity.to_string(), meter));
        for (name, meter) in lpips.chain(spread) {
            let bar = self.bar("diversity", photos.len());
            let found = clock.time("diversity", || {
                meter.diversity(photos, generator, *seed, &bar, together, &self.device)
            })?;
            bar.finish_and_clear();
            values.extend(found.map(|found| (name, found)));
        }
        Ok(values)
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
