//! Operations of training steps, counted as they run, against those that the tables of cost give.

use std::sync::{Arc, Mutex};

use burn::tensor::backend::AutodiffBackend;
use dp_sims_backends::FlexAutodiff as B;
use dp_sims_backends::cpu::profile;
use dp_sims_datasets::Size;
use dp_sims_model::cost::Convention;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::settings::scenes;
use crate::config::{Experiment, load};
use crate::runtime::batch::DeviceBatch;
use crate::runtime::logging::message;
use crate::train::{Networks, StepPart, StepWork, Training};

const CLASSES: usize = 5;

/// Counts the multiply-adds of every part of a step.
struct Counter(Arc<Mutex<Vec<(String, u64)>>>);

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let macs = profile::stop().iter().map(|time| time.macs).sum();
        self.0.lock().unwrap().push((message(event), macs));
        profile::start();
    }
}

/// Multiply-adds of step `number` by part.
fn counted(experiment: &Experiment, number: u64) -> Vec<(String, u64)> {
    let device = Default::default();
    let size = Size::new(experiment.data.height, experiment.data.width);
    let batch = scenes(size, experiment.run.batch, CLASSES).unwrap();
    let batch = DeviceBatch::<<B as AutodiffBackend>::InnerBackend>::new(&batch, CLASSES, &device);
    let networks = Networks::<B>::new(experiment, CLASSES, "".as_ref(), &device).unwrap();
    let mut training = Training::new(networks, experiment, &device).unwrap();
    let counts = Arc::default();
    let only = Targets::new().with_target(StepPart::TARGET, LevelFilter::TRACE);
    let counter = Counter(Arc::clone(&counts)).with_filter(only);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(counter), || {
        profile::start();
        training.step(number, &[batch]).unwrap();
        profile::stop();
    });
    std::mem::take(&mut *counts.lock().unwrap())
}

/// Forward and backward of the G step, and of the D step.
fn by_direction(parts: &[(String, u64)]) -> [u64; 4] {
    let mut sums = [0; 4];
    for (part, macs) in parts {
        let back = usize::from(part.ends_with(" back"));
        sums[2 * usize::from(part.starts_with("D step")) + back] += macs;
    }
    sums
}

fn expected(experiment: &Experiment, shared: bool) -> [u64; 4] {
    let work = StepWork::of_one(experiment, CLASSES, Convention::Executed, shared);
    let mut sums = [0; 4];
    for row in &work.networks {
        let step = 2 * usize::from(row.step == "D step");
        sums[step] += row.forward;
        sums[step + 1] += row.backward;
    }
    sums.map(|macs| macs * experiment.run.batch as u64)
}

#[test]
fn a_step_computes_what_the_tables_of_cost_say() {
    let random = ["backbone.weights=random", "loss.contrastive.weights=random"];
    let small = [
        "run.batch=2",
        "generator.base_width=4",
        "data.height=64",
        "data.width=64",
    ];
    let own_views = [
        "loss.contrastive.network=vgg16",
        "loss.feature_diversity.lambda=0",
    ];
    let oasis = [
        "discriminator.architecture=oasis",
        "discriminator.oasis.encoder_channels=[8, 12, 16]",
        "discriminator.oasis.decoder_channels=[16, 12, 8]",
    ];
    let oasis_generator = [
        "generator.architecture=oasis",
        "generator.noise=concat",
        "generator.spade_hidden=16",
    ];
    let resnet = ["loss.lambda_label_mix=1", "backbone.network=resnet50"];
    let plain = [
        "loss.contrastive.lambda=0",
        "generator.self_attention=false",
    ];
    let again = ["run.recompute=true"];
    // Losses share a view at step 2, but not at step 11.
    let cases: [(&str, &[&[&str]], u64); 12] = [
        ("quickstart", &[], 2),
        ("quickstart", &[&["run.reuse_fakes=false"]], 2),
        ("quickstart", &[&plain], 2),
        ("quickstart", &[&oasis_generator], 2),
        ("quickstart", &[&own_views], 11),
        ("quickstart", &[&own_views, &oasis], 2),
        ("quickstart", &[&own_views, &resnet], 2),
        ("camvid-e8", &[], 2),
        ("camvid-e8", &[&["discriminator.conditioning=ccm_csm"]], 2),
        ("quickstart", &[&again], 2),
        ("quickstart", &[&again, &own_views], 11),
        ("quickstart", &[&again, &own_views, &resnet], 2),
    ];
    let mut wrong = String::new();
    for (name, settings, number) in cases {
        let settings: Vec<_> = small
            .iter()
            .chain(&random)
            .chain(settings.iter().copied().flatten())
            .map(|text| text.to_string())
            .collect();
        let experiment = load(name, &settings).unwrap();
        experiment.validate().unwrap();
        let shared = experiment.shares_features() && number % 10 != 1;
        let parts = counted(&experiment, number);
        let (found, expected) = (by_direction(&parts), expected(&experiment, shared));
        for (found, expected) in found.into_iter().zip(expected) {
            let ratio = found as f64 / expected.max(1) as f64;
            if found.max(expected) > 0 && (ratio - 1.0).abs() > 0.01 {
                wrong += &format!(
                    "{name} {settings:?} step {number}: {found} of {expected}, {ratio:.4}\n  {parts:?}\n"
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
