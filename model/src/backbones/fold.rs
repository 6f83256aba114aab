use burn::tensor::TensorData;

use crate::weights::{Misshapen, StateDict, WeightsError};

/// A convolution without bias and the batch norm behind it.
pub(crate) struct FoldedLayer {
    conv: String,
    norm: String,
}

impl FoldedLayer {
    /// Names of the modules behind a common prefix.
    pub(crate) fn new(prefix: &str, conv: &str, norm: &str) -> Self {
        Self {
            conv: format!("{prefix}{conv}"),
            norm: format!("{prefix}{norm}"),
        }
    }
}

/// Folds batch norm in inference mode into the convolution before it: the weight is scaled by
/// γ / √(σ² + ε), the bias becomes β - μ γ / √(σ² + ε).
///
/// A frozen network needs no batch norm modules then, and cannot drift by updating statistics.
///
/// # Errors
///
/// [`WeightsError::Mismatch`] lists missing and unknown tensors and statistics of a wrong length.
pub(crate) fn fold(
    mut dict: StateDict,
    layers: &[FoldedLayer],
    epsilon: f64,
    origin: &str,
    network: &str,
) -> Result<StateDict, WeightsError> {
    let folded = fold_layers(&mut dict, layers, epsilon);
    folded.all(dict.into_keys().collect(), origin, network)
}

/// Like [`fold`], for a network that also has layers without batch norm: tensors that belong to no
/// layer of `layers` stay as they are, for the strict loading that follows.
///
/// # Errors
///
/// [`WeightsError::Mismatch`] lists missing tensors and statistics of a wrong length.
pub(crate) fn fold_some(
    mut dict: StateDict,
    layers: &[FoldedLayer],
    epsilon: f64,
    origin: &str,
    network: &str,
) -> Result<StateDict, WeightsError> {
    let folded = fold_layers(&mut dict, layers, epsilon);
    dict.extend(folded.all(Vec::new(), origin, network)?);
    Ok(dict)
}

/// What folding took out of a dictionary.
struct Folded {
    folded: StateDict,
    missing: Vec<String>,
    misshapen: Vec<Misshapen>,
}

impl Folded {
    /// The folded tensors, if nothing is wrong with them and nothing was left over.
    fn all(
        self,
        unused: Vec<String>,
        origin: &str,
        network: &str,
    ) -> Result<StateDict, WeightsError> {
        if self.missing.is_empty() && self.misshapen.is_empty() && unused.is_empty() {
            return Ok(self.folded);
        }
        Err(WeightsError::Mismatch {
            origin: origin.to_string(),
            network: network.to_string(),
            missing: self.missing,
            unused,
            misshapen: self.misshapen,
        })
    }
}

fn fold_layers(dict: &mut StateDict, layers: &[FoldedLayer], epsilon: f64) -> Folded {
    let mut folded = StateDict::new();
    let mut missing = Vec::new();
    let mut misshapen = Vec::new();
    for layer in layers {
        let mut take = |name: String| {
            let found = dict.remove(&name);
            if found.is_none() {
                missing.push(name);
            }
            found
        };
        let weight = take(format!("{}.weight", layer.conv));
        let statistics = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| take(format!("{}.{part}", layer.norm)));
        let (Some(weight), [Some(gamma), Some(beta), Some(mean), Some(variance)]) =
            (weight, statistics)
        else {
            continue;
        };
        let channels = weight.shape.as_slice().first().copied().unwrap_or(0);
        let parts = [("weight", &gamma), ("bias", &beta), ("running_mean", &mean)];
        let before = misshapen.len();
        for (part, data) in parts.into_iter().chain([("running_var", &variance)]) {
            if data.shape.as_slice() != [channels] {
                misshapen.push(Misshapen {
                    name: format!("{}.{part}", layer.norm),
                    expected: vec![channels],
                    found: data.shape.as_slice().to_vec(),
                });
            }
        }
        if misshapen.len() > before || channels == 0 {
            continue;
        }
        let scale: Vec<f64> = gamma
            .iter::<f64>()
            .zip(variance.iter::<f64>())
            .map(|(gamma, variance)| gamma / (variance + epsilon).sqrt())
            .collect();
        let bias: Vec<f32> = beta
            .iter::<f64>()
            .zip(mean.iter::<f64>())
            .zip(&scale)
            .map(|((beta, mean), scale)| (beta - mean * scale) as f32)
            .collect();
        let per_channel = weight.num_elements() / channels;
        let values: Vec<f32> = weight
            .iter::<f64>()
            .enumerate()
            .map(|(index, value)| (value * scale[index / per_channel]) as f32)
            .collect();
        let shape = weight.shape.clone();
        folded.insert(
            format!("{}.weight", layer.conv),
            TensorData::new(values, shape),
        );
        folded.insert(
            format!("{}.bias", layer.conv),
            TensorData::new(bias, [channels]),
        );
    }
    Folded {
        folded,
        missing,
        misshapen,
    }
}
