use std::fmt;
use std::path::Path;

use super::WeightsError;
use super::file::{Container, open, safetensors};
use super::pytorch::{list_legacy, list_zip};

/// Format of a weight file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightsFormat {
    /// safetensors.
    Safetensors,
    /// The zip that PyTorch writes since 1.6.
    PyTorchZip,
    /// The sequence of pickles of earlier PyTorch.
    PyTorchPickle,
}

impl fmt::Display for WeightsFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::PyTorchZip => "PyTorch zip",
            Self::PyTorchPickle => "PyTorch pickle (before 1.6)",
        })
    }
}

/// A tensor as a file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    /// Name in the file.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Element type in the file, for example `f16` or `i64`.
    pub element: String,
}

impl StoredTensor {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What a weight file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Format, told by the content.
    pub format: WeightsFormat,
    /// Every tensor, integers included, in the order of their names.
    pub tensors: Vec<StoredTensor>,
}

/// Lists the tensors of a weight file as they are stored, without converting them.
///
/// # Errors
///
/// As [`read_weights`](super::read_weights), but for values that are not finite, which are not
/// looked at.
pub fn list_weights(path: &Path) -> Result<Listing, WeightsError> {
    let origin = path.display().to_string();
    let (format, mut tensors) = match open(path)? {
        Container::Safetensors(bytes) => {
            let tensors = safetensors(&bytes, &origin)?
                .iter()
                .map(|(name, view)| StoredTensor {
                    name: name.to_string(),
                    shape: view.shape().to_vec(),
                    element: view.dtype().to_string().to_lowercase(),
                })
                .collect();
            (WeightsFormat::Safetensors, tensors)
        }
        Container::Zip(bytes) => (WeightsFormat::PyTorchZip, list_zip(&bytes, &origin)?),
        Container::Pickle(bytes) => (WeightsFormat::PyTorchPickle, list_legacy(&bytes, &origin)?),
    };
    tensors.sort_by(|a: &StoredTensor, b| a.name.cmp(&b.name));
    Ok(Listing { format, tensors })
}
