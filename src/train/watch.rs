use std::collections::BTreeMap;

use super::signs::Signs;
use crate::config::{Experiment, OptimizerConfig};
use crate::events::{StepEvent, TrainEvent};
use crate::memory::Memory;

/// Scalars that are logged as measures of the images.
const MEASURES: [&str; 3] = ["noise_effect", "exposure_fake", "exposure_real"];

/// Steps between two warnings of a loss that is not finite.
const WARNING_EVERY: u64 = 100;

/// Turns the scalars of a step into events: the step itself, and warnings about a loss that is
/// not finite and about [`Signs`] that the run goes wrong.
pub struct Watch {
    memory: Memory,
    total_steps: u64,
    images_per_step: f64,
    optimizer: OptimizerConfig,
    mean_seconds: Option<f64>,
    last_infinite: Option<u64>,
    signs: Signs,
}

impl Watch {
    /// Watches a run that starts after `step`.
    pub fn new(experiment: &Experiment, step: u64) -> Self {
        Self {
            memory: Memory::new(),
            total_steps: experiment.run.steps.max(step),
            images_per_step: (experiment.run.batch * experiment.run.accumulation) as f64,
            optimizer: experiment.optimizer.clone(),
            mean_seconds: None,
            last_infinite: None,
            signs: Signs::default(),
        }
    }

    /// Events of a finished step. `scalars` are named as the training step names them; those that
    /// begin with `norm_` are gradient norms.
    pub fn step(
        &mut self,
        step: u64,
        images_seen: u64,
        scalars: &BTreeMap<&'static str, f64>,
        seconds: f64,
    ) -> Vec<TrainEvent> {
        let value = |name: &str| scalars.get(name).copied().unwrap_or(0.0);
        // The first step compiles kernels on GPUs: later ones say more about the time left.
        let mean = self
            .mean_seconds
            .map_or(seconds, |mean| 0.95 * mean + 0.05 * seconds);
        self.mean_seconds = if step == 1 { None } else { Some(mean) };
        let mut losses = BTreeMap::new();
        let mut gradient_norms = BTreeMap::new();
        let mut measures = BTreeMap::new();
        for (name, &value) in scalars {
            if let Some(term) = name.strip_prefix("norm_") {
                gradient_norms.insert(term.to_string(), value);
            } else if name.starts_with("g_") || name.starts_with("d_") {
                losses.insert((*name).to_string(), value);
            } else if MEASURES.contains(name) {
                measures.insert((*name).to_string(), value);
            }
        }
        let mut events = Vec::new();
        let infinite = losses.iter().find(|(_, value)| !value.is_finite());
        if let Some((name, value)) = infinite
            && self
                .last_infinite
                .is_none_or(|last| step >= last + WARNING_EVERY)
        {
            self.last_infinite = Some(step);
            events.push(warning(
                step,
                format!(
                    "loss {name} is {value}: lower optimizer.lr_generator and lr_discriminator, \
                     or set optimizer.clip_norm, and resume from the last checkpoint"
                ),
            ));
        }
        let signs = self.signs.look(step, scalars);
        events.extend(signs.into_iter().map(|message| warning(step, message)));
        events.insert(
            0,
            TrainEvent::Step(StepEvent {
                step,
                total_steps: self.total_steps,
                images_seen,
                losses,
                accuracy_real: value("accuracy_real"),
                accuracy_fake: value("accuracy_fake"),
                gradient_norms,
                measures,
                learning_rates: learning_rates(&self.optimizer, step, self.total_steps),
                seconds,
                images_per_second: self.images_per_step / seconds.max(1e-9),
                memory_bytes: self.memory.resident(),
                seconds_left: mean * self.total_steps.saturating_sub(step) as f64,
            }),
        );
        events
    }
}

/// Learning rates of a step of a run of `steps`, by optimizer.
fn learning_rates(optimizer: &OptimizerConfig, step: u64, steps: u64) -> BTreeMap<String, f64> {
    let share = optimizer.rate_share(step, steps);
    BTreeMap::from([
        ("generator".to_string(), share * optimizer.lr_generator),
        (
            "discriminator".to_string(),
            share * optimizer.lr_discriminator,
        ),
    ])
}

fn warning(step: u64, message: String) -> TrainEvent {
    TrainEvent::Warning { step, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(events: &[TrainEvent]) -> Vec<String> {
        let message = |event: &TrainEvent| match event {
            TrainEvent::Warning { message, .. } => Some(message.clone()),
            _ => None,
        };
        events.iter().filter_map(message).collect()
    }

    #[test]
    fn a_loss_that_is_not_finite_is_reported_once_in_a_while() {
        let mut watch = Watch::new(&Experiment::default(), 0);
        let scalars = BTreeMap::from([("g_gan", f64::NAN), ("noise_effect", 1.0)]);
        let first = warnings(&watch.step(1, 4, &scalars, 0.1));
        assert!(first.len() == 1 && first[0].contains("g_gan"), "{first:?}");
        assert!(warnings(&watch.step(2, 8, &scalars, 0.1)).is_empty());
        assert_eq!(warnings(&watch.step(101, 404, &scalars, 0.1)).len(), 1);
    }

    #[test]
    fn signs_of_many_steps_are_reported() {
        let mut watch = Watch::new(&Experiment::default(), 0);
        let scalars = BTreeMap::from([("noise_effect", 1e-7)]);
        let found: Vec<_> = (1..=300)
            .flat_map(|step| warnings(&watch.step(step, 4, &scalars, 0.1)))
            .collect();
        assert!(found.len() == 1 && found[0].contains("noise"), "{found:?}");
    }

    #[test]
    fn a_step_carries_losses_norms_and_memory() {
        let mut watch = Watch::new(&Experiment::default(), 0);
        let scalars = BTreeMap::from([("d_real", 2.0), ("norm_gan", 3.0), ("accuracy_fake", 0.5)]);
        let events = watch.step(1, 4, &scalars, 0.5);
        let TrainEvent::Step(event) = &events[0] else {
            panic!("no step event")
        };
        assert_eq!(event.losses, BTreeMap::from([("d_real".to_string(), 2.0)]));
        assert_eq!(
            event.gradient_norms,
            BTreeMap::from([("gan".to_string(), 3.0)])
        );
        assert_eq!(event.accuracy_fake, 0.5);
        assert_eq!(event.images_per_second, 8.0);
        assert!(event.memory_bytes > 1_000_000);
    }
}
