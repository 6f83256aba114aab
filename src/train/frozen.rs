//! Which weights the frozen networks of a run have: those must stay when it is resumed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use blake3::Hasher;
use burn::module::Module;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_model::backbones::BackboneKind;
use dp_sims_model::weights::state_dict;

use super::networks::Networks;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::snapshot::State;
use crate::config::{Experiment, Weights};
use crate::weights::BackboneFile;

/// Digits of a hash that a message shows.
const SHOWN: usize = 12;

/// BLAKE3 over names, shapes and values of the frozen networks, by the table of the experiment that
/// names them. Of the networks and not of their files: one network may come from files of several formats.
pub(super) fn frozen_hashes<B: AutodiffBackend>(
    networks: &Networks<B>,
    experiment: &Experiment,
) -> BTreeMap<String, String> {
    let mut hashes = BTreeMap::new();
    if let Some(backbone) = &networks.backbone {
        hashes.insert("backbone".to_string(), hash(&backbone.plain));
    }
    match &networks.contrastive {
        Some((_, network)) if networks.backbone.is_none() || !experiment.shares_features() => {
            hashes.insert("loss.contrastive".to_string(), hash(&network.plain));
        }
        _ => {}
    }
    hashes
}

fn hash<B: Backend, M: Module<B>>(network: &M) -> String {
    let mut hasher = Hasher::new();
    // The length in front of every part keeps neighbours from running into each other.
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    for (name, data) in state_dict(network) {
        add(name.as_bytes());
        add(format!("{:?}", data.shape).as_bytes());
        add(data.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Refuses to go on from a checkpoint over other frozen weights than it was trained over, which would
/// train on as if nothing had happened. Checkpoints of earlier versions do not tell theirs.
///
/// # Errors
/// Names the network, the file it is in now, both hashes and the way on.
pub(super) fn refuse_other_weights(
    checkpoint: &Checkpoint,
    state: &State,
    hashes: &BTreeMap<String, String>,
    experiment: &Experiment,
    folder: &Path,
) -> Result<()> {
    for (table, now) in hashes {
        let Some(before) = state.frozen.get(table).filter(|&before| before != now) else {
            continue;
        };
        let term = &experiment.loss.contrastive;
        let (kind, weights) = match table.as_str() {
            "backbone" => (experiment.backbone.network, &experiment.backbone.weights),
            _ => (term.network, &term.weights),
        };
        let [before, now] = [before, now].map(|hash| hash.get(..SHOWN).unwrap_or(hash));
        bail!(
            "{} was trained over other weights of `{table}`: {} has the hash {now}, those of then had \
             {before}. Put the former file back or name its folder with --weights, or begin another run \
             without --resume, with --out",
            checkpoint.path().display(),
            place(kind, weights, folder)
        );
    }
    Ok(())
}

/// Where the weights of a network are, for messages.
fn place(kind: BackboneKind, weights: &Weights, folder: &Path) -> String {
    match BackboneFile::find(kind, weights, folder) {
        Ok(BackboneFile::File(path)) => path.display().to_string(),
        _ => format!("what this program has of {}", kind.name()),
    }
}
