//! Networks that judge images: features for FID and KID, LPIPS, and segmentation networks.
//!
//! They run on the plain backend, never on an autodiff one, and their weights are loaded strictly:
//! an evaluation with a network that is half random gives a number that looks like a result.

mod conv;

pub use conv::{Conv, ConvConfig};
