//! Listeners of training events: displays, logs and preview files.
//!
//! | consumer | writes |
//! |---|---|
//! | [`dashboard::Dashboard`] | burn-train's dashboard, in a terminal |
//! | [`lines::LineDisplay`] | plain lines on standard output, without a terminal |
//! | [`jsonl::JsonLog`] | `log.jsonl`, one object a step |
//! | [`metrics::Metrics`] | figures for Prometheus, over HTTP |
//! | [`tensorboard::TensorBoard`] | TensorBoard event files |
//! | [`preview::PreviewFolder`] | `previews/000123.png` |

mod append;
pub mod dashboard;
pub mod jsonl;
pub mod lines;
pub mod metrics;
pub mod preview;
pub mod tensorboard;
pub mod terminal;
