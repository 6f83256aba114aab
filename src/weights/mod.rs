//! Pre-trained weight files: the folder they lie in, downloads, conversion and reports.
//!
//! Files are known by name ([`KnownWeights`](dp_sims_model::known::KnownWeights)); a download
//! continues where it broke off, is checked, and appears in the folder whole or not at all. HTTP
//! is [`ureq`] with cryptography in Rust (book/src/decisions).

mod address;
mod answer;
mod client;
mod download;
mod error;
mod files;
mod folder;
mod import;
mod inspect;
mod known;
mod part;
mod pretrained;
mod proxy;
mod source;
#[cfg(test)]
mod tests;
mod tls;
mod web;

pub use download::{Download, Fetched, Patience, Progress, download};
pub use error::{FetchError, Found};
pub use files::sha256;
pub use folder::{Check, FileState, Outcome, WeightsFolder};
pub use import::{ImportError, Imported, import};
pub use inspect::{Inspection, Nearest, TensorEntry, inspect};
pub use known::{KnownNetwork, all_known_weights, known_weights};
pub(crate) use pretrained::pretrained_names;
pub use pretrained::{BackboneFile, default_weights_folder, load_backbone};
