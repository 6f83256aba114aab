use anyhow::Result;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_datasets::Size;
use dp_sims_model::cost::{self, Convention, GeneratorCost};
use dp_sims_model::generator::{Generator, GeneratorConfig, GeneratorPart};
use dp_sims_model::layers::{LabelMaps, Mode};

use super::count::step_macs;
use super::measure::{Macs, Measured, Plan, measure};
use super::settings::{GENERATOR_CLASSES, STEP_CLASSES, Settings};
use super::speed::ProbeSizes;
use crate::runtime::batch::{DeviceBatch, label_maps};
use crate::runtime::device::wait;
use crate::runtime::noise::{Purpose, SeededDraws, latents};
use crate::train::{Networks, StepPart, Training, step_parameters};

/// Times training steps on procedural scenes that lie on the device.
///
/// # Errors
/// When a setting is out of range or the device fails.
pub fn step<B: AutodiffBackend>(
    settings: &Settings,
    sizes: ProbeSizes,
    device: &B::Device,
) -> Result<Measured> {
    let experiment = settings.experiment()?;
    let batch = settings.scenes(STEP_CLASSES)?;
    let batch = DeviceBatch::<B::InnerBackend>::new(&batch, STEP_CLASSES, device);
    // No frozen network of the experiment is read from a file.
    let networks = Networks::<B>::new(&experiment, STEP_CLASSES, "".as_ref(), device)?;
    let mut training = Training::new(networks, &experiment, device)?;
    let mut number = 0;
    let macs = Macs {
        nominal: step_macs(&experiment, STEP_CLASSES, Convention::Published),
        executed: step_macs(&experiment, STEP_CLASSES, Convention::Executed),
    };
    let parameters = step_parameters(&experiment, STEP_CLASSES);
    let plan = Plan {
        settings,
        sizes,
        parts: StepPart::TARGET,
    };
    measure::<B::InnerBackend>(&plan, macs, parameters, device, || {
        number += 1;
        training
            .step(number, std::slice::from_ref(&batch))?
            .read()?;
        // The moving average is the last thing that a step computes.
        wait(training.networks.ema.to_image().weight.val())
    })
}

/// Times the generator alone, in evaluation mode and without a graph.
///
/// # Errors
/// When a setting is out of range or the device fails.
pub fn generator<B: Backend>(
    settings: &Settings,
    sizes: ProbeSizes,
    device: &B::Device,
) -> Result<Measured> {
    let config = settings.generator()?;
    let cost = |counting| generator_cost(&config, settings.size, counting);
    let batch = settings.batch as u64;
    let macs = Macs {
        nominal: cost(Convention::Published).total().macs * batch,
        executed: cost(Convention::Executed).total().macs * batch,
    };
    let parameters = cost(Convention::Executed).total().parameters;
    let parameters = [("generator".to_string(), parameters)].into();
    let network = config.init::<B>(GENERATOR_CLASSES, 0, device)?;
    let mut images = Images::new(network, settings, device)?;
    let plan = Plan {
        settings,
        sizes,
        parts: GeneratorPart::TARGET,
    };
    measure::<B>(&plan, macs, parameters, device, || wait(images.make()))
}

fn generator_cost(config: &GeneratorConfig, size: Size, counting: Convention) -> GeneratorCost {
    let size = [size.height, size.width];
    cost::generator(config, GENERATOR_CLASSES, size, counting)
}

/// A generator as it is used after training, with the label maps and latents it is timed on.
#[derive(Debug)]
pub struct Images<B: Backend> {
    network: Generator<B>,
    labels: LabelMaps<B>,
    latent: Tensor<B, 2>,
}

impl<B: Backend> Images<B> {
    /// Procedural scenes on the device.
    ///
    /// # Errors
    /// When a scene cannot be drawn.
    pub fn new(network: Generator<B>, settings: &Settings, device: &B::Device) -> Result<Self> {
        let Size { height, width } = settings.size;
        let batch = settings.scenes(GENERATOR_CLASSES)?;
        let shape = [batch.len, network.latent_dim()];
        let draws = SeededDraws { seed: 0 };
        Ok(Self {
            network: network.for_inference(),
            labels: label_maps(&batch.labels, None, [batch.len, height, width], device),
            latent: latents(&draws, 0, Purpose::Generate, shape, device),
        })
    }

    /// Makes the images.
    ///
    /// # Shapes
    /// - output: `[batch, 3, H, W]`
    pub fn make(&mut self) -> Tensor<B, 4> {
        let (labels, latent) = (self.labels.clone(), self.latent.clone());
        self.network.forward(labels, latent, Mode::Eval)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use dp_sims_backends::FlexAutodiff;

    use super::super::settings::tiny;
    use super::*;

    const SIZES: ProbeSizes = ProbeSizes {
        matmul: 8,
        channels: 2,
        side: 4,
        elements: 100,
    };

    fn names(measured: &Measured) -> Vec<&str> {
        let parts = measured.parts.iter();
        parts.map(|part| part.name.as_str()).collect()
    }

    #[test]
    fn a_narrow_generator_is_timed() {
        let device = Default::default();
        let measured = generator::<FlexAutodiff>(&tiny(), SIZES, &device).unwrap();
        assert_eq!(measured.seconds.len(), tiny().repeats);
        let config = tiny().generator().unwrap();
        let macs = |counting| generator_cost(&config, tiny().size, counting).total().macs;
        assert_eq!(measured.macs.executed, macs(Convention::Executed));
        assert_eq!(measured.macs.nominal, macs(Convention::Published));
        let names = names(&measured);
        assert_eq!(names[..3], ["mapping", "start", "label pyramid"]);
        assert_eq!(names[3..5], ["SPADE block 1x1", "SPADE block 2x2"]);
        assert_eq!(names[8..], ["SPADE block 32x32", "to image", "other"]);
    }

    #[test]
    fn every_part_of_a_step_is_timed_once() {
        let settings = Settings {
            repeats: 1,
            profile: true,
            ..tiny()
        };
        let device = Default::default();
        let measured = step::<FlexAutodiff>(&settings, SIZES, &device).unwrap();
        assert_eq!(
            names(&measured),
            [
                "G step: generator",
                "G step: discriminator",
                "G step: discriminator back",
                "G step: contrastive",
                "G step: contrastive back",
                "G step: diversity",
                "G step: features back",
                "G step: generator back",
                "G step: optimizer",
                "D step: fakes",
                "D step: discriminator",
                "D step: discriminator back",
                "D step: optimizer",
                "moving average",
                "other",
            ]
        );
        assert!(!measured.operations.is_empty());
    }
}
