//! Requests to an application whose images tell which order they are of.

mod access;
mod connections;
mod generate;
mod hostile;
mod routes;

use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::*;
use crate::checkpoint::snapshot::Snapshot;
use crate::runtime::token::Token;

/// A server without sockets.
struct Tested {
    app: Router,
    runtime: Runtime,
    metrics: Arc<Metrics>,
    /// Orders that were made.
    jobs: Arc<Mutex<Vec<Job>>>,
    /// Where orders come out, unless something makes them.
    orders: Option<Orders>,
}

/// An answer, whole.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// What is wrong and what to do, in one text.
    fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json");
        let json = self.json();
        format!(
            "{}: {}",
            json["error"].as_str().unwrap(),
            json["remedy"].as_str().unwrap()
        )
    }
}

/// Pages of this machine may ask, without a token.
fn anybody() -> Access {
    Access::new("127.0.0.1:7860".parse().unwrap(), &[], &[], Token::new(""))
}

/// A server that paints every image in the colour of its seed, and of its number.
fn painted(change: impl FnOnce(&mut Limits), access: Access) -> Tested {
    let mut tested = idle(change, access);
    let jobs = tested.jobs.clone();
    let orders = tested.orders.take().unwrap();
    thread::spawn(move || {
        orders.work(|job| {
            jobs.lock().unwrap().push(job.clone());
            let pixel = |k: usize| [job.noise.seed as u8, k as u8, job.labels[0]];
            let images = 0..job.noise.samples;
            Ok(images.map(|k| pixel(k).repeat(job.size.pixels())).collect())
        });
    });
    tested
}

/// A server that makes nothing.
fn idle(change: impl FnOnce(&mut Limits), access: Access) -> Tested {
    let model = Snapshot::built_in().unwrap();
    let mut limits = Limits::of(model.size);
    change(&mut limits);
    let metrics = Arc::new(Metrics::new());
    let (engine, orders) = queue(limits.queue, &metrics);
    let facts = ModelFacts::new(&model, "flex", "flex device 0", &limits).unwrap();
    let samples = Samples::scenes(model.size);
    let service = Service::new(&model, facts, samples, engine, limits, metrics.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    Tested {
        app: app(service, access),
        runtime: runtime.unwrap(),
        metrics,
        jobs: Arc::default(),
        orders: Some(orders),
    }
}

impl Tested {
    fn ask(&self, request: Request<Body>) -> Answer {
        self.runtime.block_on(async {
            let response = self.app.clone().oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            Answer {
                status: head.status,
                headers: head.headers,
                bytes: body.collect().await.unwrap().to_bytes().to_vec(),
            }
        })
    }

    fn get(&self, uri: &str) -> Answer {
        self.ask(request("GET", uri).body(Body::empty()).unwrap())
    }

    fn post(&self, uri: &str, kind: &str, body: Vec<u8>) -> Answer {
        let request = request("POST", uri).header(header::CONTENT_TYPE, kind);
        self.ask(request.body(Body::from(body)).unwrap())
    }

    /// Asks for images of class 3 at the size of the model.
    fn generate(&self, query: &str) -> Answer {
        let uri = format!("/v1/generate?{query}");
        self.post(&uri, IDS, vec![3; side() * side()])
    }
}

const IDS: &str = "application/octet-stream";

/// Side of the images of the model inside the program.
fn side() -> usize {
    let size = Snapshot::built_in().unwrap().size;
    assert_eq!(size.height, size.width);
    size.height
}

fn request(method: &str, uri: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::HOST, "localhost:7860")
}
