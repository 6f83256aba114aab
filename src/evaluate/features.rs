//! Fréchet and kernel distances between photos and generated images.

mod network;
mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use dp_sims_evaluators::{INCEPTION_FEATURES, SWAV_FEATURES};
use dp_sims_metrics::{
    KernelConfig, MetricError, Moments, Statistics, frechet_distance, kernel_distance,
    read_statistics, write_statistics,
};
use dp_sims_model::backbones::{LITE_FEATURES, info};

pub use network::FeatureNetwork;
pub use plan::{FeaturePlan, Features};

use super::networks::{NetworkFolder, Weighted, hashed};
use super::protocol::{FeatureLayer, FeatureSettings};
use super::results::{NetworkRecord, Value};
use crate::runtime::device::read;

/// Most features of a side that are kept for the kernel distance, in numbers: 1 GiB. The Fréchet
/// distance keeps none.
const KEPT: usize = 1 << 28;

/// Features of one side.
struct Side {
    moments: Moments,
    /// Row by row, where the kernel distance is wanted.
    kept: Vec<f32>,
}

impl Side {
    fn new(length: usize) -> Self {
        Self {
            moments: Moments::new(length),
            kept: Vec::new(),
        }
    }

    fn add(&mut self, features: &[f32], keep: bool) -> Result<(), MetricError> {
        self.moments.add(features)?;
        if keep && self.kept.len() + features.len() <= KEPT {
            self.kept.extend_from_slice(features);
        }
        Ok(())
    }
}

/// Collects the features of both sides.
pub struct FeatureMeter<B: Backend> {
    plan: FeaturePlan,
    network: FeatureNetwork<B>,
    length: usize,
    record: NetworkRecord,
    photos: Side,
    images: Side,
    /// Statistics of the photos, once they are known; photos are not looked at again then.
    known: Option<Statistics>,
    cache: Option<PathBuf>,
}

impl<B: Backend> FeatureMeter<B> {
    /// Loads the network. `given` holds statistics of the photos for Inception; `cache` is the folder
    /// in which statistics of photos are remembered under the name `photos`.
    ///
    /// # Errors
    /// When weights or statistics are missing or wrong.
    pub fn new(
        plan: FeaturePlan,
        folder: &NetworkFolder,
        given: Option<&Path>,
        cache: Option<(&Path, &str)>,
        device: &B::Device,
    ) -> Result<Self> {
        let (network, length, mut record) = match plan.features {
            Features::Inception => {
                let Weighted { network, record } = folder.inception(device)?;
                let network = FeatureNetwork::Inception(Box::new(network));
                (network, INCEPTION_FEATURES, record)
            }
            Features::Swav => {
                let Weighted { network, record } = folder.swav(device)?;
                let network = FeatureNetwork::Swav(Box::new(network));
                (network, SWAV_FEATURES, record)
            }
            Features::Backbone(kind) => {
                let Weighted { network, record } = folder.backbone(kind, device)?;
                let head = match plan.layer() {
                    FeatureLayer::LastMap => None,
                    FeatureLayer::Head => Some(Box::new(folder.head(kind, device)?)),
                };
                let length = match head {
                    Some(_) => LITE_FEATURES,
                    None => info(kind).channels.last().copied().unwrap_or(0),
                };
                let network = FeatureNetwork::Backbone {
                    network: Box::new(network),
                    head,
                    enlarged: plan.settings.map(FeatureSettings::size),
                };
                (network, length, record)
            }
        };
        let given_here = given.filter(|_| plan.features == Features::Inception);
        let cache = cache.map(|(folder, photos)| {
            let weights: Vec<&str> = record.files.values().map(|hash| &hash[..16]).collect();
            let at = plan
                .settings
                .map(|size| format!("-at-{}x{}", size.height, size.width));
            let layer = match plan.layer() {
                FeatureLayer::LastMap => "",
                FeatureLayer::Head => "-head",
            };
            folder.join(format!(
                "{}{layer}{}-{}-{photos}.npz",
                plan.network(),
                at.unwrap_or_default(),
                weights.join("-")
            ))
        });
        let remembered = cache.as_ref().filter(|path| path.is_file() && !plan.kernel);
        let given = match (given_here, remembered) {
            (Some(path), _) => {
                // They decide the distance as weights do, and are told apart like these.
                record.files.extend([hashed(path)?]);
                Some(read_statistics(path)?)
            }
            // A damaged file of the cache costs time and no result.
            (None, Some(path)) => read_statistics(path)
                .inspect(|_| tracing::debug!("statistics of the photos: {}", path.display()))
                .ok()
                .filter(|statistics| statistics.len() == length),
            (None, None) => None,
        };
        if let Some(statistics) = &given {
            ensure!(
                statistics.len() == length,
                "the statistics hold features of length {}, {} has {length}",
                statistics.len(),
                plan.network()
            );
        }
        ensure!(
            !(plan.kernel && given_here.is_some()),
            "the kernel distance needs the features of the photos, which statistics do not hold: \
             leave out --real-statistics or kid"
        );
        Ok(Self {
            photos: Side::new(length),
            images: Side::new(length),
            plan,
            network,
            length,
            record,
            known: given,
            cache,
        })
    }

    /// Name of the network and the hashes of its weights.
    pub fn record(&self) -> (String, NetworkRecord) {
        (self.plan.network(), self.record.clone())
    }

    /// Forgets images, and photos that are not all known, such as after an error.
    pub fn begin(&mut self) {
        self.images = Side::new(self.length);
        if self.known.is_none() {
            self.photos = Side::new(self.length);
        }
    }

