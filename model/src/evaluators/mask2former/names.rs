//! Brings the tensors of a file into the names of the modules.

use burn::tensor::TensorData;

use super::Mask2FormerConfig;
use crate::weights::{Misshapen, StateDict, WeightsError};

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

/// The tensors of a file as transformers writes it, in the names of [`Mask2Former`]: those of Swin
/// become timm's, with queries, keys and values in one tensor, and the masked attention, where the
/// file has them in one tensor, gets one for each.
///
/// Left out are the weights of the training loss, the indices of Swin's biases, which follow from
/// the window, and the norm behind Swin's last stage, which transformers 5 stores and nothing uses.
///
/// # Errors
///
/// [`WeightsError::Mismatch`] lists what is missing or misshapen among the tensors that are joined
/// or split.
///
/// [`Mask2Former`]: super::Mask2Former
pub(super) fn converted(
    config: &Mask2FormerConfig,
    dict: StateDict,
    origin: &str,
) -> Result<StateDict, WeightsError> {
    let mut conversion = Conversion {
        dict: dict
            .into_iter()
            .filter(|(name, _)| !unused(name))
            .map(|(name, data)| (renamed(&name).unwrap_or(name), data))
            .collect(),
        missing: Vec::new(),
        misshapen: Vec::new(),
    };
    for (stage, channels) in config.swin.tap_channels().into_iter().enumerate() {
        for block in 0..config.swin.depths[stage] {
            let attention = format!("{ENCODER}swin.layers.{stage}.blocks.{block}.attn.");
            conversion.join(&attention, "weight", &[channels, channels]);
            conversion.join(&attention, "bias", &[channels]);
        }
    }
    for layer in 0..config.decoder_layers {
        let attention = format!("{DECODER}layers.{layer}.cross_attn.");
        conversion.split(&attention, "weight", &[config.hidden, config.hidden]);
        conversion.split(&attention, "bias", &[config.hidden]);
    }
    conversion.finish(origin)
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

struct Conversion {
    dict: StateDict,
    missing: Vec<String>,
    misshapen: Vec<Misshapen>,
}

impl Conversion {
    /// The values of a tensor of the given shape, taken out.
    fn take(&mut self, name: String, shape: &[usize]) -> Option<Vec<f32>> {
        let Some(data) = self.dict.remove(&name) else {
            self.missing.push(name);
            return None;
        };
        if data.shape.as_slice() == shape {
            return data.convert::<f32>().into_vec().ok();
        }
        self.misshapen.push(Misshapen {
            name,
            expected: shape.to_vec(),
            found: data.shape.as_slice().to_vec(),
        });
        None
    }

    /// Joins query, key and value of Swin to `qkv`.
    fn join(&mut self, module: &str, part: &str, shape: &[usize]) {
        let parts = ["query", "key", "value"]
            .map(|which| self.take(format!("{module}{which}.{part}"), shape));
        if let [Some(query), Some(key), Some(value)] = parts {
            let mut joint = shape.to_vec();
            joint[0] *= 3;
            let data = TensorData::new([query, key, value].concat(), joint);
            self.dict.insert(format!("{module}qkv.{part}"), data);
        }
    }

    /// Splits `in_proj` of PyTorch's attention into query, key and value.
    fn split(&mut self, module: &str, part: &str, shape: &[usize]) {
        let mut joint = shape.to_vec();
        joint[0] *= 3;
        let Some(values) = self.take(format!("{module}in_proj_{part}"), &joint) else {
            return;
        };
        let third = values.len() / 3;
        for (index, which) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
            let values = values[index * third..(index + 1) * third].to_vec();
            let data = TensorData::new(values, shape.to_vec());
            self.dict.insert(format!("{module}{which}.{part}"), data);
        }
    }

    fn finish(self, origin: &str) -> Result<StateDict, WeightsError> {
        if self.missing.is_empty() && self.misshapen.is_empty() {
            return Ok(self.dict);
        }
        Err(WeightsError::Mismatch {
            origin: origin.to_string(),
            network: "mask2former".to_string(),
            missing: self.missing,
            unused: Vec::new(),
            misshapen: self.misshapen,
        })
    }
}
