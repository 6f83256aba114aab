//! Figures of a run for those that watch many machines: the text that Prometheus reads, over HTTP.

mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::events::{Consumer, Loss, StepEvent, TrainEvent};

type Gauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;
/// A gauge for each name, or pair of names.
type Gauges = Family<Vec<(&'static str, String)>, Gauge>;

/// Serves the figures of a run at `http://ADDRESS/metrics`, as long as the process lives.
///
/// Those of a step are those of the last one that was reported; what a step does not measure stays as it
/// was measured last.
#[derive(Debug)]
pub struct Metrics {
    address: SocketAddr,
    run: Gauges,
    step: Gauge,
    total_steps: Gauge,
    images_seen: Gauge,
    step_seconds: Gauge,
    images_per_second: Gauge,
    seconds_left: Gauge,
    memory_bytes: Gauge,
    losses: Gauges,
    accuracies: Gauges,
    gradient_norms: Gauges,
    measures: Gauges,
    learning_rates: Gauges,
    evaluation: Gauges,
    checkpoint_step: Gauge,
    checkpoints: Counter,
    evaluations: Counter,
    warnings: Counter,
    returns: Counter,
}

impl Metrics {
    /// Begins to serve at an address, `HOST:PORT`; port 0 is any that is free.
    ///
    /// # Errors
    /// When the address cannot be had; the error names it.
    pub fn serve(address: &str) -> Result<Self> {
        let in_vain = || format!("--metrics: cannot serve at {address}");
        let listener = TcpListener::bind(address).with_context(in_vain)?;
        let address = listener.local_addr().with_context(in_vain)?;
        let mut registry = Registry::with_prefix("dp_sims");
        let metrics = Self::register(address, &mut registry);
        server::start(listener, registry).with_context(in_vain)?;
        Ok(metrics)
    }

    /// The address with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn register(address: SocketAddr, registry: &mut Registry) -> Self {
        let build = Gauges::default();
        set(&build, "version", env!("CARGO_PKG_VERSION"), 1.0);
        registry.register("build_info", "Version of the program", build);
        let start = Gauge::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        start.set(now.map_or(0.0, |time| time.as_secs_f64()));
        let help = "When the program began to serve these figures, in seconds since 1970";
        registry.register("start_time_seconds", help, start);
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let step = gauge("step", "Finished steps");
        let total_steps = gauge("total_steps", "Step at which the run ends");
        let images_seen = gauge("images_seen", "Real images consumed since step 1");
        let step_seconds = gauge("step_seconds", "Wall-clock time of the last step");
        let images_per_second = gauge(
            "images_per_second",
            "Real images per second in the last step",
        );
        let seconds_left = gauge("seconds_left", "Estimated time to the end of the run");
        let memory_bytes = gauge("memory_bytes", "Resident memory of the process");
        let checkpoint_step = gauge(
            "checkpoint_step",
            "Steps in the newest checkpoint of this process",
        );
        let mut gauges = |name: &str, help: &str| {
            let gauges = Gauges::default();
            registry.register(name, help, gauges.clone());
            gauges
        };
        let run = gauges("run_info", "Experiment and backend");
        let losses = gauges("loss", "Weighted terms of the losses of the last step");
        let accuracies = gauges(
            "accuracy",
            "Share of pixels that the discriminator tells right",
        );
        let gradient_norms = gauges(
            "gradient_norm",
            "Norms of the gradients of the generator's terms",
        );
        let measures = gauges("measure", "What shows how the images of the last step are");
        let learning_rates = gauges("learning_rate", "Learning rates of the last step");
        let evaluation = gauges("evaluation", "Values of the last evaluation");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            address,
            run,
            step,
            total_steps,
            images_seen,
            step_seconds,
            images_per_second,
            seconds_left,
            memory_bytes,
            losses,
            accuracies,
            gradient_norms,
            measures,
            learning_rates,
            evaluation,
            checkpoint_step,
            checkpoints: counter("checkpoints", "Checkpoints written by this process"),
            evaluations: counter("evaluations", "Evaluations by this process"),
            warnings: counter("warnings", "Warnings of this process"),
            returns: counter(
                "returns",
                "How often this process went back to an earlier step",
            ),
        }
    }

    fn show_step(&self, event: &StepEvent) {
        self.step.set(event.step as f64);
        self.total_steps.set(event.total_steps as f64);
        self.images_seen.set(event.images_seen as f64);
        self.step_seconds.set(event.seconds);
        self.images_per_second.set(event.images_per_second);
        self.seconds_left.set(event.seconds_left);
        self.memory_bytes.set(event.memory_bytes as f64);
        for (&Loss(network, term), &value) in &event.losses {
            let labels = vec![("network", network.to_string()), ("term", term.to_string())];
            self.losses.get_or_create(&labels).set(value);
        }
        set(&self.accuracies, "images", "real", event.accuracy_real);
        set(&self.accuracies, "images", "fake", event.accuracy_fake);
        set_all(&self.gradient_norms, "term", &event.gradient_norms);
        set_all(&self.measures, "name", &event.measures);
        set_all(&self.learning_rates, "network", &event.learning_rates);
    }
}

impl Consumer for Metrics {
    fn on_event(&mut self, event: &TrainEvent) -> Result<()> {
        match event {
            TrainEvent::Started {
                experiment,
                backend,
                first_step,
                total_steps,
                ..
            } => {
                let labels = vec![
                    ("experiment", experiment.clone()),
                    ("backend", backend.clone()),
                ];
                self.run.get_or_create(&labels).set(1.0);
                self.step.set(first_step.saturating_sub(1) as f64);
                self.total_steps.set(*total_steps as f64);
            }
            TrainEvent::Step(step) => self.show_step(step),
            TrainEvent::Evaluation { values, .. } => {
                self.evaluations.inc();
                set_all(&self.evaluation, "name", values);
            }
            TrainEvent::Checkpoint { step, .. } => {
                self.checkpoints.inc();
                self.checkpoint_step.set(*step as f64);
            }
            TrainEvent::WentBack { step } => {
                self.returns.inc();
                self.step.set(*step as f64);
            }
            TrainEvent::Warning { .. } => _ = self.warnings.inc(),
            TrainEvent::Preview { .. } | TrainEvent::Note { .. } | TrainEvent::Finished { .. } => {}
        }
        Ok(())
    }
}

fn set(gauges: &Gauges, label: &'static str, name: &str, value: f64) {
    let labels = vec![(label, name.to_string())];
    gauges.get_or_create(&labels).set(value);
}

fn set_all<K: Display>(gauges: &Gauges, label: &'static str, values: &BTreeMap<K, f64>) {
    for (name, value) in values {
        set(gauges, label, &name.to_string(), *value);
    }
}
