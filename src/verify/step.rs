//! One training step of an experiment, with random weights, on procedural scenes.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use burn::tensor::TensorData;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_datasets::{Batch, Size};
use dp_sims_model::weights::StateDict;

use super::Row;
use crate::bench::{STEP_CLASSES, scenes};
use crate::config::{Experiment, PrecisionConfig, Weights};
use crate::data::built_in;
use crate::runtime::batch::DeviceBatch;
use crate::runtime::memory;
use crate::train::{Networks, Training, fits, optimizer_state};

/// Largest relative error of a scalar of the step: that of the parity tests.
const SCALAR: f64 = 1e-3;

/// Largest error of a gradient, relative to the largest of its layer.
const GRADIENT: f64 = 1e-2;

/// Gradients are compared relative to the largest of their layer, weight and bias together, but at least to
/// this share of the largest of their network. In front of a batch norm over a few values, as at the
/// coarsest level of small images, gradients are sums that cancel, and their rounding is up to 2e-5 of the
/// largest.
const SCALE: f64 = 1e-2;

/// Magnitude below which a scalar is compared as it is.
const SMALL: f64 = 1e-3;

/// Pixels of a large image.
const LARGE: usize = 128 * 128;

/// The step that is compared.
#[derive(Clone, Debug)]
pub struct StepCase {
    experiment: Experiment,
    classes: usize,
    full_batch: usize,
}

/// What it leaves behind.
pub(super) struct StepOutcome {
    scalars: BTreeMap<String, f64>,
    /// First moments of Adam, (1 − β₁) times the gradient, by network and parameter.
    gradients: BTreeMap<&'static str, StateDict>,
}

impl StepCase {
    /// The step of an experiment at its own sizes, with fewer images if the memory of this machine has
    /// no room for all, and with random weights: no file is read.
    ///
    /// # Errors
    /// When not even one image fits.
    pub fn new(mut experiment: Experiment) -> Result<Self> {
        experiment.backbone.weights = Weights::Random;
        experiment.loss.contrastive.weights = Weights::Random;
        experiment.run.accumulation = 1;
        // Bounds are those of f32.
        experiment.precision = PrecisionConfig::default();
        let named = |name: &str| built_in().ok()?.into_iter().find(|one| one.name == name);
        let classes = named(&experiment.data.dataset).map_or(STEP_CLASSES, |description| {
            // Void is class 0.
            description.classes.len() + 1
        });
        let full_batch = experiment.run.batch;
        let room = memory::total();
        while !fits(&experiment, classes, room) && experiment.run.batch > 1 {
            experiment.run.batch /= 2;
        }
        ensure!(
            fits(&experiment, classes, room),
            "a step of {} on one image does not fit into the memory of this machine: name another \
             experiment with --experiment",
            experiment.name
        );
        Ok(Self {
            experiment,
            classes,
            full_batch,
        })
    }

    /// The same with no more than two images, or one that is large, for a comparison before every run.
    ///
    /// # Errors
    /// When not even one image fits.
    pub fn short(mut experiment: Experiment) -> Result<Self> {
        let Size { height, width } = experiment.data.size();
        let most = if height * width > LARGE { 1 } else { 2 };
        experiment.run.batch = experiment.run.batch.min(most);
        Self::new(experiment)
    }

    /// A step of a second.
    #[cfg(test)]
    pub(super) fn tiny() -> Self {
        let settings = [
            "data.height=32",
            "data.width=32",
            "run.batch=2",
            "generator.base_width=2",
            "generator.tokens=4",
            "generator.mapping_width=16",
            "generator.encoder_channels=[8, 8, 8, 8, 8, 8, 8]",
            "discriminator.decoder_channels=[16, 16, 16, 16, 8]",
            "discriminator.full_resolution_channels=8",
            "loss.contrastive.loss.dim=16",
        ];
        let experiment = crate::config::load("quickstart", &settings.map(String::from)).unwrap();
        Self::new(experiment).unwrap()
    }

    /// Name of the experiment.
    pub fn name(&self) -> &str {
        &self.experiment.name
    }

    /// What determines the kernels of the step: the experiment without what it is called and where it
    /// looks for files.
    pub(super) fn description(&self) -> String {
        let mut experiment = self.experiment.clone();
        experiment.name = String::new();
        experiment.run.seed = 0;
        experiment.run.steps = 1;
        let classes = self.classes;
        let settings = toml::to_string(&experiment).unwrap_or_default();
        format!("{classes} classes, {settings}")
    }

    /// Images of the step.
    pub fn batch(&self) -> usize {
        self.experiment.run.batch
    }

    /// Images of a step of the experiment.
    pub fn full_batch(&self) -> usize {
        self.full_batch
    }

    /// Height and width of the images.
    pub fn size(&self) -> [usize; 2] {
        let Size { height, width } = self.experiment.data.size();
        [height, width]
    }

