//! Brings the tensors of a file into the names of the modules.

use dp_sims_model::weights::{FileLayer, KeyMap, StateDict};

use super::Mask2FormerConfig;

/// What all names of the backbone begin with.
pub(super) const ENCODER: &str = "model.pixel_level_module.encoder.";
/// What all names of the layers of masked attention begin with.
pub(super) const DECODER: &str = "model.transformer_module.decoder.";

/// Parts of a Swin block: in the files, and in timm.
const BLOCK: [(&str, &str); 6] = [
    ("layernorm_before.", "norm1."),
    ("layernorm_after.", "norm2."),
    ("attention.self.", "attn."),
    ("attention.output.dense.", "attn.proj."),
    ("intermediate.dense.", "mlp.fc1."),
    ("output.dense.", "mlp.fc2."),
];

/// From the tensors of a file as transformers writes it to those of [`Mask2Former`]: Swin's get timm's
/// names, with queries, keys and values in one tensor, and masked attention, where the file has them
/// in one tensor, gets one for each.
///
/// Left out are the weights of the training loss, the indices of Swin's biases, which follow from
/// the window, and the norm behind Swin's last stage, which transformers 5 stores and nothing uses.
///
/// [`Mask2Former`]: super::Mask2Former
pub(super) fn keys(config: &Mask2FormerConfig) -> KeyMap<'static> {
    let mut layers = Vec::new();
    for (stage, &depth) in config.swin.depths.iter().enumerate() {
        for block in 0..depth {
            let attention = format!("{ENCODER}swin.layers.{stage}.blocks.{block}.attn.");
            for part in ["weight", "bias"] {
                layers.push(FileLayer::Joined {
                    parts: ["query", "key", "value"].map(|of| format!("{attention}{of}.{part}")),
                    whole: format!("{attention}qkv.{part}"),
                });
            }
        }
    }
    for layer in 0..config.decoder_layers {
        let attention = format!("{DECODER}layers.{layer}.cross_attn.");
        for part in ["weight", "bias"] {
            layers.push(FileLayer::Split {
                whole: format!("{attention}in_proj_{part}"),
                parts: ["q_proj", "k_proj", "v_proj"].map(|of| format!("{attention}{of}.{part}")),
            });
        }
    }
    let names = |dict: StateDict| {
        let used = dict.into_iter().filter(|(name, _)| !unused(name));
        used.map(|(name, data)| (renamed(&name).unwrap_or(name), data))
            .collect()
    };
    KeyMap::new("mask2former")
        .with_names(names)
        .with_layers(layers)
}

/// Whether a tensor is no part of the network at inference.
fn unused(name: &str) -> bool {
    let backbone = name.strip_prefix(ENCODER);
    name == "criterion.empty_weight"
        || backbone.is_some_and(|name| {
            name.starts_with("swin.layernorm.") || name.ends_with(".relative_position_index")
        })
}

/// The module's name of a tensor; `None` where it is that of the file.
fn renamed(name: &str) -> Option<String> {
    if let Some(part) = name.strip_prefix(ENCODER) {
        return Some(format!("{ENCODER}{}", backbone_name(part)?));
    }
    // Layers of linear map and activation, whose only tensors are those of the map.
    let head = format!("{DECODER}mask_predictor.mask_embedder.");
    let (layer, part) = name.strip_prefix(&head)?.split_once(".0.")?;
    Some(format!("{head}{layer}.{part}"))
}

fn backbone_name(name: &str) -> Option<String> {
    if let Some(part) = name.strip_prefix("embeddings.patch_embeddings.projection.") {
        return Some(format!("swin.patch_embed.proj.{part}"));
    }
    if let Some(part) = name.strip_prefix("embeddings.norm.") {
        return Some(format!("swin.patch_embed.norm.{part}"));
    }
    if let Some(part) = name.strip_prefix("hidden_states_norms.stage") {
        let (stage, part) = part.split_once('.')?;
        let stage = stage.parse::<usize>().ok()?.checked_sub(1)?;
        return Some(format!("hidden_states_norms.{stage}.{part}"));
    }
    let (stage, part) = name.strip_prefix("encoder.layers.")?.split_once('.')?;
    if part.starts_with("downsample.") {
        // The files reduce the resolution at the end of a stage, timm at its beginning.
        let stage = stage.parse::<usize>().ok()?.checked_add(1)?;
        return Some(format!("swin.layers.{stage}.{part}"));
    }
    let (block, part) = part.strip_prefix("blocks.")?.split_once('.')?;
    let (from, to) = BLOCK.iter().find(|(from, _)| part.starts_with(from))?;
    let part = &part[from.len()..];
    Some(format!("swin.layers.{stage}.blocks.{block}.{to}{part}"))
}
