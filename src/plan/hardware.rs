use anyhow::{Result, ensure};
use serde::Serialize;

use crate::config::{Experiment, RunConfig};

/// The devices that a run is planned for, all alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hardware {
    /// Devices.
    pub gpus: usize,
    /// Memory of each in GiB.
    pub memory_gib: f64,
    /// Operations per second that each sustains in training, in 10¹²: not the peak of its data sheet.
    pub tflops: f64,
    /// Price of a device for an hour, in any currency.
    pub price: Option<f64>,
    /// Bytes per second between neighbours in a ring of the devices, in 10⁹.
    pub bandwidth: Option<f64>,
}

/// What one device does of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Images of a step on one device.
    pub images: usize,
    /// Passes whose gradients it adds up.
    pub passes: usize,
    /// Images of a pass: those whose statistics and activations are in memory at once.
    pub batch: usize,
}

impl Share {
    /// The images of a step, `run.batch` times `run.accumulation`, shared equally by so many devices, in
    /// as few passes as keep to `run.batch` images each.
    ///
    /// # Errors
    /// When they cannot be shared equally.
    pub fn of(run: &RunConfig, gpus: usize) -> Result<Self> {
        let RunConfig {
            batch,
            accumulation,
            ..
        } = *run;
        let total = batch * accumulation;
        ensure!(
            total.is_multiple_of(gpus),
            "configuration key `run.accumulation`: a step has {total} images, {batch} (run.batch) x \
             {accumulation}, which {gpus} devices cannot share equally: change run.accumulation or \
             run.batch, or give --gpus a divisor of {total}"
        );
        let images = total / gpus;
        let fewest = images.div_ceil(batch);
        let passes = (fewest..=images)
            .find(|passes| images.is_multiple_of(*passes))
            .unwrap_or(images);
        Ok(Self {
            images,
            passes,
            batch: images / passes,
        })
    }

    /// The experiment as one device runs it.
    pub fn experiment(&self, experiment: &Experiment) -> Experiment {
        let mut own = experiment.clone();
        own.run.batch = self.batch;
        own.run.accumulation = self.passes;
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(batch: usize, accumulation: usize, gpus: usize) -> Result<Share> {
        let run = RunConfig {
            batch,
            accumulation,
            ..RunConfig::default()
        };
        Share::of(&run, gpus)
    }

    #[test]
    fn devices_share_the_images_of_a_step() {
        for (run, gpus, expected) in [
            ([8, 8], 1, [64, 8, 8]),
            ([8, 8], 4, [16, 2, 8]),
            ([8, 8], 8, [8, 1, 8]),
            // The paper's two nodes: four images on each device.
            ([8, 8], 16, [4, 1, 4]),
            // Five images in passes of four at most: no two equal ones.
            ([4, 5], 4, [5, 5, 1]),
            ([4, 3], 2, [6, 2, 3]),
        ] {
            let [images, passes, batch] = expected;
            let expected = Share {
                images,
                passes,
                batch,
            };
            assert_eq!(share(run[0], run[1], gpus).unwrap(), expected);
        }
        let error = share(8, 8, 6).unwrap_err().to_string();
        for part in ["`run.accumulation`", "64 images", "6 devices", "--gpus"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