    pub(super) fn run<B: AutodiffBackend>(&self, device: &B::Device) -> Result<StepOutcome> {
        let experiment = &self.experiment;
        let batch = DeviceBatch::<B::InnerBackend>::new(&self.images()?, self.classes, device);
        let networks = Networks::<B>::new(experiment, self.classes, "".as_ref(), device)?;
        let mut training = Training::new(networks, experiment, device)?;
        // The first step, at which gradients and their norms are logged as well.
        let scalars = training.step(1, &[batch])?.read()?.named();
        let networks = &training.networks;
        let mut gradients = BTreeMap::from([
            (
                "generator",
                optimizer_state(&training.optimizer_generator, &networks.generator),
            ),
            (
                "discriminator",
                optimizer_state(&training.optimizer_discriminator, &networks.discriminator),
            ),
        ]);
        if let Some((projector, _)) = &networks.contrastive {
            let state = optimizer_state(&training.optimizer_projector, projector);
            gradients.insert("projector", state);
        }
        for state in gradients.values_mut() {
            state.retain(|name, _| name.ends_with(".moment_1"));
        }
        Ok(StepOutcome { scalars, gradients })
    }

    fn images(&self) -> Result<Batch> {
        let mut batch = scenes(self.experiment.data.size(), self.batch(), self.classes)?;
        if self.experiment.generator.offsets {
            // A scene has no instances: a ramp stands for the offsets to their centres.
            let count = batch.len * 2 * batch.size.height * batch.size.width;
            let ramp = (0..count).map(|index| (index % 17) as f32 / 8.0 - 1.0);
            batch.offsets = Some(ramp.collect());
        }
        Ok(batch)
    }
}

impl StepOutcome {
    /// One row for every scalar and for the gradients of every network.
    pub(super) fn compare(&self, expected: &Self) -> Vec<Row> {
        let scalars = expected.scalars.iter().map(|(name, &expected)| {
            let found = self.scalars.get(name).copied().unwrap_or(f64::NAN);
            let error = (found - expected).abs() / expected.abs().max(SMALL);
            let error = if error.is_nan() { f64::INFINITY } else { error };
            let worst = format!("{found:.6}, expected {expected:.6}");
            Row::new(format!("step: {name}"), error, SCALAR, worst)
        });
        let gradients = expected.gradients.iter().map(|(network, expected)| {
            let found = self.gradients.get(network);
            let mut row = worst_gradient(found, expected);
            row.name = format!("step: gradients of {network}");
            row
        });
        scalars.chain(gradients).collect()
    }
}

fn worst_gradient(found: Option<&StateDict>, expected: &StateDict) -> Row {
    let largest_of = |data: &TensorData| data.iter::<f64>().fold(0f64, |most, x| most.max(x.abs()));
    let layer_of = |name: &str| -> String {
        let parameter = name.trim_end_matches(".moment_1");
        parameter
            .rsplit_once('.')
            .map_or("", |(layer, _)| layer)
            .to_string()
    };
    let mut layers = BTreeMap::<String, f64>::new();
    for (name, gradient) in expected {
        let largest = layers.entry(layer_of(name)).or_default();
        *largest = largest.max(largest_of(gradient));
    }
    let network = layers.values().copied().fold(0f64, f64::max);
    let mut worst = Row::new(String::new(), 0.0, GRADIENT, String::new());
    worst.cases = 0;
    for (name, expected) in expected {
        let layer = layers.get(&layer_of(name)).copied().unwrap_or_default();
        let scale = layer.max(SCALE * network);
        let difference = match found.and_then(|found| found.get(name)) {
            Some(found) if found.shape == expected.shape => {
                let pairs = found.iter::<f64>().zip(expected.iter::<f64>());
                pairs.fold(0f64, |most, (a, b)| {
                    let difference = (a - b).abs();
                    if difference.is_nan() {
                        f64::INFINITY
                    } else {
                        most.max(difference)
                    }
                })
            }
            _ => f64::INFINITY,
        };
        let error = if scale > 0.0 {
            difference / scale
        } else {
            difference
        };
        let parameter = name.trim_end_matches(".moment_1").to_string();
        worst.take(Row::new(String::new(), error, GRADIENT, parameter));
    }
    worst
}

#[cfg(all(test, feature = "flex"))]
mod precision;
#[cfg(test)]
mod tests {
    use super::*;

    fn gradients(values: [f32; 2], small: f32) -> StateDict {
        StateDict::from([
            ("a.weight.moment_1".to_string(), TensorData::from(values)),
            ("b.weight.moment_1".to_string(), TensorData::from([small])),
        ])
    }

    #[test]
    fn the_worst_parameter_is_named() {
        let expected = gradients([1.0, -2.0], 1e-6);
        let row = worst_gradient(Some(&gradients([1.0, -2.0], 2e-6)), &expected);
        // Of tensors whose gradients are next to nothing the absolute error counts.
        assert!(row.is_equal() && row.cases == 2, "{row:?}");
        let row = worst_gradient(Some(&gradients([1.5, -2.0], 1e-6)), &expected);
        assert_eq!((row.worst.as_str(), row.is_equal()), ("a.weight", false));
        for missing in [None, Some(&gradients([f32::NAN, 0.0], 0.0))] {
            assert_eq!(worst_gradient(missing, &expected).error, f64::INFINITY);
        }
    }

    #[test]
    fn scalars_that_are_missing_or_not_finite_are_wrong() {
        let outcome = |value: Option<f64>| StepOutcome {
            scalars: value
                .map(|value| ("g_total".to_string(), value))
                .into_iter()
                .collect(),
            gradients: BTreeMap::new(),
        };
        let expected = outcome(Some(2.0));
        let is_equal = |value| outcome(value).compare(&expected)[0].is_equal();
        assert!(is_equal(Some(2.001)) && !is_equal(Some(2.01)));
        assert!(!is_equal(Some(f64::NAN)) && !is_equal(None));
    }
}
