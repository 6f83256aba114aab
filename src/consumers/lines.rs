//! Plain lines, for when there is no terminal.

use std::io::Write;

use super::preview;
use crate::events::{Consumer, Loss, Network, Scalars, StepEvent, Term, TrainEvent};
use crate::runtime::console::Stream;
use crate::runtime::units::{duration, memory, number, percent};

/// Training time between two printed steps, in seconds.
const INTERVAL_SECONDS: f64 = 2.0;

/// Prints one compact line about every two seconds of training, and every other event as it
/// comes.
#[derive(Debug)]
pub struct LineDisplay<W: Write + Send = Stream> {
    out: W,
    /// Training time since the last printed step, in seconds; none before the first step.
    unprinted_seconds: Option<f64>,
}

impl LineDisplay {
    /// Prints to standard output.
    pub fn stdout() -> Self {
        Self::new(Stream::Output)
    }
}

impl<W: Write + Send> LineDisplay<W> {
    /// Prints to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            unprinted_seconds: None,
        }
    }

    /// Whether the line of this step is due.
    fn is_due(&mut self, step: &StepEvent) -> bool {
        let unprinted = self.unprinted_seconds.map(|seconds| seconds + step.seconds);
        let due = unprinted.is_none_or(|seconds| seconds >= INTERVAL_SECONDS)
            || step.step == step.total_steps;
        self.unprinted_seconds = Some(if due { 0.0 } else { unprinted.unwrap_or(0.0) });
        due
    }
}

impl<W: Write + Send> Consumer for LineDisplay<W> {
    fn on_event(&mut self, event: &TrainEvent) -> anyhow::Result<()> {
        match event {
            TrainEvent::Started {
                run_folder,
                experiment,
                backend,
                first_step,
                total_steps,
            } => {
                writeln!(
                    self.out,
                    "{experiment} on {backend}: steps {first_step} to {total_steps}, files in {}",
                    run_folder.display()
                )?;
                writeln!(self.out, "{WARMING_UP}")?;
            }
            TrainEvent::Step(step) => {
                if self.is_due(step) {
                    writeln!(self.out, "{}", step_line(step))?;
                }
            }
            TrainEvent::Preview { step, .. } => {
                writeln!(
                    self.out,
                    "preview     {}",
                    preview::relative_path(*step).display()
                )?;
            }
            TrainEvent::Evaluation {
                values, is_best, ..
            } => {
                let best = if *is_best { "  (best so far)" } else { "" };
                writeln!(self.out, "evaluation  {}{best}", evaluation(values))?;
            }
            TrainEvent::Checkpoint { path, .. } => {
                writeln!(self.out, "checkpoint  {}", path.display())?;
            }
            TrainEvent::WentBack { step } => writeln!(self.out, "back        after step {step}")?,
            TrainEvent::Warning { step, message } => {
                writeln!(self.out, "warning     step {step}: {message}")?;
            }
            TrainEvent::Note { message } => writeln!(self.out, "{message}")?,
            TrainEvent::Finished { step, reason } => {
                writeln!(self.out, "finished after step {step}: {reason}")?;
            }
        }
        self.out.flush()?;
        Ok(())
    }
}

/// Shown until the first step is finished.
pub(super) const WARMING_UP: &str =
    "warming up: compiling kernels (GPU backends tune them during the first steps)";

/// One step in one line, in columns that keep their place from step to step.
fn step_line(step: &StepEvent) -> String {
    let digits = step.total_steps.to_string().len();
    format!(
        "step {:>digits$}/{}  {}  real {}  fake {}  {:>7.2} img/s  {:>8}  {} left",
        step.step,
        step.total_steps,
        totals(step),
        percent(step.accuracy_real),
        percent(step.accuracy_fake),
        step.images_per_second,
        memory(step.memory_bytes),
        duration(step.seconds_left),
    )
}

