//! What a training run reports, and who may listen.
//!
//! The trainer emits [`TrainEvent`]s into a [`Fanout`] and knows none of the [`Consumer`]s behind
//! it: displays, logs and preview files are all written from the same events.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use image::RgbImage;
use serde::{Serialize, Serializer};

/// Values of an evaluation by name, in a stable (alphabetical) order.
pub type Scalars = BTreeMap<String, f64>;

/// A network that a step trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The discriminator.
    Discriminator,
    /// The generator.
    Generator,
}

/// A term of a loss, in alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Contrastive loss of the generator.
    Contrastive,
    /// Diversity in the generator's own features.
    Diversity,
    /// Pixel loss of the discriminator on generated images.
    Fake,
    /// Diversity in the features of a frozen network.
    FeatureDiversity,
    /// Pixel loss of the generator.
    Gan,
    /// Diversity of the pixels.
    ImageDiversity,
    /// LabelMix of the discriminator.
    LabelMix,
    /// Pixel loss of the discriminator on photos.
    Real,
    /// The sum of all terms of a network.
    Total,
}

/// A loss: whose it is, and which term of it. Its name is `g_` or `d_` and the term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss(pub Network, pub Term);

/// What shows how the images of a step are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Mean brightness of generated images, -1 to 1.
    ExposureFake,
    /// Mean brightness of photos, -1 to 1.
    ExposureReal,
    /// Mean difference of two images of one label map, 0 to 2.
    NoiseEffect,
    /// What losses are multiplied by before they run backward.
    LossScale,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(network, term) = self;
        let letter = match network {
            Network::Discriminator => 'd',
            Network::Generator => 'g',
        };
        write!(f, "{letter}_{term}")
    }
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Everything measured in one finished training step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StepEvent {
    /// Number of finished steps, this one included: the first step of a run is 1.
    pub step: u64,
    /// Step count at which the run ends.
    pub total_steps: u64,
    /// Real images consumed since step 1.
    pub images_seen: u64,
    /// Losses, after weighting.
    pub losses: BTreeMap<Loss, f64>,
    /// Share of the pixels of real images that the discriminator classifies correctly, 0 to 1.
    pub accuracy_real: f64,
    /// Share of the pixels of generated images that the discriminator calls fake, 0 to 1.
    pub accuracy_fake: f64,
    /// L2 norm of the gradient of each loss term of the generator, before clipping.
    pub gradient_norms: BTreeMap<Term, f64>,
    /// What shows how the images are.
    pub measures: BTreeMap<Measure, f64>,
    /// Learning rate by optimizer.
    pub learning_rates: BTreeMap<Network, f64>,
    /// Wall-clock time of this step, in seconds.
    pub seconds: f64,
    /// Throughput in real images per second.
    pub images_per_second: f64,
    /// Resident memory of the process, in bytes.
    pub memory_bytes: u64,
    /// Estimated time to the end of the run, in seconds.
    pub seconds_left: f64,
}

/// One report of a training run.
#[derive(Clone, Debug)]
pub enum TrainEvent {
    /// The run is set up and its first step begins.
    Started {
        /// Folder that receives logs, previews and checkpoints.
        run_folder: PathBuf,
        /// Name of the experiment.
        experiment: String,
        /// Name of the compute backend and device.
        backend: String,
        /// First step to be computed, 1-based: `k + 1` when the run resumes after step `k`.
        first_step: u64,
        /// Step count at which the run ends.
        total_steps: u64,
    },
    /// A step is finished.
    Step(StepEvent),
    /// A preview grid was rendered from the weights after `step`.
    Preview {
        /// Number of finished steps.
        step: u64,
        /// The grid, as built by [`crate::runtime::pictures::grid`].
        image: RgbImage,
    },
    /// The averaged generator was evaluated.
    Evaluation {
        /// Number of finished steps.
        step: u64,
        /// Values by name, as `dp-sims evaluate` names them.
        values: Scalars,
        /// Whether no evaluation before was better.
        is_best: bool,
    },
    /// A checkpoint is on disk.
    Checkpoint {
        /// Number of finished steps.
        step: u64,
        /// The checkpoint folder.
        path: PathBuf,
    },
    /// The run went back to an earlier state: what it made of later steps is void, and made again.
    WentBack {
        /// Number of finished steps of that state.
        step: u64,
    },
    /// Something looks wrong; the run goes on.
    Warning {
        /// Number of finished steps.
        step: u64,
        /// What happened and what can be done about it.
        message: String,
    },
    /// Information for the person who watches.
    Note {
        /// One line of text.
        message: String,
    },
    /// No further step will be computed.
    Finished {
        /// Number of finished steps.
        step: u64,
        /// Why the run ended, such as `completed` or `interrupted`.
        reason: String,
    },
}

