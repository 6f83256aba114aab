//! How much memory a run will take, before any of it is taken.

use anyhow::{Result, bail};
use serde::Serialize;

use super::costs::step_parameters;
use crate::config::{Experiment, keys_of_size, with_default};
use crate::runtime::units::memory;

/// Share of the estimate of a step that is certain: what is counted as kept for the backward pass may
/// partly be freed before the rest is made.
const CERTAIN: f64 = 0.5;

/// Floats that the generator step keeps per pixel of the batch: for every tensor that a backward
/// pass needs, its channels over the square of its stride. Counts the maps of SPADE blocks,
/// decoder blocks and both full-resolution branches; an estimate, not an account.
fn activation_floats_per_pixel(experiment: &Experiment) -> f64 {
    let generator = &experiment.generator;
    let (widths, channels) = (generator.widths(), &generator.encoder_channels);
    let coarsest = channels[channels.len() - 1];
    let area = |stride: usize| 1.0 / (stride * stride) as f64;
    let pair = if experiment.loss.has_pairs() {
        2.0
    } else {
        1.0
    };
    let mut floats = 0.0;
    for block in 0..generator.blocks() {
        let area = area(generator.start_stride() >> block);
        let middle = widths[block].min(widths[block + 1]);
        let condition = coarsest + channels[generator.blocks() - block];
        // Per SPADE: normalised, gamma, beta, modulated, activated; two or three of them.
        let spades = 2 * widths[block] + middle;
        floats += pair * area * (7 * spades + 2 * widths[block + 1] + 2 * condition) as f64;
        floats += pair * area * (6 * channels[generator.blocks() - block]) as f64;
    }
    let decoder = &experiment.discriminator.decoder_channels;
    for (index, &width) in decoder.iter().enumerate() {
        floats += area(1 << (decoder.len() - index - 1)) * (8 * width) as f64;
    }
    let full = &experiment.discriminator;
    floats + (6 * full.full_resolution_channels * full.full_resolution_blocks) as f64
}

/// Memory of a run in bytes, by what it is for. An estimate, not an account.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Weights, gradients, the state of the optimizers and the moving average.
    #[serde(rename = "state_bytes")]
    pub state: f64,
    /// What a step keeps for its backward passes.
    #[serde(rename = "step_bytes")]
    pub step: f64,
    /// Batches of a step, and those that refresh the average.
    #[serde(rename = "batches_bytes")]
    pub batches: f64,
    /// Batches that are kept ready and the preview: memory of the processor, on any backend.
    #[serde(rename = "host_bytes")]
    pub host: f64,
}

impl Estimate {
    /// Of an experiment for so many classes, void included.
    pub fn of(experiment: &Experiment, classes: usize) -> Self {
        let parameters = step_parameters(experiment, classes);
        let state: f64 = parameters
            .iter()
            .map(|(name, &count)| {
                // Weight, gradient and the two moments of Adam; the average of the generator.
                let copies = match name.as_str() {
                    "generator" => 5.0,
                    "discriminator" | "projector" => 4.0,
                    _ => 1.0,
                };
                4.0 * copies * count as f64
            })
            .sum();
        let (run, data) = (&experiment.run, &experiment.data);
        let pixels = data.height as f64 * data.width as f64;
        let batch = run.batch as f64 * pixels;
        let offsets = if experiment.generator.offsets {
            8.0
        } else {
            0.0
        };
        // Photos and label maps are bytes; on the device labels are four bytes.
        let ready = (data.queue + data.workers) as f64 * batch * (4.0 + offsets);
        let refresh = experiment.ema.refresh_batches as f64 * batch * (4.0 + offsets);
        let tiles = run.preview_rows as f64 * (run.preview_samples + 2) as f64;
        let passes = run.accumulation as f64 * batch * (16.0 + offsets);
        Self {
            state,
            step: activation_floats_per_pixel(experiment) * batch * 4.0,
            batches: refresh + passes,
            host: ready + 6.0 * tiles * pixels,
        }
    }

    /// What lies on the device.
    pub fn device(&self) -> f64 {
        self.state + self.step + self.batches
    }

    /// What of it is for what, on the device and beside it.
    pub fn rows(&self) -> [(&'static str, f64); 4] {
        [
            ("weights and optimizers", self.state),
            ("a step", self.step),
            ("batches", self.batches),
            ("beside the device", self.host),
        ]
    }

    /// What is needed at the least.
    fn least(&self) -> f64 {
        self.state + CERTAIN * self.step + self.batches + self.host
    }
}

/// Whether a run may fit into `available` bytes.
pub(crate) fn fits(experiment: &Experiment, classes: usize, available: u64) -> bool {
    Estimate::of(experiment, classes).least() <= available as f64
}

/// Refuses a run that cannot fit into `available` bytes, before anything is made.
///
/// # Errors
/// Names the key that would save the most, and what is there and what it would take.
pub(super) fn refuse_what_cannot_fit(
    experiment: &Experiment,
    classes: usize,
    available: u64,
) -> Result<()> {
    let needed = Estimate::of(experiment, classes).least();
    if needed <= available as f64 {
        return Ok(());
    }
    // The key that saves the most by its default; where all have it, images at once.
    let mut key = ("run.batch", experiment.run.batch.to_string());
    let mut least = needed;
    for candidate in keys_of_size() {
        let Some((other, value)) = with_default(experiment, candidate) else {
            continue;
        };
        let needed = Estimate::of(&other, classes).least();
        if needed < least {
            (least, key) = (needed, (candidate, value));
        }
    }
    let (key, value) = key;
    let (needed, available) = (memory(needed as u64), memory(available));
    bail!(
        "configuration key `{key}`: with {value} the run takes about {needed} of memory, and there are \
         {available}: lower it, or other sizes"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    const GIB: u64 = 1 << 30;

    fn problem(settings: &[&str]) -> Option<String> {
        let settings: Vec<String> = settings.iter().map(|text| text.to_string()).collect();
        let experiment = load("quickstart", &settings).unwrap();
        experiment.validate().unwrap();
        let refused = refuse_what_cannot_fit(&experiment, 15, 16 * GIB);
        refused.err().map(|error| error.to_string())
    }

    #[test]
    fn what_fits_is_not_refused_and_what_cannot_is_with_its_key() {
        assert_eq!(problem(&[]), None);
        assert_eq!(problem(&["run.batch=16"]), None);
        for (setting, key) in [
            ("run.batch=65536", "run.batch"),
            ("generator.base_width=8192", "generator.base_width"),
            ("generator.tokens=8192", "generator.tokens"),
            (
                "discriminator.full_resolution_channels=8192",
                "discriminator.full_resolution_channels",
            ),
            ("ema.refresh_batches=100000", "ema.refresh_batches"),
            ("run.preview_rows=1000", "run.preview_rows"),
            ("data.queue=65536", "data.queue"),
            ("data.height=65504", "data.height"),
        ] {
            let mut settings = vec![setting];
            // Some are large only together with another one.
            settings.extend(match key {
                "generator.tokens" => {
                    vec!["generator.mapping_width=8192", "generator.token_dim=64"]
                }
                "run.preview_rows" => vec!["run.preview_samples=1000"],
                "data.queue" => vec!["run.batch=32"],
                "ema.refresh_batches" => vec!["run.batch=32"],
                "data.height" => vec!["data.width=1024"],
                _ => Vec::new(),
            });
            let text = problem(&settings).unwrap_or_else(|| panic!("{setting} is let through"));
            assert!(text.contains(&format!("`{key}`")), "{setting}: {text}");
            assert!(text.contains("16.00 GiB"), "{text}");
        }
    }
}