/// The total loss of each network: `G  1.234  D  0.812`.
fn totals(step: &StepEvent) -> String {
    let total = |network| {
        let value = step.losses.get(&Loss(network, Term::Total));
        value.copied().unwrap_or(f64::NAN)
    };
    let [g, d] = [Network::Generator, Network::Discriminator].map(total);
    format!("G {g:>8.4}  D {d:>8.4}")
}

/// The values of an evaluation in one line.
pub(super) fn evaluation(values: &Scalars) -> String {
    let shown: Vec<String> = values
        .iter()
        .map(|(name, value)| format!("{name} {}", number(*value)))
        .collect();
    shown.join("  ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn step(step: u64, seconds: f64) -> TrainEvent {
        TrainEvent::Step(StepEvent {
            step,
            total_steps: 1000,
            losses: [(Network::Generator, 1.25), (Network::Discriminator, 10.5)]
                .map(|(network, value)| (Loss(network, Term::Total), value))
                .into(),
            accuracy_real: 0.914,
            accuracy_fake: 0.05,
            seconds,
            images_per_second: 3.2,
            memory_bytes: 3 << 29,
            seconds_left: 725.0,
            ..StepEvent::default()
        })
    }

    fn lines(events: &[TrainEvent]) -> Vec<String> {
        let mut display = LineDisplay::new(Vec::new());
        for event in events {
            display.on_event(event).unwrap();
        }
        String::from_utf8(display.out)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_step_is_one_aligned_line() {
        let printed = lines(&[step(1, 5.0), step(100, 5.0)]);
        assert_eq!(
            printed[0],
            "step    1/1000  G   1.2500  D  10.5000  real  91%  fake   5%     3.20 img/s  \
             1.50 GiB  12m 05s left"
        );
        assert_eq!(printed[1], printed[0].replace("   1/1000", " 100/1000"));
    }

    #[test]
    fn steps_are_thinned_by_their_time_but_first_and_last_are_printed() {
        let mut events: Vec<_> = (1..=10).map(|number| step(number, 0.5)).collect();
        events.push(step(1000, 0.5));
        let numbers: Vec<_> = lines(&events)
            .iter()
            .map(|line| line[5..9].trim().parse::<u64>().unwrap())
            .collect();
        assert_eq!(numbers, [1, 5, 9, 1000]);
    }

    #[test]
    fn slow_steps_are_all_printed() {
        let events: Vec<_> = (1..=4).map(|number| step(number, 2.5)).collect();
        assert_eq!(lines(&events).len(), 4);
    }

    #[test]
    fn other_events_are_printed_as_they_come() {
        let printed = lines(&[
            TrainEvent::Started {
                run_folder: PathBuf::from("runs/a"),
                experiment: "quickstart".to_owned(),
                backend: "flex".to_owned(),
                first_step: 4,
                total_steps: 9,
            },
            TrainEvent::Preview {
                step: 5,
                image: image::RgbImage::new(1, 1),
            },
            TrainEvent::Evaluation {
                step: 5,
                values: [("fid".to_owned(), 31.25), ("miou".to_owned(), 40.0)].into(),
                is_best: true,
            },
            TrainEvent::Checkpoint {
                step: 5,
                path: PathBuf::from("runs/a/checkpoints/x"),
            },
            TrainEvent::WentBack { step: 5 },
            TrainEvent::Warning {
                step: 6,
                message: "loss is not finite".to_owned(),
            },
            TrainEvent::Note {
                message: "hello".to_owned(),
            },
            TrainEvent::Finished {
                step: 9,
                reason: "completed".to_owned(),
            },
        ]);
        assert_eq!(
            printed,
            [
                "quickstart on flex: steps 4 to 9, files in runs/a",
                WARMING_UP,
                "preview     previews/000005.png",
                "evaluation  fid 31.25  miou 40.00  (best so far)",
                "checkpoint  runs/a/checkpoints/x",
                "back        after step 5",
                "warning     step 6: loss is not finite",
                "hello",
                "finished after step 9: completed",
            ]
        );
    }
}
