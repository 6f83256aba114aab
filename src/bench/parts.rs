use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use burn::tensor::backend::Backend;
use dp_sims_model::Observer;
use serde::{Deserialize, Serialize};

use crate::runtime::device::finish;

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

/// Takes the time of every part, waiting for the device at the end of each.
struct Stopwatch<'a, B: Backend> {
    device: &'a B::Device,
    last: Instant,
    parts: Vec<Part>,
    failure: Option<anyhow::Error>,
}

impl<B: Backend, P: Display> Observer<P> for Stopwatch<'_, B> {
    fn end_of(&mut self, part: P) {
        if let Err(error) = finish::<B>(self.device) {
            self.failure.get_or_insert(error);
        }
        let now = Instant::now();
        let seconds = (now - self.last).as_secs_f64();
        self.last = now;
        let name = part.to_string();
        match self.parts.iter_mut().find(|known| known.name == name) {
            Some(known) => known.seconds += seconds,
            None => self.parts.push(Part { name, seconds }),
        }
    }
}

/// The parts of a repetition of `work` in the order in which they ended, with what lies between them
/// last: together the time of the repetition.
///
/// # Errors
/// When the work or the device fails.
pub(super) fn take_apart<B: Backend, P: Display>(
    device: &B::Device,
    mut work: impl FnMut(&mut dyn Observer<P>) -> Result<()>,
) -> Result<Vec<Part>> {
    let begin = Instant::now();
    let mut fastest: Option<(f64, Vec<Part>)> = None;
    for repeat in 0..REPEATS {
        if repeat > 0 && begin.elapsed() > BUDGET {
            break;
        }
        let started = Instant::now();
        let mut watch = Stopwatch::<B> {
            device,
            last: started,
            parts: Vec::new(),
            failure: None,
        };
        work(&mut watch)?;
        let all = started.elapsed().as_secs_f64();
        if let Some(failure) = watch.failure {
            bail!(failure);
        }
        let inside: f64 = watch.parts.iter().map(|part| part.seconds).sum();
        watch.parts.push(Part {
            name: OTHER.to_string(),
            seconds: (all - inside).max(0.0),
        });
        if fastest.as_ref().is_none_or(|(least, _)| all < *least) {
            fastest = Some((all, watch.parts));
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
        let parts = take_apart::<FlexAutodiff, &str>(&Default::default(), |observer| {
            for part in ["first", "second", "first"] {
                std::thread::sleep(Duration::from_millis(1));
                observer.end_of(part);
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
        let outcome = take_apart::<FlexAutodiff, &str>(&Default::default(), |_| {
            calls += 1;
            Err(anyhow!("broken"))
        });
        assert_eq!(outcome.unwrap_err().to_string(), "broken");
        assert_eq!(calls, 1);
    }
}
