use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use anyhow::Result;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Bounds of the buckets of times, in seconds.
const SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

type Labels = Vec<(&'static str, String)>;

/// Figures of the server for Prometheus.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
    /// Seconds that the generator took for an order.
    pub(super) compute: Histogram,
    /// Images made.
    pub(super) images: Counter,
    /// Orders that nobody waited for any more when their turn came.
    pub(super) skipped: Counter,
    /// Orders that the queue had no room for.
    pub(super) refused: Counter,
    /// Orders that wait.
    pub(super) waiting: Gauge<i64, AtomicI64>,
    /// Open connections.
    pub(super) connections: Gauge<i64, AtomicI64>,
}

impl Metrics {
    /// Figures of a server that has done nothing yet.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("dp_sims_serve");
        let build = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_string())];
        build.get_or_create(&version).set(1.0);
        registry.register("build_info", "Version of the program", build);
        let requests = Family::default();
        let help = "Requests by route and status";
        registry.register("requests", help, requests.clone());
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> _);
        let help = "Seconds from the head of a request to that of its answer";
        registry.register("request_seconds", help, seconds.clone());
        let compute = Histogram::new(SECONDS);
        let help = "Seconds that the generator took for a request";
        registry.register("compute_seconds", help, compute.clone());
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let images = counter("images", "Images made");
        let skipped = counter(
            "skipped",
            "Requests whose client was gone when their turn came",
        );
        let refused = counter("refused", "Requests that the queue had no room for");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let waiting = gauge("queue", "Requests that wait for the generator");
        let connections = gauge("connections", "Open connections");
        Self {
            registry,
            requests,
            seconds,
            compute,
            images,
            skipped,
            refused,
            waiting,
            connections,
        }
    }

    /// Counts an answer. `route` is one of a fixed set, never text of a client.
    pub(super) fn answered(&self, route: &str, status: u16, time: Duration) {
        let of_route = vec![("route", route.to_string())];
        let seconds = self.seconds.get_or_create(&of_route);
        seconds.observe(time.as_secs_f64());
        drop(seconds);
        let labels = [of_route, vec![("status", status.to_string())]].concat();
        self.requests.get_or_create(&labels).inc();
    }

    /// All figures as text.
    ///
    /// # Errors
    /// Never, as far as is known.
    pub(super) fn text(&self) -> Result<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
