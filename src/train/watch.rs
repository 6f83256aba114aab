use std::collections::BTreeMap;
use std::fmt;

use super::report::{Scalar, StepReport};
use super::signs::Signs;
use super::step::LOOK_EVERY;
use crate::config::{Experiment, OptimizerConfig};
use crate::events::{Network, StepEvent, TrainEvent};
use crate::runtime::memory::Memory;

/// Steps in a row that are not finite after which a run counts as dead. What comes of a network that is
/// not finite never is again; a batch that is out of the ordinary is over after a step.
const DEAD_AFTER: u64 = 8;

/// Turns the report of a step into events: the step itself, and warnings about what is not finite and
/// about [`Signs`] that the run goes wrong.
pub struct Watch {
    memory: Memory,
    total_steps: u64,
    images_per_step: f64,
    optimizer: OptimizerConfig,
    mean_seconds: Option<f64>,
    infinite: Option<Infinite>,
    signs: Signs,
}

/// Steps in a row of which something was not finite.
struct Infinite {
    first: u64,
    last: u64,
    /// What of the first one was not, and its value.
    term: String,
    /// Whether it can never be again.
    fatal: bool,
}

impl Infinite {
    /// As the end of the run.
    fn lost(&self) -> Lost {
        let Self {
            first, last, term, ..
        } = self;
        let mut what = format!("the run is not finite: at step {first} {term}");
        if last > first {
            what += &format!(", and no step up to {last} was finite again");
        }
        Lost {
            what,
            first: first.saturating_sub(LOOK_EVERY),
            last: *first,
        }
    }
}

/// A run that lost its numbers: something is not finite that never will be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// What is not finite, and since when.
    pub(super) what: String,
    /// First of the steps one of which caused it. Losses show it a step late, running statistics
    /// [some](LOOK_EVERY).
    pub(super) first: u64,
    /// Last of them.
    pub(super) last: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {REMEDY}", self.what)
    }
}

impl std::error::Error for Lost {}

impl Watch {
    /// Watches a run of so many ranks that starts after `step`.
    pub fn new(experiment: &Experiment, step: u64, ranks: usize) -> Self {
        Self {
            memory: Memory::new(),
            total_steps: experiment.run.steps.max(step),
            images_per_step: experiment.run.images_per_step(ranks) as f64,
            optimizer: experiment.optimizer.clone(),
            mean_seconds: None,
            infinite: None,
            signs: Signs::default(),
        }
    }

    /// Whether everything of the last step was finite.
    pub(super) fn is_finite(&self) -> bool {
        self.infinite.is_none()
    }

    /// Why the run is dead, if it is: so many steps in a row were not finite.
    pub(super) fn death(&self) -> Option<Lost> {
        let infinite = self.infinite.as_ref()?;
        let is_dead = infinite.fatal || infinite.last - infinite.first + 1 >= DEAD_AFTER;
        is_dead.then(|| infinite.lost())
    }

    /// What was not finite in the last step, if anything was.
    pub(super) fn unsound(&self) -> Option<Lost> {
        self.infinite.as_ref().map(Infinite::lost)
    }

    /// Events of a finished step.
    pub fn step(
        &mut self,
        step: u64,
        images_seen: u64,
        report: &StepReport,
        seconds: f64,
    ) -> Vec<TrainEvent> {
        // The first step compiles kernels on GPUs: later ones say more about the time left.
        let mean = self
            .mean_seconds
            .map_or(seconds, |mean| 0.95 * mean + 0.05 * seconds);
        self.mean_seconds = if step == 1 { None } else { Some(mean) };
        let mut event = StepEvent {
            step,
            total_steps: self.total_steps,
            images_seen,
            learning_rates: learning_rates(&self.optimizer, step, self.total_steps),
            seconds,
            images_per_second: self.images_per_step / seconds.max(1e-9),
            memory_bytes: self.memory.resident(),
            seconds_left: mean * self.total_steps.saturating_sub(step) as f64,
            ..StepEvent::default()
        };
        for (&scalar, &value) in &report.0 {
            match scalar {
                Scalar::Loss(loss) => _ = event.losses.insert(loss, value),
                Scalar::AccuracyFake => event.accuracy_fake = value,
                Scalar::AccuracyReal => event.accuracy_real = value,
                Scalar::Measure(measure) => _ = event.measures.insert(measure, value),
                Scalar::GradientNorm(term) => _ = event.gradient_norms.insert(term, value),
                Scalar::SquaredExposureFake
                | Scalar::SquaredExposureReal
                | Scalar::Buffers(_)
                | Scalar::Asked
                | Scalar::AskedForNow
                | Scalar::TimeIsUp
                | Scalar::AskedForCheckpoint => {}
            }
        }
        let mut events = vec![TrainEvent::Step(event)];
        match report.not_finite() {
            None => self.infinite = None,
            Some(term) => match &mut self.infinite {
                Some(infinite) => {
                    infinite.last = step;
                    infinite.fatal |= report.has_lost_its_state();
                }
                None => {
                    events.push(warning(step, format!("{term}: {REMEDY}")));
                    self.infinite = Some(Infinite {
                        first: step,
                        last: step,
                        term,
                        fatal: report.has_lost_its_state(),
                    });
                }
            },
        }
        let signs = self.signs.look(step, report);
        events.extend(signs.into_iter().map(|message| warning(step, message)));
        events
    }
}

