//! What a checkpoint of a run holds, and how a run is put together again from one.

use anyhow::Result;
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_datasets::Description;
use dp_sims_model::buffers::buffer_names;
use dp_sims_model::generator::Generator;
use dp_sims_model::weights::{load_state_dict, state_dict};

use super::optimizer::{load_optimizer_state, optimizer_state};
use super::step::Training;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::snapshot::{Make, State, generator_files, read_state, tensors, weights};
use crate::config::Experiment;

/// Files of a checkpoint: names and what makes the contents, which fails with
/// [`NotFinite`](crate::checkpoint::snapshot::NotFinite) where there is such a number. `ready` is the
/// averaged generator with refreshed statistics: what people generate from.
///
/// Where one content is made at a time, the memory of the largest of them is needed twice, not that
/// of all.
pub fn files<'a, B: AutodiffBackend>(
    training: &'a Training<B>,
    ready: &'a Generator<B::InnerBackend>,
    state: &'a State,
    experiment: &'a Experiment,
    description: &'a Description,
) -> Vec<(String, Make<'a>)> {
    let mut files = trained_files(training);
    files.extend(generator_files(ready, state, experiment, description));
    files
}

/// Those of the files that hold what a step changes.
pub(super) fn trained_files<B: AutodiffBackend>(training: &Training<B>) -> Vec<(String, Make<'_>)> {
    let networks = &training.networks;
    let generator = &networks.generator;
    let discriminator = &networks.discriminator;
    let mut files = vec![
        weights("generator.safetensors", move || state_dict(generator)),
        weights("ema_buffers.safetensors", move || {
            let mut buffers = state_dict(&networks.ema);
            let names = buffer_names(generator);
            buffers.retain(|name, _| names.contains(name));
            buffers
        }),
        weights("discriminator.safetensors", move || {
            state_dict(discriminator)
        }),
        weights("optimizer_generator.safetensors", move || {
            optimizer_state(&training.optimizer_generator, generator)
        }),
        weights("optimizer_discriminator.safetensors", move || {
            optimizer_state(&training.optimizer_discriminator, discriminator)
        }),
    ];
    if let Some((projector, _)) = &networks.contrastive {
        files.push(weights("projector.safetensors", move || {
            state_dict(projector)
        }));
        files.push(weights("optimizer_projector.safetensors", move || {
            optimizer_state(&training.optimizer_projector, projector)
        }));
    }
    files
}

/// Puts networks and optimizers into the state of a checkpoint.
///
/// # Errors
/// When a file does not fit the networks; the error names file and tensor.
pub fn restore<B: AutodiffBackend>(
    mut training: Training<B>,
    checkpoint: &Checkpoint,
) -> Result<Training<B>> {
    if training.loss_scale.is_some() {
        // A run that computed in another type before begins with the first one.
        let saved = read_state(checkpoint)?.loss_scale;
        training.loss_scale = saved.or(training.loss_scale);
    }
    let read = |name: &str| tensors(checkpoint, name);
    let networks = &mut training.networks;
    let (state, origin) = read("generator")?;
    networks.generator = load_state_dict(networks.generator.clone(), &state, &origin)?;
    let (mut state, origin) = read("ema")?;
    state.extend(read("ema_buffers")?.0);
    networks.ema = load_state_dict(networks.generator.valid(), &state, &origin)?;
    let (state, origin) = read("discriminator")?;
    networks.discriminator = load_state_dict(networks.discriminator.clone(), &state, &origin)?;
    let (state, origin) = read("optimizer_generator")?;
    training.optimizer_generator = load_optimizer_state(
        training.optimizer_generator,
        &networks.generator,
        state,
        &origin,
    )?;
    let (state, origin) = read("optimizer_discriminator")?;
    training.optimizer_discriminator = load_optimizer_state(
        training.optimizer_discriminator,
        &networks.discriminator,
        state,
        &origin,
    )?;
    if let Some((projector, _)) = &mut networks.contrastive {
        let (state, origin) = read("projector")?;
        *projector = load_state_dict(projector.clone(), &state, &origin)?;
        let (state, origin) = read("optimizer_projector")?;
        training.optimizer_projector =
            load_optimizer_state(training.optimizer_projector, projector, state, &origin)?;
    }
    Ok(training)
}
