//! Latency and throughput of the generator: the row of Table 4.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use burn::tensor::backend::Backend;
use dp_sims_model::cost::{self, Convention};
use dp_sims_model::generator::{Generator, GeneratorConfig};
use dp_sims_model::layers::Mode;

use super::photos::Photos;
use super::protocol::TimingSettings;
use super::results::Timing;
use super::source::maps;
use crate::runtime::device::wait;
use crate::runtime::memory::peak;
use crate::runtime::noise::{Purpose, SeededDraws, latents};

/// Timed runs of a batch for the throughput.
const BATCH_RUNS: usize = 5;

/// Times a generator on the first label maps of a split. The clock stops when a number of the image
/// has come back from the device (notes M24).
///
/// # Errors
/// When a label map cannot be read or the device fails.
pub fn time_generator<B: Backend>(
    generator: &mut Generator<B>,
    config: &GeneratorConfig,
    photos: &Photos,
    settings: &TimingSettings,
    start_seconds: f64,
    device: &B::Device,
) -> Result<Timing> {
    for _ in 0..settings.warm_up {
        one(generator, photos, 1, device)?;
    }
    let mut seconds = Vec::with_capacity(settings.runs);
    for _ in 0..settings.runs.max(1) {
        seconds.push(one(generator, photos, 1, device)?);
    }
    let mut images_per_second = BTreeMap::new();
    for &batch in &settings.batches {
        one(generator, photos, batch, device)?;
        let mut runs = Vec::with_capacity(BATCH_RUNS);
        for _ in 0..BATCH_RUNS {
            runs.push(one(generator, photos, batch, device)?);
        }
        images_per_second.insert(batch, batch as f64 / quantile(&mut runs, 0.5));
    }
    let size = [photos.size().height, photos.size().width];
    let classes = photos.classes().len();
    let macs = |counting| {
        cost::generator(config, classes, size, counting)
            .total()
            .macs
    };
    Ok(Timing {
        runs: seconds.len(),
        mean_seconds: seconds.iter().sum::<f64>() / seconds.len() as f64,
        median_seconds: quantile(&mut seconds, 0.5),
        p95_seconds: quantile(&mut seconds, 0.95),
        images_per_second,
        parameters: cost::generator(config, classes, size, Convention::Executed)
            .total()
            .parameters,
        nominal_macs: macs(Convention::Published),
        executed_macs: macs(Convention::Executed),
        peak_memory_bytes: peak(),
        start_seconds,
    })
}

/// Seconds of one forward pass, label maps on the device before it starts.
fn one<B: Backend>(
    generator: &mut Generator<B>,
    photos: &Photos,
    batch: usize,
    device: &B::Device,
) -> Result<f64> {
    let samples = (0..batch)
        .map(|index| photos.sample(index % photos.len()))
        .collect::<Result<Vec<_>>>()?;
    let maps = maps::<B>(&samples, device);
    let shape = [batch, generator.latent_dim()];
    let latent = latents::<B>(
        &SeededDraws { seed: 0 },
        0,
        Purpose::Evaluate,
        shape,
        device,
    );
    wait(latent.clone())?;
    let started = Instant::now();
    let images = generator.forward(maps, latent, Mode::Eval);
    wait(images)?;
    Ok(started.elapsed().as_secs_f64())
}

/// The value below which a share of all values is, between two values by their distance.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = share * (values.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    values[below] + (values[above] - values[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_values() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&mut values, 0.5), 2.5);
        assert_eq!(quantile(&mut values, 0.0), 1.0);
        assert_eq!(quantile(&mut values, 1.0), 4.0);
        let mut hundred: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(quantile(&mut hundred, 0.95), 95.0);
        assert_eq!(quantile(&mut [7.0], 0.95), 7.0);
    }
}