/// What helps a run that is not finite.
pub(super) const REMEDY: &str = "lower optimizer.lr_generator and lr_discriminator, or set \
                                 optimizer.clip_norm, and resume from the last checkpoint";

/// Learning rates of a step of a run of `steps`, by optimizer.
fn learning_rates(optimizer: &OptimizerConfig, step: u64, steps: u64) -> BTreeMap<Network, f64> {
    let share = optimizer.rate_share(step, steps);
    BTreeMap::from([
        (Network::Generator, share * optimizer.lr_generator),
        (Network::Discriminator, share * optimizer.lr_discriminator),
    ])
}

fn warning(step: u64, message: String) -> TrainEvent {
    TrainEvent::Warning { step, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Loss, Measure, Term};

    fn report<const N: usize>(scalars: [(Scalar, f64); N]) -> StepReport {
        StepReport(scalars.into())
    }

    fn warnings(events: &[TrainEvent]) -> Vec<String> {
        let message = |event: &TrainEvent| match event {
            TrainEvent::Warning { message, .. } => Some(message.clone()),
            _ => None,
        };
        events.iter().filter_map(message).collect()
    }

    #[test]
    fn a_loss_that_is_not_finite_is_reported_and_ends_the_run_if_it_stays() {
        let mut watch = Watch::new(&Experiment::default(), 0, 1);
        let sick = report([
            (Scalar::AccuracyReal, f64::NAN),
            (Scalar::generator(Term::Gan), f64::INFINITY),
        ]);
        let sound = report([(Scalar::generator(Term::Gan), 1.0)]);
        let first = warnings(&watch.step(1, 4, &sick, 0.1));
        assert!(
            first.len() == 1 && first[0].contains("loss g_gan is inf"),
            "{first:?}"
        );
        assert!(watch.death().is_none() && !watch.is_finite());
        watch.step(2, 8, &sound, 0.1);
        assert!(watch.is_finite() && watch.unsound().is_none());
        for step in 3..10 {
            assert_eq!(
                warnings(&watch.step(step, 12, &sick, 0.1)).len(),
                usize::from(step == 3)
            );
            assert_eq!(watch.death(), None, "{step}");
        }
        watch.step(10, 40, &sick, 0.1);
        let death = watch.death().unwrap();
        assert_eq!((death.first, death.last), (0, 3));
        let death = death.to_string();
        assert!(death.contains("at step 3 loss g_gan is inf"), "{death}");
        assert!(death.contains("no step up to 10"), "{death}");
    }

    #[test]
    fn running_statistics_that_are_not_finite_end_the_run_at_once() {
        let mut watch = Watch::new(&Experiment::default(), 0, 1);
        let state = Scalar::Buffers(Network::Generator);
        let state = report([(Scalar::generator(Term::Gan), 1.0), (state, f64::NAN)]);
        watch.step(8, 32, &state, 0.1);
        let death = watch.death().unwrap().to_string();
        assert!(
            death.contains("at step 8 the running statistics of the generator"),
            "{death}"
        );
    }

    #[test]
    fn signs_of_many_steps_are_reported() {
        let mut watch = Watch::new(&Experiment::default(), 0, 1);
        let report = report([(Scalar::Measure(Measure::NoiseEffect), 1e-7)]);
        let found: Vec<_> = (1..=300)
            .flat_map(|step| warnings(&watch.step(step, 4, &report, 0.1)))
            .collect();
        assert!(found.len() == 1 && found[0].contains("noise"), "{found:?}");
    }

    #[test]
    fn a_step_carries_losses_norms_and_memory() {
        let mut watch = Watch::new(&Experiment::default(), 0, 1);
        let report = report([
            (Scalar::discriminator(Term::Real), 2.0),
            (Scalar::GradientNorm(Term::Gan), 3.0),
            (Scalar::AccuracyFake, 0.5),
        ]);
        let events = watch.step(1, 4, &report, 0.5);
        let TrainEvent::Step(event) = &events[0] else {
            panic!("no step event")
        };
        let real = Loss(Network::Discriminator, Term::Real);
        assert_eq!(event.losses, BTreeMap::from([(real, 2.0)]));
        assert_eq!(event.gradient_norms, BTreeMap::from([(Term::Gan, 3.0)]));
        assert_eq!(event.accuracy_fake, 0.5);
        assert_eq!(event.images_per_second, 8.0);
        assert!(event.memory_bytes > 1_000_000);
    }
}
