//! How the tensors of a published file become those of a module.

use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};

use burn::module::Module;
use burn::tensor::{TensorData, backend::Backend};

use super::fold::{NORM, fold};
use super::state::{check, load_network, shapes};
use super::{StateDict, WeightsError};

/// Epsilon of PyTorch's batch norm.
const EPSILON: f64 = 1e-5;

/// How the tensors of a published file become those of a module, for networks that are used as they
/// were trained.
///
/// Tensors that no [`FileLayer`] stands for are the same in both, under the same name.
pub struct KeyMap<'a> {
    network: String,
    names: Option<Box<dyn Fn(StateDict) -> StateDict + 'a>>,
    layers: Vec<FileLayer>,
    epsilon: f64,
}

/// Tensors that a file and a module hold in different ways.
#[derive(Debug, Clone)]
pub enum FileLayer {
    /// A convolution that has another name in the module, or whose batch norm is folded into it.
    Conv {
        /// Its name in the file.
        conv: String,
        /// Name of the batch norm behind it in the file.
        norm: Option<String>,
        /// Its name in the module.
        module: String,
    },
    /// Tensors of the file that are one in the module, one below another.
    Joined {
        /// Their names in the file.
        parts: [String; 3],
        /// The name in the module.
        whole: String,
    },
    /// One tensor of the file whose thirds are tensors of the module.
    Split {
        /// Its name in the file.
        whole: String,
        /// Their names in the module.
        parts: [String; 3],
    },
}

impl FileLayer {
    /// A convolution without bias and its batch norm, which will be folded into it.
    pub fn normed(conv: impl Into<String>, norm: impl Into<String>) -> Self {
        let conv = conv.into();
        Self::Conv {
            module: conv.clone(),
            conv,
            norm: Some(norm.into()),
        }
    }

    /// [`normed`](Self::normed) for modules behind a common prefix.
    pub fn normed_in(prefix: &str, conv: &str, norm: &str) -> Self {
        Self::normed(format!("{prefix}{conv}"), format!("{prefix}{norm}"))
    }

    /// A convolution without batch norm that is called `module` in the module; it has a bias in the
    /// file where the module has one.
    pub fn plain(conv: impl Into<String>, module: impl Into<String>) -> Self {
        Self::Conv {
            conv: conv.into(),
            norm: None,
            module: module.into(),
        }
    }

    /// The same convolution under another name in the module.
    pub fn called(self, name: impl Into<String>) -> Self {
        match self {
            Self::Conv { conv, norm, .. } => Self::Conv {
                conv,
                norm,
                module: name.into(),
            },
            other => other,
        }
    }

    /// Moves the shapes of its tensors from those of the module to those of the file.
    fn move_shapes(&self, module: &mut Shapes, file: &mut Shapes) {
        match self {
            Self::Conv {
                conv,
                norm,
                module: name,
            } => {
                let mut take = |part: &str| module.remove(&format!("{name}.{part}"));
                let (weight, bias) = (take("weight"), take("bias"));
                file.extend(weight.map(|weight| (format!("{conv}.weight"), weight)));
                let Some(bias) = bias else {
                    return;
                };
                let names = match norm {
                    Some(norm) => NORM.map(|part| format!("{norm}.{part}")).to_vec(),
                    None => vec![format!("{conv}.bias")],
                };
                file.extend(names.into_iter().map(|name| (name, bias.clone())));
            }
            Self::Joined { parts, whole } => {
                let Some(mut shape) = module.remove(whole) else {
                    return;
                };
                shape[0] /= parts.len();
                file.extend(parts.iter().map(|part| (part.clone(), shape.clone())));
            }
            Self::Split { whole, parts } => {
                let shapes = parts.each_ref().map(|part| module.remove(part));
                let [Some(mut shape), ..] = shapes else {
                    return;
                };
                shape[0] *= parts.len();
                file.insert(whole.clone(), shape);
            }
        }
    }

