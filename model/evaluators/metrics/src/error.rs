use std::path::PathBuf;

use thiserror::Error;

/// Why a metric has no value.
#[derive(Debug, Error)]
pub enum MetricError {
    /// Too few images for the metric to be defined.
    #[error("{metric} needs at least {needed} images, there are {found}")]
    TooFew {
        /// Name of the metric.
        metric: &'static str,
        /// Images it needs.
        needed: usize,
        /// Images there are.
        found: usize,
    },
    /// Two sides whose features have different lengths.
    #[error(
        "features of length {left} cannot be compared with features of length {right}: both sides \
         must come from the same network"
    )]
    Lengths {
        /// Length on one side.
        left: usize,
        /// Length on the other side.
        right: usize,
    },
    /// A feature or a statistic that is not a finite number.
    #[error("{what} holds a value that is not finite: the images or the weights are damaged")]
    NotFinite {
        /// What holds it.
        what: String,
    },
    /// A decomposition that did not converge.
    #[error("the decomposition of a matrix of side {side} did not converge")]
    Decomposition {
        /// Rows and columns.
        side: usize,
    },
    /// A class outside the confusion matrix.
    #[error("class {class} is outside the {classes} classes of the comparison")]
    Class {
        /// The class.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A file that could not be read or written.
    #[error("cannot {action} {path}: {cause}")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Reason given by the system.
        cause: std::io::Error,
    },
    /// A file that does not hold statistics.
    #[error("{path} holds no statistics of features: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
