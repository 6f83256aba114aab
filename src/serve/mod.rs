//! Images over HTTP, and the page that asks for them.
//!
//! HTTP runs in threads of its own and hands [orders](Job) to the thread that computes, over a queue of a
//! bounded length: what does not fit is refused at once and told when to come back. Who asks can name no
//! file, make nobody else wait, and take no more memory than [`Limits`] says.

mod app;
mod engine;
mod error;
mod facts;
mod guard;
mod limits;
mod listen;
mod metrics;
mod noise;
mod openapi;
mod page;
mod painter;
mod request;
mod routes;
mod samples;
mod service;
#[cfg(all(test, feature = "model"))]
mod tests;

pub use app::app;
pub use engine::{Engine, Job, Made, Orders, queue};
pub use facts::{ClassFacts, ModelFacts};
pub use guard::Access;
pub use limits::Limits;
pub use listen::{Server, start};
pub use metrics::Metrics;
pub use noise::{Noise, Style};
pub use painter::paint;
pub use samples::{LabelSample, Samples};
pub use service::Service;