    /// Length of a feature.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether photos are still to be looked at.
    pub fn needs_photos(&self) -> bool {
        self.known.is_none()
    }

    /// Features of images or photos, row by row.
    ///
    /// # Shapes
    /// - `images`: `[N, 3, H, W]` in [-1, 1]
    ///
    /// # Errors
    /// When the device fails.
    pub fn features(&self, images: Tensor<B, 4>) -> Result<Vec<f32>> {
        Ok(read(self.network.forward(images)?)?.iter::<f32>().collect())
    }

    /// Takes in features of photos, of which there are none if they are not needed, and of images.
    ///
    /// # Errors
    /// When a feature is not finite.
    pub fn take(&mut self, [photos, images]: [&[f32]; 2]) -> Result<()> {
        let keep = self.plan.kernel;
        self.photos
            .add(photos, keep)
            .context("features of photos")?;
        self.images
            .add(images, keep)
            .context("features of generated images")?;
        Ok(())
    }

    /// The distances by name. The photos stay known, for other images.
    ///
    /// # Errors
    /// When there are too few images or a decomposition does not converge.
    pub fn finish(
        &mut self,
        kernel: &KernelConfig,
        save: Option<&Path>,
    ) -> Result<BTreeMap<String, Value>> {
        let [frechet_name, kernel_name] = self.plan.names();
        let mut values = BTreeMap::new();
        if self.known.is_none() {
            let photos = self.photos.moments.finish()?;
            if let Some(path) = &self.cache {
                let folder = path.parent().unwrap_or(path);
                let written = std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot create {}", folder.display()))
                    .and_then(|()| Ok(write_statistics(path, &photos)?));
                if let Err(error) = written {
                    tracing::warn!(
                        "the statistics of the photos are not remembered and will be made \
                         again: {error:#}"
                    );
                }
            }
            self.known = Some(photos);
        }
        let photos = self.known.as_ref().context("no photos")?;
        if let Some(path) = save.filter(|_| self.plan.features == Features::Inception) {
            write_statistics(path, photos)?;
        }
        let images = &self.images;
        if self.plan.frechet {
            let value = frechet_distance(photos, &images.moments.finish()?)?;
            values.insert(frechet_name, Value::plain(value, images.moments.count()));
        }
        if self.plan.kernel {
            let found = kernel_distance(&self.photos.kept, &images.kept, self.length, kernel)?;
            values.insert(
                kernel_name,
                Value {
                    value: found.mean,
                    standard_error: Some(found.standard_error),
                    count: (images.kept.len() / self.length) as u64,
                },
            );
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use dp_sims_model::backbones::BackboneKind;

    use super::*;
    use crate::config::Metric;

    #[test]
    fn metrics_of_one_network_share_it() {
        let lite = BackboneKind::EfficientnetLite2;
        let settings = FeatureSettings {
            height: 240,
            width: 320,
            layer: FeatureLayer::Head,
        };
        let metrics = [
            Metric::Fid,
            Metric::Lpips,
            Metric::Frechet(lite),
            Metric::Kid,
            Metric::Kernel(BackboneKind::Vgg16),
            Metric::SwavFid,
        ];
        let plans = FeaturePlan::of(&metrics, Some(settings));
        // Inception and SwAV's network resize on their own.
        let found: Vec<_> = plans.iter().map(|plan| plan.settings).collect();
        assert_eq!(found, [None, Some(settings), Some(settings), None]);
        let found: Vec<_> = plans
            .iter()
            .map(|p| (p.network(), p.frechet, p.kernel))
            .collect();
        let expected = [
            ("fid-inception".to_string(), true, true),
            ("efficientnet-lite2".to_string(), true, false),
            ("vgg16".to_string(), false, true),
            ("swav-resnet50".to_string(), true, false),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            plans[1].names(),
            ["fd-efficientnet-lite2", "kd-efficientnet-lite2"]
        );
        assert_eq!(plans[0].names(), ["fid", "kid"]);
        assert_eq!(plans[3].names()[0], "swav-fid");
    }

    /// A pass that breaks off must leave no trace in the next one.
    #[cfg(feature = "flex")]
    #[test]
    fn a_new_pass_forgets_a_broken_one() {
        use burn::tensor::TensorData;
        use burn::tensor::backend::AutodiffBackend;
        use dp_sims_model::init::normals;
        type Flex = <dp_sims_backends::FlexAutodiff as AutodiffBackend>::InnerBackend;

        let device = Default::default();
        let images = |seed: u64| {
            let values = normals(seed, 0, "images", 4 * 3 * 32 * 32);
            Tensor::<Flex, 4>::from_data(TensorData::new(values, [4, 3, 32, 32]), &device)
        };
        let distance = |broken: bool| {
            let folder = NetworkFolder::new("no folder is needed".into());
            let plan = FeaturePlan {
                features: Features::Backbone(BackboneKind::ConvnextPicoScenes),
                settings: None,
                frechet: true,
                kernel: true,
            };
            let mut meter = FeatureMeter::<Flex>::new(plan, &folder, None, None, &device).unwrap();
            let add = |meter: &mut FeatureMeter<Flex>, seeds: [u64; 2]| {
                let [photos, images] = seeds.map(|seed| meter.features(images(seed)).unwrap());
                meter.take([&photos, &images]).unwrap();
            };
            if broken {
                add(&mut meter, [7, 8]);
            }
            meter.begin();
            add(&mut meter, [1, 2]);
            meter.finish(&KernelConfig::default(), None).unwrap()
        };
        let whole = distance(false);
        assert_eq!(whole.len(), 2);
        assert_eq!(distance(true), whole);
    }
}
