//! The files of a checkpoint that a generator takes: what writes them, and what reads them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::Backend;
use dp_sims_datasets::Description;
use dp_sims_model::generator::{Generator, GeneratorConfig};
use dp_sims_model::weights::{
    SafetensorsLayout, StateDict, WeightsError, first_not_finite, load_owned_state_dict,
    state_dict, to_safetensors_bytes,
};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::config::Experiment;

/// Version of the set of files and of the tensor names in them.
const FORMAT: u32 = 1;

/// File of the averaged generator.
pub const AVERAGED_GENERATOR: &str = "ema.safetensors";

/// Counters of a run: `state.json`. There is no random state; every random number is a function
/// of the seed and these counters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of the checkpoint's layout.
    pub format: u32,
    /// Finished steps.
    pub step: u64,
    /// Real images consumed.
    pub images_seen: u64,
    /// Version of the program that wrote the checkpoint.
    pub software: String,
    /// Backend that computed it.
    pub backend: String,
    /// BLAKE3 of the frozen networks it was trained over, by the table of the experiment that names them;
    /// none in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frozen: BTreeMap<String, String>,
    /// The experiment as it was named, as TOML, without `--set` and other flags: what the one that is named
    /// when the run is resumed is compared with. None where nothing was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<String>,
    /// What the run passes over because it lost its numbers with it, ascending: by their number, from 0,
    /// in the order of the data, the batches that one step would have taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<u64>,
    /// What the next step multiplies its losses by, where the experiment computes in a type that needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
}

/// What losses are multiplied by before they run backward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// A power of two.
    pub factor: f64,
    /// Steps since it last changed, in which all gradients were finite.
    pub finite_steps: u32,
}

impl State {
    /// State after `step` steps.
    pub fn new(step: u64, images_seen: u64, backend: &str) -> Self {
        let software = format!("dp-sims {}", env!("CARGO_PKG_VERSION"));
        Self {
            format: FORMAT,
            step,
            images_seen,
            software,
            backend: backend.to_string(),
            frozen: BTreeMap::new(),
            named: None,
            skipped: Vec::new(),
            loss_scale: None,
        }
    }
}

/// A number in the weights of a run, or in the state of its optimizers, that is none.
#[derive(Clone, Debug, thiserror::Error)]
#[error("tensor `{tensor}` of {file} holds {value}")]
pub struct NotFinite {
    /// File of the checkpoint that would have held it.
    pub file: &'static str,
    /// Name of the tensor.
    pub tensor: String,
    /// Infinity or not a number.
    pub value: f32,
}

/// Makes the content of a file of a checkpoint.
pub type Make<'a> = Box<dyn FnOnce() -> Result<Vec<u8>> + 'a>;

/// The files that making images takes: the generator `ready` for use, and what says how it is built and
/// what its classes are.
pub fn generator_files<'a, B: Backend>(
    ready: &'a Generator<B>,
    state: &'a State,
    experiment: &'a Experiment,
    description: &'a Description,
) -> Vec<(String, Make<'a>)> {
    vec![
        weights(AVERAGED_GENERATOR, move || state_dict(ready)),
        (
            "state.json".to_string(),
            Box::new(move || Ok(serde_json::to_vec_pretty(state)?)),
        ),
        (
            "config.toml".to_string(),
            Box::new(move || Ok(toml::to_string(experiment)?.into_bytes())),
        ),
        (
            "dataset.toml".to_string(),
            Box::new(move || Ok(toml::to_string(description)?.into_bytes())),
        ),
    ]
}

/// A file of tensors, all of which are finite.
pub(crate) fn weights<'a>(
    file: &'static str,
    state: impl FnOnce() -> StateDict + 'a,
) -> (String, Make<'a>) {
    let make = move || {
        let state = state();
        refuse_not_finite(file, &state)?;
        Ok(to_safetensors_bytes(&state)?)
    };
    (file.to_string(), Box::new(make))
}

fn refuse_not_finite(file: &'static str, state: &StateDict) -> Result<(), NotFinite> {
    for (tensor, data) in state {
        // All that is trained is in single precision.
        if let Some((_, value)) = first_not_finite(data) {
            let tensor = tensor.clone();
            return Err(NotFinite {
                file,
                tensor,
                value,
            });
        }
    }
    Ok(())
}

/// The counters of a checkpoint.
///
/// # Errors
/// When the file is not what this version writes.
pub fn read_state(checkpoint: &Checkpoint) -> Result<State> {
    let path = checkpoint.path().join("state.json");
    let state: State = serde_json::from_slice(&checkpoint.read("state.json")?)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        state.format == FORMAT,
        "{}: checkpoint format {} is not format {FORMAT}, which this version reads",
        path.display(),
        state.format
    );
    Ok(state)
}

/// The resolved experiment of a checkpoint.
///
/// # Errors
/// When the file is not valid.
pub fn read_experiment(checkpoint: &Checkpoint) -> Result<Experiment> {
    read_toml(checkpoint, "config.toml")
}

/// The dataset description of a checkpoint.
///
/// # Errors
/// When the file is not valid.
pub fn read_description(checkpoint: &Checkpoint) -> Result<Description> {
    read_toml(checkpoint, "dataset.toml")
}

fn read_toml<T: serde::de::DeserializeOwned>(checkpoint: &Checkpoint, name: &str) -> Result<T> {
    let path = checkpoint.path().join(name);
    let text = String::from_utf8(checkpoint.read(name)?)
        .with_context(|| format!("{} is not text", path.display()))?;
    toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
}

/// The files that [`read_generator`], [`read_experiment`] and [`read_description`] read.
pub const GENERATOR_FILES: [&str; 3] = [AVERAGED_GENERATOR, "config.toml", "dataset.toml"];

/// The averaged generator of a checkpoint, for label maps with `classes` classes, void included.
///
/// # Errors
/// When its file is missing or damaged, or does not fit the configuration.
pub fn read_generator<B: Backend>(
    checkpoint: &Checkpoint,
    config: &GeneratorConfig,
    classes: usize,
    device: &B::Device,
) -> Result<Generator<B>> {
    let generator = config.init_unset(classes, device)?;
    let (state, origin) = tensors(checkpoint, "ema")?;
    Ok(load_owned_state_dict(generator, state, &origin)?.for_inference())
}

/// Tensors of one file of a checkpoint, and its path for error messages.
///
/// # Errors
/// When the file is missing or damaged.
pub fn tensors(checkpoint: &Checkpoint, name: &str) -> Result<(StateDict, String)> {
    let file = format!("{name}.safetensors");
    let origin = checkpoint.path().join(&file).display().to_string();
    let (layout, parts) = checkpoint.read_parts(&file, |reader, length| {
        let layout = SafetensorsLayout::read(reader, length, &origin)?;
        let ends = layout.ends();
        Ok::<_, WeightsError>((layout, ends))
    })??;
    Ok((layout.tensors(parts)?, origin))
}