/// A listener of training events.
pub trait Consumer: Send {
    /// Takes note of one event.
    ///
    /// # Errors
    ///
    /// When the event could not be shown or written. The run goes on: [`Fanout`] turns the error
    /// into a warning, and later events are still offered.
    fn on_event(&mut self, event: &TrainEvent) -> anyhow::Result<()>;
}

struct Listener {
    name: &'static str,
    consumer: Box<dyn Consumer>,
    failed: bool,
}

/// Hands every event to every consumer, in the order they were added.
///
/// A consumer that fails does not stop the run nor the others: its first error becomes one
/// [`TrainEvent::Warning`] for the other consumers, and it is offered later events all the same,
/// because a full disk may be emptied.
#[derive(Default)]
pub struct Fanout {
    listeners: Vec<Listener>,
    step: u64,
}

impl Fanout {
    /// A fan-out with no consumer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a consumer; `name` is what a warning calls it.
    pub fn with(mut self, name: &'static str, consumer: impl Consumer + 'static) -> Self {
        self.listeners.push(Listener {
            name,
            consumer: Box::new(consumer),
            failed: false,
        });
        self
    }

    /// Hands `event` to every consumer.
    pub fn emit(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Started { first_step, .. } => self.step = first_step.saturating_sub(1),
            TrainEvent::Step(step) => self.step = step.step,
            TrainEvent::WentBack { step } => self.step = *step,
            _ => {}
        }
        // Each consumer warns at most once, so the queue of warnings runs dry.
        let mut warnings = self.deliver(event);
        while let Some(message) = warnings.pop() {
            // Consumers show it, unless none is left that works.
            tracing::debug!("{message}");
            warnings.extend(self.deliver(&TrainEvent::Warning {
                step: self.step,
                message,
            }));
        }
    }

    /// Offers `event` to every consumer and returns the message of each first failure.
    fn deliver(&mut self, event: &TrainEvent) -> Vec<String> {
        let mut messages = Vec::new();
        for listener in &mut self.listeners {
            let Err(error) = listener.consumer.on_event(event) else {
                continue;
            };
            if !listener.failed {
                listener.failed = true;
                messages.push(format!(
                    "the {} failed and the run goes on: {error:#} (reported once)",
                    listener.name
                ));
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Recorder(Arc<Mutex<Vec<String>>>);

    impl Consumer for Recorder {
        fn on_event(&mut self, event: &TrainEvent) -> anyhow::Result<()> {
            let text = match event {
                TrainEvent::Warning { step, message } => format!("{step} {message}"),
                TrainEvent::Step(step) => format!("step {}", step.step),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(text);
            Ok(())
        }
    }

    struct Broken(Arc<Mutex<u32>>);

    impl Consumer for Broken {
        fn on_event(&mut self, _: &TrainEvent) -> anyhow::Result<()> {
            *self.0.lock().unwrap() += 1;
            anyhow::bail!("disk full")
        }
    }

    fn step(step: u64) -> TrainEvent {
        TrainEvent::Step(StepEvent {
            step,
            ..StepEvent::default()
        })
    }

    #[test]
    fn a_failing_consumer_warns_once_and_stops_nobody() {
        let recorder = Recorder::default();
        let calls = Arc::new(Mutex::new(0));
        let mut fanout = Fanout::new()
            .with("broken log", Broken(calls.clone()))
            .with("recorder", recorder.clone());
        fanout.emit(&step(1));
        fanout.emit(&step(2));
        assert_eq!(
            *recorder.0.lock().unwrap(),
            [
                "step 1",
                "1 the broken log failed and the run goes on: disk full (reported once)",
                "step 2"
            ]
        );
        assert_eq!(*calls.lock().unwrap(), 3, "two steps and its own warning");
    }

    #[test]
    fn all_consumers_failing_terminates() {
        let calls = Arc::new(Mutex::new(0));
        let mut fanout = Fanout::new()
            .with("a", Broken(calls.clone()))
            .with("b", Broken(calls.clone()));
        fanout.emit(&step(1));
        assert_eq!(
            *calls.lock().unwrap(),
            6,
            "one event and two warnings, to two consumers"
        );
    }
}
