//! The dashboard on a renderer that writes down its calls instead of drawing.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use burn_train::renderer::{
    EvaluationName, EvaluationProgress, MetricsRendererEvaluation, MetricsRendererTraining,
};

use super::*;
use crate::events::{Loss, Network, Term};

thread_local! {
    /// Calls to the renderer of the test that runs on this thread.
    static CALLS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static IS_OPEN: Cell<bool> = const { Cell::new(true) };
    static IS_KILLED: Cell<bool> = const { Cell::new(false) };
}

fn call(text: String) {
    assert!(
        !IS_KILLED.replace(false),
        "killed by the person at the terminal"
    );
    CALLS.with_borrow_mut(|calls| calls.push(text));
}

struct Fake;

impl MetricsRendererTraining for Fake {
    fn update_train(&mut self, state: MetricState) {
        let (kind, entry) = match state {
            MetricState::Generic(entry) => ("text", entry),
            MetricState::Numeric(entry, _) => ("number", entry),
        };
        call(format!("{kind} {}", entry.serialized_entry.formatted));
    }

    fn render_train(&mut self, item: TrainingProgress, _: Vec<ProgressType>) {
        let progress = item.global_progress;
        call(format!(
            "progress {}/{}",
            progress.items_processed, progress.items_total
        ));
    }

    fn update_valid(&mut self, _: MetricState) {}
    fn render_valid(&mut self, _: TrainingProgress, _: Vec<ProgressType>) {}
}

impl MetricsRendererEvaluation for Fake {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
    fn render_test(&mut self, _: EvaluationProgress, _: Vec<ProgressType>) {}
}

impl MetricsRenderer for Fake {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        call(format!("register {}", definition.name));
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        call("close".to_owned());
    }
}

/// What a display prints, readable while the display owns the other end.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap()
    }

    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.bytes())).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Setup {
    dashboard: Dashboard<Printed>,
    printed: Printed,
    stop: Interrupter,
}

fn setup() -> Setup {
    let (printed, stop) = (Printed::default(), Interrupter::new());
    let open = |_: Interrupter, finished_before: u64| {
        call(format!("open after {finished_before}"));
        Ok(Box::new(Fake) as Box<dyn MetricsRenderer>)
    };
    let screen = Screen {
        open,
        is_open: || IS_OPEN.get(),
    };
    let lines = LineDisplay::new(printed.clone());
    Setup {
        dashboard: Dashboard::with_screen(stop.clone(), screen, lines),
        printed,
        stop,
    }
}

impl Setup {
    fn emit(&mut self, event: TrainEvent) {
        self.dashboard.on_event(&event).unwrap();
    }
}

fn calls() -> Vec<String> {
    CALLS.take()
}

fn started(first_step: u64) -> TrainEvent {
    TrainEvent::Started {
        run_folder: PathBuf::from("run"),
        experiment: "quickstart".to_owned(),
        backend: "flex".to_owned(),
        first_step,
        total_steps: 9,
    }
}

fn step(step: u64, loss: f64) -> TrainEvent {
    TrainEvent::Step(StepEvent {
        step,
        total_steps: 9,
        losses: [(Loss(Network::Generator, Term::Total), loss)].into(),
        ..StepEvent::default()
    })
}

fn warning() -> TrainEvent {
    TrainEvent::Warning {
        step: 5,
        message: "noise has no effect".to_owned(),
    }
}

fn finished() -> TrainEvent {
    TrainEvent::Finished {
        step: 9,
        reason: "completed".to_owned(),
    }
}

#[test]
fn opens_with_the_first_step_and_closes_at_the_end() {
    let mut setup = setup();
    setup.emit(started(5));
    assert_eq!(calls(), [""; 0]);
    let printed = setup.printed.take();
    assert_eq!(printed.len(), 2);
    assert!(printed[1].starts_with("warming up"), "{printed:?}");

    setup.emit(step(5, 1.5));
    let shown = calls();
    assert_eq!(shown[..2], ["open after 4", "register Now"]);
    assert_eq!(shown[3..5], ["register Latest", "text quickstart on flex"]);
    assert_eq!(shown[5..7], ["register G total", "number 1.50000"]);
    assert_eq!(shown.last().unwrap(), "progress 5/9");

    setup.emit(warning());
    setup.emit(TrainEvent::Checkpoint {
        step: 5,
        path: PathBuf::from("x"),
    });
    assert_eq!(
        calls(),
        [
            "text step 5: noise has no effect",
            "text checkpoint of step 5"
        ]
    );
    assert_eq!(
        setup.printed.take(),
        [""; 0],
        "nothing is printed over the dashboard"
    );

    setup.emit(finished());
    assert_eq!(calls(), ["close"]);
    assert_eq!(
        setup.printed.take(),
        [
            "warning     step 5: noise has no effect",
            "finished after step 9: completed"
        ]
    );
    assert!(!setup.stop.should_stop());
}

#[test]
fn an_evaluation_is_shown_and_plotted() {
    let mut setup = setup();
    setup.emit(step(1, 1.5));
    calls();
    for value in [12.5, f64::NAN] {
        setup.emit(TrainEvent::Evaluation {
            step: 1,
            values: [("miou".to_owned(), value)].into(),
            is_best: value.is_finite(),
        });
    }
    assert_eq!(
        calls(),
        [
            "register Latest",
            "text evaluation of step 1: miou 12.50 (best)",
            "register mIoU",
            "number 12.50",
            "text evaluation of step 1: miou NaN"
        ]
    );
}

#[test]
fn what_is_not_finite_is_text_only() {
    let mut setup = setup();
    setup.emit(step(1, f64::NAN));
    setup.emit(step(2, f64::INFINITY));
    let shown = calls();
    assert!(shown.contains(&"text NaN".to_owned()), "{shown:?}");
    assert!(shown.contains(&"text inf".to_owned()), "{shown:?}");
    assert_eq!(
        shown
            .iter()
            .filter(|call| *call == "register G total")
            .count(),
        1
    );
}

#[test]
fn killing_becomes_a_stop_and_lines_take_over() {
    let mut setup = setup();
    setup.emit(step(1, 1.0));
    setup.emit(warning());
    calls();
    IS_KILLED.set(true);
    setup.emit(step(2, 1.0));
    assert!(setup.stop.should_stop());
    assert_eq!(calls(), ["close"]);
    setup.emit(finished());
    assert_eq!(calls(), [""; 0], "it does not open again");
    assert_eq!(
        setup.printed.take(),
        [
            "warning     step 5: noise has no effect",
            "finished after step 9: completed"
        ]
    );
}

#[test]
fn killing_while_closing_is_caught() {
    let mut setup = setup();
    setup.emit(step(1, 1.0));
    IS_KILLED.set(true);
    setup.emit(finished());
    assert!(setup.stop.should_stop());
    assert_eq!(setup.printed.take(), ["finished after step 9: completed"]);
}

#[test]
fn a_lost_renderer_leaves_the_run_going() {
    let mut setup = setup();
    setup.emit(step(1, 1.0));
    IS_OPEN.set(false);
    setup.emit(step(2, 1.0));
    assert_eq!(calls().last().unwrap(), "close");
    assert!(!setup.stop.should_stop());
    let printed = setup.printed.take();
    assert!(printed[0].starts_with("step 2/9"), "{printed:?}");
}

#[test]
fn dropping_it_gives_the_terminal_back() {
    let mut setup = setup();
    setup.emit(step(1, 1.0));
    drop(setup);
    assert_eq!(calls().last().unwrap(), "close");
}
