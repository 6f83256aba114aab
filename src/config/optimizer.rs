use serde::{Deserialize, Serialize};

/// Adam for generator, projector and discriminator (section 4.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate of generator and projector.
    pub lr_generator: f64,
    /// Learning rate of the discriminator.
    pub lr_discriminator: f64,
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
    /// Largest global norm of the gradients of a network, which Swin backbones need (notes O24);
    /// none leaves gradients as they are.
    pub clip_norm: Option<f64>,
    /// Steps over which the rates rise from 0 to their values, in equal parts. With β₁ = 0 Adam moves
    /// every weight by about the rate in its first steps (notes E11).
    pub warmup_steps: u64,
    /// Steps at the end of the run over which the rates fall to 0 in equal parts.
    pub decay_steps: u64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            lr_generator: 1e-3,
            lr_discriminator: 1e-3,
            beta_1: 0.0,
            beta_2: 0.99,
            epsilon: 1e-8,
            clip_norm: None,
            warmup_steps: 0,
            decay_steps: 0,
        }
    }
}

impl OptimizerConfig {
    /// Share of the full learning rates at step `step` (from 1) of a run of `steps`.
    pub fn rate_share(&self, step: u64, steps: u64) -> f64 {
        let share = |passed: u64, of: u64| passed.min(of) as f64 / of.max(1) as f64;
        let rise = share(step, self.warmup_steps.max(1));
        let left = (steps + 1).saturating_sub(step);
        let fall = share(left, self.decay_steps.max(1));
        rise.min(fall)
    }
}

/// Moving average of the generator (notes L33 to L35, E4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmaConfig {
    /// Share of the old average that is kept at each step.
    pub decay: f64,
    /// Whether step s keeps only min(decay, (1 + s) / (10 + s)). Without the ramp an average
    /// with the paper's decay shows flat gray for thousands of steps.
    pub ramp: bool,
    /// Training batches run through the average before it is used, to refresh its running
    /// statistics and spectral-norm vectors.
    pub refresh_batches: usize,
}

impl EmaConfig {
    /// Share of the old average kept at step `step` (from 1): with the ramp, short runs forget
    /// their initial weights (notes E4).
    pub fn decay_at(&self, step: u64) -> f64 {
        let ramp = (1.0 + step as f64) / (10.0 + step as f64);
        if self.ramp {
            self.decay.min(ramp)
        } else {
            self.decay
        }
    }
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self {
            decay: 0.9999,
            ramp: false,
            refresh_batches: 51,
        }
    }
}
