//! Where the tensors of a published file go in a module.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::backend::Backend;

use crate::backbones::fold::{FoldedLayer, fold_some};
use crate::weights::{StateDict, WeightsError, check, load_network, shapes};

/// Batch norm epsilon, PyTorch's default, of all networks here.
const EPSILON: f64 = 1e-5;
/// Tensors of a batch norm in inference mode, one number per channel each.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// A convolution: its name in the file, that of the batch norm behind it if there is one, and its
/// name in the module.
#[derive(Debug, Clone)]
pub(super) struct FileLayer {
    conv: String,
    norm: Option<String>,
    module: String,
}

impl FileLayer {
    /// A convolution without bias and its batch norm, which will be folded into it.
    pub(super) fn normed(
        conv: impl Into<String>,
        norm: impl Into<String>,
        module: impl Into<String>,
    ) -> Self {
        Self {
            conv: conv.into(),
            norm: Some(norm.into()),
            module: module.into(),
        }
    }

    /// A convolution without batch norm; it has a bias in the file where the module has one.
    pub(super) fn plain(conv: impl Into<String>, module: impl Into<String>) -> Self {
        Self {
            conv: conv.into(),
            norm: None,
            module: module.into(),
        }
    }
}

/// Names and shapes of the tensors of the file that `network` reads.
///
/// Tensors of the module that no layer stands for keep their names.
pub(super) fn file_shapes<B: Backend, M: Module<B>>(
    network: &M,
    layers: &[FileLayer],
) -> BTreeMap<String, Vec<usize>> {
    let mut module = shapes(network);
    let mut file = BTreeMap::new();
    for layer in layers {
        let [weight, bias] =
            ["weight", "bias"].map(|part| module.remove(&format!("{}.{part}", layer.module)));
        if let Some(weight) = weight {
            file.insert(format!("{}.weight", layer.conv), weight);
        }
        let Some(bias) = bias else { continue };
        match &layer.norm {
            Some(norm) => {
                file.extend(NORM.map(|part| (format!("{norm}.{part}"), bias.clone())));
            }
            None => {
                file.insert(format!("{}.bias", layer.conv), bias);
            }
        }
    }
    file.extend(module);
    file
}

/// Loads the tensors of a file into the network `name`, batch norms folded.
///
/// Counters of batch norms (`num_batches_tracked`) are left out; every other tensor must be one of
/// `layers`, and all of these must be there.
///
/// # Errors
///
/// [`WeightsError::Mismatch`] lists missing, unknown and misshapen tensors by their names in the
/// file.
pub(super) fn load_layers<B: Backend, M: Module<B>>(
    network: M,
    mut dict: StateDict,
    layers: &[FileLayer],
    origin: &str,
    name: &str,
) -> Result<M, WeightsError> {
    dict.retain(|tensor, _| !tensor.ends_with("num_batches_tracked"));
    check(&file_shapes(&network, layers), &dict, origin, name)?;
    let folded: Vec<FoldedLayer> = layers
        .iter()
        .filter_map(|layer| Some(FoldedLayer::new("", &layer.conv, layer.norm.as_ref()?)))
        .collect();
    let mut dict = fold_some(dict, &folded, EPSILON, origin, name)?;
    let mut converted = StateDict::new();
    for layer in layers {
        for part in ["weight", "bias"] {
            if let Some(data) = dict.remove(&format!("{}.{part}", layer.conv)) {
                converted.insert(format!("{}.{part}", layer.module), data);
            }
        }
    }
    load_network(network, &converted, origin, name)
}