    /// Moves its tensors from those of the file to those of the module. Their names and shapes are
    /// known to be right.
    fn move_tensors(&self, file: &mut StateDict, module: &mut StateDict, epsilon: f64) {
        match self {
            Self::Conv {
                conv,
                norm,
                module: name,
            } => {
                let mut take = |tensor: String| file.remove(&tensor);
                let (mut weight, mut bias) =
                    (take(format!("{conv}.weight")), take(format!("{conv}.bias")));
                if let Some(norm) = norm {
                    let norm = NORM.map(|part| take(format!("{norm}.{part}")));
                    if let (Some(plain), [Some(gamma), Some(beta), Some(mean), Some(variance)]) =
                        (&weight, norm)
                    {
                        let folded = fold(plain, [gamma, beta, mean, variance], epsilon);
                        (weight, bias) = (Some(folded.0), Some(folded.1));
                    }
                }
                module.extend(weight.map(|weight| (format!("{name}.weight"), weight)));
                module.extend(bias.map(|bias| (format!("{name}.bias"), bias)));
            }
            Self::Joined { parts, whole } => {
                let [Some(first), Some(second), Some(third)] =
                    parts.each_ref().map(|part| file.remove(part))
                else {
                    return;
                };
                let mut shape = first.shape.as_slice().to_vec();
                shape[0] *= parts.len();
                let values = [first, second, third].map(values).concat();
                module.insert(whole.clone(), TensorData::new(values, shape));
            }
            Self::Split { whole, parts } => {
                let Some(data) = file.remove(whole) else {
                    return;
                };
                let mut shape = data.shape.as_slice().to_vec();
                shape[0] /= parts.len();
                let values = values(data);
                let thirds = values.chunks_exact(values.len() / parts.len());
                let thirds = thirds.map(|third| TensorData::new(third.to_vec(), shape.clone()));
                module.extend(parts.iter().cloned().zip(thirds));
            }
        }
    }
}

type Shapes = BTreeMap<String, Vec<usize>>;

fn values(data: TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}

impl<'a> KeyMap<'a> {
    /// The map of the network that messages call `network`, whose tensors are those of its module.
    pub fn new(network: impl Into<String>) -> Self {
        Self {
            network: network.into(),
            names: None,
            layers: Vec::new(),
            epsilon: EPSILON,
        }
    }

    /// The same for files whose names `convert` first brings into those of the layers.
    pub fn with_names(self, convert: impl Fn(StateDict) -> StateDict + 'a) -> Self {
        Self {
            names: Some(Box::new(convert)),
            ..self
        }
    }

    /// The same with these layers.
    pub fn with_layers(self, layers: Vec<FileLayer>) -> Self {
        Self { layers, ..self }
    }

    /// The same for batch norms with another epsilon than PyTorch's.
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Names and shapes of the tensors of the file that `network` reads.
    pub fn file_shapes<B: Backend, M: Module<B>>(
        &self,
        network: &M,
    ) -> BTreeMap<String, Vec<usize>> {
        let mut module = shapes(network);
        let mut file = Shapes::new();
        for layer in &self.layers {
            layer.move_shapes(&mut module, &mut file);
        }
        file.extend(module);
        file
    }

    /// The tensors of a file, which messages call `origin`, in the names of the layers, if they are
    /// those of `network`. Their values are not looked at.
    ///
    /// The `module.` that PyTorch's `DataParallel` puts before every name is dropped, and counters of
    /// batch norms (`num_batches_tracked`) are left out.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists missing, unknown and misshapen tensors.
    pub fn checked<B: Backend, M: Module<B>>(
        &self,
        network: &M,
        dict: StateDict,
        origin: &str,
    ) -> Result<StateDict, WeightsError> {
        let mut dict = without_wrapper(dict);
        dict.retain(|name, _| !name.ends_with("num_batches_tracked"));
        if let Some(convert) = &self.names {
            dict = convert(dict);
        }
        check(&self.file_shapes(network), &dict, origin, &self.network)?;
        Ok(dict)
    }

    /// Loads the tensors of a file, which messages call `origin`, into `network`.
    ///
    /// # Errors
    ///
    /// Those of [`checked`](Self::checked).
    pub fn load<B: Backend, M: Module<B>>(
        &self,
        network: M,
        dict: StateDict,
        origin: &str,
    ) -> Result<M, WeightsError> {
        let mut dict = self.checked(&network, dict, origin)?;
        let mut converted = StateDict::new();
        for layer in &self.layers {
            layer.move_tensors(&mut dict, &mut converted, self.epsilon);
        }
        converted.extend(dict);
        load_network(network, converted, origin, &self.network)
    }
}

impl Debug for KeyMap<'_> {
    fn fmt(&self, formatter: &mut Formatter) -> std::fmt::Result {
        let mut fields = formatter.debug_struct("KeyMap");
        let fields = fields.field("network", &self.network);
        fields.field("layers", &self.layers).finish_non_exhaustive()
    }
}

/// Drops the `module.` that PyTorch's `DataParallel` puts before every name.
pub(super) fn without_wrapper(dict: StateDict) -> StateDict {
    let wrapped = dict.keys().all(|name| name.starts_with("module."));
    if !wrapped {
        return dict;
    }
    dict.into_iter()
        .map(|(name, data)| (name["module.".len()..].to_string(), data))
        .collect()
}
