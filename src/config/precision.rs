use dp_sims_model::layers::Compute;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Types of numbers in a training step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrecisionConfig {
    /// Type in which convolutions and matrix products of all networks compute. With `f16`, losses are scaled by a
    /// factor that adapts, and an update whose gradients are not finite is left out. Statistics, softmax, losses,
    /// spectral norm, weights and checkpoints stay in f32, as do images that are generated or judged.
    pub compute: Compute,
}
