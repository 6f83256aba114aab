//! Networks, layers, losses and pre-trained weight import of dp-sims.
//!
//! Everything here is generic over burn's [`Backend`](burn::tensor::backend::Backend) trait: the
//! same code trains on CUDA, wgpu and flex, and is unit-tested on flex and ndarray. The crate
//! reads and writes weight files and nothing else, and prints nothing.
#![recursion_limit = "256"]

#[cfg(any(test, feature = "testing"))]
#[macro_use]
pub mod testing;

#[cfg(test)]
mod ablations;
pub mod backbones;
pub mod buffers;
pub mod cost;
pub mod discriminator;
mod error;
pub mod generator;
pub mod init;
pub mod kept;
pub mod known;
pub mod layers;
pub mod losses;
pub mod naming;
pub mod segments;
pub mod tape;
pub mod weights;

pub use error::ConfigError;
