//! Experiment files: what a run is, in one TOML.
//!
//! Values come from three layers, later ones winning: the defaults of the structures below, the
//! experiment file, `--set key=value` and other flags. The result is checked before any data is
//! read and written back in full beside every checkpoint.

mod about;
mod defaults;
mod difference;
mod evaluation;
mod experiment;
mod keys;
mod layers;
mod loss;
mod metric;
mod optimizer;
mod origins;
mod precision;
mod schema;
mod weights;

pub use about::About;
pub(crate) use defaults::{keys_of_size, with_default};
pub(crate) use difference::values;
pub use difference::{Difference, with_changes};
pub use evaluation::EvaluationConfig;
pub use experiment::{BackboneConfig, DataConfig, Experiment, RunConfig};
pub use keys::MAX_STEPS;
pub use layers::{experiment_names, load, with_settings};
pub use loss::{ContrastiveTerm, FeatureDiversityTerm, ImageDiversityTerm, LossConfig};
pub use metric::{Metric, dashed, described, parse_backbone};
pub use optimizer::{EmaConfig, OptimizerConfig, Schedule, half_cosine};
pub use origins::{Origin, Origins};
pub use precision::PrecisionConfig;
pub use schema::schema;
pub use weights::Weights;
