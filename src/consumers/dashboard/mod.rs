//! burn-train's dashboard, for a person at a terminal.

mod figures;

use std::collections::BTreeSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::anyhow;
use burn::data::dataloader::Progress;
use burn_train::Interrupter;
use burn_train::metric::{
    MetricAttributes, MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use burn_train::renderer::{
    MetricState, MetricsRenderer, ProgressType, TrainingProgress, tui::TuiMetricsRendererWrapper,
};

use super::lines::{LineDisplay, evaluation};
use super::{preview, terminal};
use crate::config::described;
use crate::events::{Consumer, Scalars, StepEvent, TrainEvent};
use crate::runtime::console::Stream;
use crate::runtime::units::number;
use figures::{Figure, figures, overview};

/// How a renderer comes to be, and how to see that it is still there.
struct Screen {
    /// Takes the terminal over for a run that has finished that many steps before.
    open: fn(Interrupter, u64) -> anyhow::Result<Box<dyn MetricsRenderer>>,
    /// Whether the renderer still holds the terminal.
    is_open: fn() -> bool,
}

/// Shows plots, progress and the current figures of a run.
///
/// Before the first step and after the last one it prints plain lines; the dashboard itself opens
/// with the first step, because it cannot take arrow keys while it has nothing to plot. Warnings
/// are printed again after it has closed.
///
/// `q` then `s` or `k` ask for a stop through the [`Interrupter`], which the trainer polls between
/// steps; Ctrl-C still sends its signal.
pub struct Dashboard<W: Write + Send = Stream> {
    screen: Screen,
    stop: Interrupter,
    lines: LineDisplay<W>,
    renderer: Option<Box<dyn MetricsRenderer>>,
    /// Set by the first attempt to open the renderer; there is no second one.
    opened: bool,
    finished_before: u64,
    /// What the renderer shows as the latest news until there are any; taken by the first step.
    headline: Option<String>,
    registered: BTreeSet<String>,
    /// Warnings to be printed when the renderer is gone.
    warnings: Vec<TrainEvent>,
}

impl Dashboard {
    /// A dashboard on standard output that asks for a stop through `stop`.
    ///
    /// Only where [`terminal::is_interactive`] says so.
    pub fn new(stop: Interrupter) -> Self {
        let screen = Screen {
            open: open_terminal,
            is_open: terminal::has_dashboard,
        };
        Self::with_screen(stop, screen, LineDisplay::stdout())
    }
}

/// Starts burn-train's terminal renderer.
fn open_terminal(
    stop: Interrupter,
    finished_before: u64,
) -> anyhow::Result<Box<dyn MetricsRenderer>> {
    // The renderer's thread polls without a pause. At the lowest priority, which it inherits from
    // the thread that starts it, it takes only what training leaves idle.
    let starter = std::thread::spawn(move || {
        terminal::lower_thread_priority();
        TuiMetricsRendererWrapper::new(stop, Some(finished_before as usize))
    });
    let renderer = starter
        .join()
        .map_err(|_| anyhow!("the dashboard could not be started"))?;
    terminal::wait_for_dashboard()?;
    if let Err(error) = terminal::keep_interrupt_signal() {
        tracing::warn!("Ctrl-C is without effect while the dashboard is open: {error}");
    }
    Ok(Box::new(renderer))
}

impl<W: Write + Send> Dashboard<W> {
    fn with_screen(stop: Interrupter, screen: Screen, lines: LineDisplay<W>) -> Self {
        Self {
            screen,
            stop,
            lines,
            renderer: None,
            opened: false,
            finished_before: 0,
            headline: None,
            registered: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// Opens the renderer for the first step, and notices when it has gone.
    fn update_renderer(&mut self, event: &TrainEvent) -> anyhow::Result<()> {
        let is_lost = self.renderer.is_some() && !(self.screen.is_open)();
        if is_lost || matches!(event, TrainEvent::Finished { .. }) {
            self.close();
        }
        if !self.opened && matches!(event, TrainEvent::Step(_)) {
            self.opened = true;
            self.renderer = Some((self.screen.open)(self.stop.clone(), self.finished_before)?);
        }
        Ok(())
    }

    /// Closes the renderer, which gives the terminal back.
    fn close(&mut self) {
        let renderer = self.renderer.take();
        self.catch_kill(|| drop(renderer));
    }

    /// Runs `action` on the renderer.
    fn with_renderer(&mut self, action: impl FnOnce(&mut dyn MetricsRenderer)) {
        let Some(mut renderer) = self.renderer.take() else {
            return;
        };
        let killed = self.catch_kill(|| action(renderer.as_mut()));
        self.renderer = Some(renderer);
        if killed {
            self.close();
        }
    }

    /// Turns the panic by which the renderer says "kill" into a stop between two steps, which
    /// leaves a whole checkpoint; says whether that happened.
    fn catch_kill(&self, action: impl FnOnce()) -> bool {
        let killed = catch_unwind(AssertUnwindSafe(action)).is_err();
        if killed {
            self.stop.stop(Some("stopped from the dashboard"));
        }
        killed
    }

    fn show(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Step(step) => self.show_step(step),
            TrainEvent::Preview { step, .. } => {
                self.show_latest(format!(
                    "preview {}",
                    preview::relative_path(*step).display()
                ));
            }
            TrainEvent::Evaluation {
                step,
                values,
                is_best,
            } => {
                let best = if *is_best { " (best)" } else { "" };
                self.show_latest(format!(
                    "evaluation of step {step}: {}{best}",
                    evaluation(values)
                ));
                self.show_evaluation(values);
            }
            TrainEvent::Checkpoint { step, .. } => {
                self.show_latest(format!("checkpoint of step {step}"));
            }
            TrainEvent::WentBack { step } => self.show_latest(format!("back after step {step}")),
            TrainEvent::Warning { step, message } => {
                self.show_latest(format!("step {step}: {message}"));
                self.warnings.push(event.clone());
            }
            TrainEvent::Note { message } => self.show_latest(message.clone()),
            // Outside of the time in which the renderer is open.
            TrainEvent::Started { .. } | TrainEvent::Finished { .. } => {}
        }
    }

    fn show_step(&mut self, step: &StepEvent) {
        self.show_text("Now", overview(step));
        if let Some(headline) = self.headline.take() {
            self.show_latest(headline);
        }
        for Figure {
            name,
            value,
            text,
            higher_is_better,
        } in figures(step)
        {
            self.register(
                &name,
                NumericAttributes {
                    unit: None,
                    higher_is_better,
                }
                .into(),
            );
            // A plot cannot hold what is not finite.
            let entry = entry(&name, text);
            let state = if value.is_finite() {
                MetricState::Numeric(entry, NumericEntry::Value(value))
            } else {
                MetricState::Generic(entry)
            };
            self.with_renderer(|renderer| renderer.update_train(state));
        }
        let progress = Progress::new(step.step as usize, step.total_steps as usize);
        let status = vec![
            ProgressType::Detailed {
                tag: "Step".to_owned(),
                progress: progress.clone(),
            },
            ProgressType::Value {
                tag: "Images seen".to_owned(),
                value: step.images_seen as usize,
            },
        ];
        let progress = TrainingProgress {
            progress: None,
            global_progress: progress,
            iteration: Some(step.step as usize),
        };
        self.with_renderer(|renderer| renderer.render_train(progress, status));
    }

    /// A plot per value, beside those of the steps.
    fn show_evaluation(&mut self, values: &Scalars) {
        for (name, &value) in values {
            let (title, _, better) = described(name);
            let attributes = NumericAttributes {
                unit: None,
                higher_is_better: better.unwrap_or(true),
            };
            self.register(&title, attributes.into());
            let entry = entry(&title, number(value));
            if value.is_finite() {
                let state = MetricState::Numeric(entry, NumericEntry::Value(value));
                self.with_renderer(|renderer| renderer.update_train(state));
            }
        }
    }

    fn show_latest(&mut self, text: String) {
        self.show_text("Latest", text);
    }

    fn show_text(&mut self, name: &str, text: String) {
        self.register(name, MetricAttributes::None);
        let state = MetricState::Generic(entry(name, text));
        self.with_renderer(|renderer| renderer.update_train(state));
    }

    /// Tells the renderer about a metric before its first value.
    fn register(&mut self, name: &str, attributes: MetricAttributes) {
        if self.registered.insert(name.to_owned()) {
            let definition = MetricDefinition {
                metric_id: id(name),
                name: name.to_owned(),
                description: None,
                attributes,
            };
            self.with_renderer(|renderer| renderer.register_metric(definition));
        }
    }
}

impl<W: Write + Send> Consumer for Dashboard<W> {
    fn on_event(&mut self, event: &TrainEvent) -> anyhow::Result<()> {
        if let TrainEvent::Started {
            experiment,
            backend,
            first_step,
            ..
        } = event
        {
            self.finished_before = first_step.saturating_sub(1);
            self.headline = Some(format!("{experiment} on {backend}"));
        }
        self.update_renderer(event)?;
        if self.renderer.is_some() {
            self.show(event);
            return Ok(());
        }
        for warning in self.warnings.drain(..) {
            self.lines.on_event(&warning)?;
        }
        self.lines.on_event(event)
    }
}

impl<W: Write + Send> Drop for Dashboard<W> {
    fn drop(&mut self) {
        self.close();
    }
}

fn id(name: &str) -> MetricId {
    MetricId::new(Arc::new(name.to_owned()))
}

fn entry(name: &str, text: String) -> MetricEntry {
    MetricEntry::new(id(name), SerializedEntry::new(text.clone(), text))
}

#[cfg(test)]
mod tests;
