use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A tensor whose shape in the file differs from the shape the network needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// Name of the tensor in the network.
    pub name: String,
    /// Shape the network needs.
    pub expected: Vec<usize>,
    /// Shape found.
    pub found: Vec<usize>,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (expected {:?}, found {:?})",
            self.name, self.expected, self.found
        )
    }
}

/// Why weights could not be read, written or loaded.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file could not be read.
    #[error("cannot read weights from {path}: {cause}")]
    Read {
        /// File that was read.
        path: PathBuf,
        /// Reason given by the system.
        cause: std::io::Error,
    },
    /// The file could not be written.
    #[error("cannot write weights to {path}: {cause}")]
    Write {
        /// File that was written.
        path: PathBuf,
        /// Reason given by the system.
        cause: std::io::Error,
    },
    /// The content is no whole weight file of a known format.
    #[error("{origin} is not a usable weight file: {reason}")]
    Format {
        /// File or other origin of the bytes.
        origin: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A tensor holds NaN or infinite values.
    #[error(
        "{origin}: tensor `{tensor}` holds a value that is not finite (element {index}); the file \
         is damaged or the training that wrote it diverged, use another one"
    )]
    NotFinite {
        /// File or other origin of the tensor.
        origin: String,
        /// Name of the tensor.
        tensor: String,
        /// Position of the first such value in row-major order.
        index: usize,
    },
    /// A tensor has an element type that cannot be written.
    #[error("tensor `{tensor}` has element type {dtype}; convert it to f32 or f16 before writing")]
    ElementType {
        /// Name of the tensor.
        tensor: String,
        /// Its element type.
        dtype: String,
    },
    /// The tensors are not those of the network.
    #[error(
        "{origin} does not fit {network}{}{}{}",
        listing("missing", missing),
        listing("unknown", unused),
        listing("misshapen", misshapen)
    )]
    Mismatch {
        /// File or other origin of the tensors.
        origin: String,
        /// Network they were meant for.
        network: String,
        /// Names the network needs and the origin lacks.
        missing: Vec<String>,
        /// Names of the origin that the network does not know.
        unused: Vec<String>,
        /// Tensors of another shape.
        misshapen: Vec<Misshapen>,
    },
}

impl WeightsError {
    pub(super) fn read(path: &Path, cause: std::io::Error) -> Self {
        Self::Read {
            path: path.to_path_buf(),
            cause,
        }
    }

    pub(super) fn write(path: &Path, cause: std::io::Error) -> Self {
        Self::Write {
            path: path.to_path_buf(),
            cause,
        }
    }

    pub(super) fn format(origin: &str, reason: impl Into<String>) -> Self {
        Self::Format {
            origin: origin.to_string(),
            reason: reason.into(),
        }
    }
}

/// One line per kind of trouble, every name in it; empty when there is none.
fn listing<T: fmt::Display>(kind: &str, items: &[T]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let names: Vec<String> = items.iter().map(T::to_string).collect();
    format!("\n  {} {kind}: {}", items.len(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mismatch_names_every_tensor() {
        let error = WeightsError::Mismatch {
            origin: "a.pth".into(),
            network: "vgg16".into(),
            missing: vec!["x".into(), "y".into()],
            unused: vec![],
            misshapen: vec![Misshapen {
                name: "z".into(),
                expected: vec![1],
                found: vec![2, 3],
            }],
        };
        let text = error.to_string();
        assert_eq!(
            text,
            "a.pth does not fit vgg16\n  2 missing: x, y\n  1 misshapen: z (expected [1], found [2, 3])"
        );
    }
}
