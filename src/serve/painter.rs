use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use dp_sims_model::generator::Generator;

use super::engine::{Job, Orders};
use super::noise::Noise;
use crate::checkpoint::snapshot::Snapshot;
use crate::runtime::batch::{label_maps, to_rgb};

/// Makes what is ordered with a model, until there can be no more orders.
///
/// Two images come first, to see how long one takes; until then orders wait.
///
/// # Errors
/// When the first image cannot be made.
pub fn paint<B: Backend>(
    mut generator: Generator<B>,
    model: &Snapshot,
    orders: Orders,
    device: &B::Device,
) -> Result<()> {
    let classes = model.description.class_table().len();
    let first = Job {
        labels: (0..model.size.pixels())
            .map(|pixel| (pixel % model.size.width * classes / model.size.width) as u8)
            .collect(),
        size: model.size,
        noise: Noise {
            samples: 1,
            ..Noise::default()
        },
    };
    let mut make = |job: &Job| images(&mut generator, job, device);
    let in_vain = "the model cannot make an image";
    // The first is slower: memory is taken, and kernels are compiled.
    make(&first).context(in_vain)?;
    let started = Instant::now();
    make(&first).context(in_vain)?;
    orders.measured(started.elapsed().as_secs_f64() * 1000.0);
    orders.work(make);
    Ok(())
}

/// The images of a job as rows of RGB: those of `dp-sims generate`.
fn images<B: Backend>(
    generator: &mut Generator<B>,
    job: &Job,
    device: &B::Device,
) -> Result<Vec<Vec<u8>>> {
    let shape = [1, job.size.height, job.size.width];
    let maps = label_maps(&job.labels, None, shape, device);
    to_rgb(job.noise.images(generator, maps, device))
}
