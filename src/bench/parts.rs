use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::runtime::device::finish;
use crate::runtime::logging::message;

/// Most repetitions that are taken apart; the fastest of them counts.
const REPEATS: usize = 3;

/// No repetition is begun once they have taken this long.
const BUDGET: Duration = Duration::from_secs(2);

/// Name of what lies between parts: what the host reads, and the rest.
const OTHER: &str = "other";

/// Time of a part of a repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Name.
    pub name: String,
    /// Time by the clock, up to when the device had finished.
    pub seconds: f64,
}

/// What a stopwatch has taken down.
struct Times {
    last: Instant,
    parts: Vec<Part>,
    failure: Option<anyhow::Error>,
}

/// Takes the time of every part, waiting for the device at the end of each.
struct Stopwatch<B: Backend> {
    device: B::Device,
    times: Arc<Mutex<Times>>,
}

impl<B: Backend, S: Subscriber> Layer<S> for Stopwatch<B> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let finished = finish::<B>(&self.device);
        let now = Instant::now();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = finished {
            times.failure.get_or_insert(error);
        }
        let seconds = (now - times.last).as_secs_f64();
        times.last = now;
        let name = message(event);
        match times.parts.iter_mut().find(|known| known.name == name) {
            Some(known) => known.seconds += seconds,
            None => times.parts.push(Part { name, seconds }),
        }
    }
}

/// The parts of a repetition of `work` in the order in which they ended, with what lies between them
/// last: together the time of the repetition. Events with this target say where parts end; they come from
/// the thread that calls `work`.
///
/// # Errors
/// When the work or the device fails.
pub(super) fn take_apart<B: Backend>(
    device: &B::Device,
    target: &'static str,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Vec<Part>> {
    let begin = Instant::now();
    let mut fastest: Option<(f64, Vec<Part>)> = None;
    for repeat in 0..REPEATS {
        if repeat > 0 && begin.elapsed() > BUDGET {
            break;
        }
        let started = Instant::now();
        let times = Arc::new(Mutex::new(Times {
            last: started,
            parts: Vec::new(),
            failure: None,
        }));
        let watch = Stopwatch::<B> {
            device: device.clone(),
            times: times.clone(),
        };
        let only = Targets::new().with_target(target, LevelFilter::TRACE);
        let subscriber = tracing_subscriber::registry().with(watch.with_filter(only));
        tracing::subscriber::with_default(subscriber, &mut work)?;
        let all = started.elapsed().as_secs_f64();
        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = times.failure.take() {
            bail!(failure);
        }
        let inside: f64 = times.parts.iter().map(|part| part.seconds).sum();
        let mut parts = std::mem::take(&mut times.parts);
        parts.push(Part {
            name: OTHER.to_string(),
            seconds: (all - inside).max(0.0),
        });
        if fastest.as_ref().is_none_or(|(least, _)| all < *least) {
            fastest = Some((all, parts));
        }
    }
    Ok(fastest.map_or_else(Vec::new, |(_, parts)| parts))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use anyhow::anyhow;
    use dp_sims_backends::FlexAutodiff;

    use super::*;

    #[test]
    fn parts_of_a_name_are_added() {
        let parts = take_apart::<FlexAutodiff>(&Default::default(), "dp_sims::test_parts", || {
            for part in ["first", "second", "first"] {
                std::thread::sleep(Duration::from_millis(1));
                tracing::trace!(target: "dp_sims::test_parts", "{part}");
                tracing::trace!("not a part");
            }
            Ok(())
        })
        .unwrap();
        let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["first", "second", OTHER]);
        // What slept took time; how much depends on the machine.
        assert!(parts[..2].iter().all(|part| part.seconds > 0.0));
    }

    #[test]
    fn a_failure_ends_the_repetitions() {
        let mut calls = 0;
        let outcome =
            take_apart::<FlexAutodiff>(&Default::default(), "dp_sims::test_parts", || {
                calls += 1;
                Err(anyhow!("broken"))
            });
        assert_eq!(outcome.unwrap_err().to_string(), "broken");
        assert_eq!(calls, 1);
    }
}
