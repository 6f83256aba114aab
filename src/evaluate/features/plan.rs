use dp_sims_model::backbones::BackboneKind;

use super::super::protocol::{FeatureLayer, FeatureSettings};
use crate::config::{Metric, dashed};

/// Which network features come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features {
    /// The Inception-v3 of FID and KID.
    Inception,
    /// The ResNet-50 of SwAV-FID.
    Swav,
    /// A backbone of the registry.
    Backbone(BackboneKind),
}

/// What features are wanted for, and from which network.
pub struct FeaturePlan {
    /// The network.
    pub features: Features,
    /// Size that images are enlarged to for a backbone, and its layer; their own size and the last map
    /// without them.
    pub settings: Option<FeatureSettings>,
    /// Whether the Fréchet distance is wanted.
    pub frechet: bool,
    /// Whether the kernel distance is wanted.
    pub kernel: bool,
}

impl FeaturePlan {
    /// One plan per network that the metrics name; `settings` are those of backbones.
    pub fn of(metrics: &[Metric], settings: Option<FeatureSettings>) -> Vec<Self> {
        let mut plans: Vec<Self> = Vec::new();
        for metric in metrics {
            let (features, frechet) = match *metric {
                Metric::Fid => (Features::Inception, true),
                Metric::Kid => (Features::Inception, false),
                Metric::SwavFid => (Features::Swav, true),
                Metric::Frechet(kind) => (Features::Backbone(kind), true),
                Metric::Kernel(kind) => (Features::Backbone(kind), false),
                _ => continue,
            };
            let kernel = !frechet;
            match plans.iter_mut().find(|plan| plan.features == features) {
                Some(plan) => {
                    plan.frechet |= frechet;
                    plan.kernel |= kernel;
                }
                None => plans.push(Self {
                    features,
                    settings: settings.filter(|_| matches!(features, Features::Backbone(_))),
                    frechet,
                    kernel,
                }),
            }
        }
        plans
    }

    /// Name of the network in results.
    pub fn network(&self) -> String {
        match self.features {
            Features::Inception => "fid-inception".to_string(),
            Features::Swav => "swav-resnet50".to_string(),
            Features::Backbone(kind) => dashed(kind),
        }
    }

    pub(super) fn layer(&self) -> FeatureLayer {
        self.settings
            .map(|settings| settings.layer)
            .unwrap_or_default()
    }

    pub(super) fn names(&self) -> [String; 2] {
        match self.features {
            Features::Inception => ["fid", "kid"].map(str::to_string),
            Features::Swav => ["swav-fid", "swav-kid"].map(str::to_string),
            Features::Backbone(kind) => {
                ["fd", "kd"].map(|metric| format!("{metric}-{}", dashed(kind)))
            }
        }
    }
}
