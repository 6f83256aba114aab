use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Adam for generator, projector and discriminator (section 4.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate of generator and projector.
    pub lr_generator: f64,
    /// Learning rate of the discriminator.
    pub lr_discriminator: f64,
    /// Decay rate β₁ of the first moment.
    pub beta_1: f32,
    /// Decay rate β₂ of the second moment.
    pub beta_2: f32,
    /// ε, added to the root of the second moment.
    pub epsilon: f32,
    /// Largest global gradient norm of generator, contrastive projector and discriminator, each on its
    /// own, which Swin backbones need (notes O24). Without it gradients stay as they are.
    pub clip_norm: Option<f64>,
    /// Steps over which the learning rates rise linearly from 0. With β₁ = 0 Adam moves every
    /// weight by about the learning rate in its first steps (notes E11).
    pub warmup_steps: u64,
    /// Steps at the end of the run over which the learning rates fall to 0, along `schedule`; `run.steps`
    /// for the whole run. With 0 they stay as they are, as the paper trains.
    pub decay_steps: u64,
    /// How the learning rates fall over `decay_steps`.
    pub schedule: Schedule,
}

/// How the learning rates fall over the last `decay_steps` steps of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// They do not fall, whatever `decay_steps` is.
    Constant,
    /// By the same amount at every step.
    #[default]
    Linear,
    /// Along a half cosine: slowly at first and at the end.
    Cosine,
}

impl Schedule {
    /// Share of the full learning rates where a share `left`, from 1 to 0, of the fall is left.
    fn share(self, left: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Linear => left,
            Self::Cosine => half_cosine(1.0 - left),
        }
    }
}

/// Share of the largest learning rate at a progress from 0 to 1: falls from 1 to 0 along a half
/// cosine.
pub fn half_cosine(progress: f64) -> f64 {
    0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
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
            schedule: Schedule::default(),
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
        rise.min(self.schedule.share(fall))
    }
}

/// Moving average of the generator (notes L33 to L35, E4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmaConfig {
    /// Share of the old average kept at each step.
    pub decay: f64,
    /// Step s keeps only min(`decay`, (1 + s) / (10 + s)). Short runs need it: without the ramp, an
    /// average with the paper's decay shows flat gray for thousands of steps.
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
