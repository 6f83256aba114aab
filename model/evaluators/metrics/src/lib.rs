//! The arithmetic of evaluation, apart from any network: from features and label maps to numbers.
//!
//! Everything is computed in float64 or in whole numbers, on the CPU, and knows neither tensors
//! nor files of images. [`Moments`] and [`Confusion`] take their data in pieces, so that memory does
//! not grow with the number of images.

mod confusion;
mod error;
mod frechet;
mod kernel;
mod moments;
mod npy;
mod npz;
#[cfg(test)]
mod reference;

pub use confusion::{ClassesInMean, Confusion};
pub use error::MetricError;
pub use frechet::frechet_distance;
pub use kernel::{KernelConfig, KernelDistance, kernel_distance, kernel_distance_of};
pub use moments::{Moments, Statistics};
pub use npz::{read_statistics, write_statistics};
