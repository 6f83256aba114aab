//! The discriminator of DP-SIMS (section 3.1): a frozen pre-trained backbone, feature
//! conditioning, a trained decoder and a path at full resolution.

mod block;
mod conditioning;
mod config;
mod network;

pub use block::{FlatBlock, UpBlock};
pub use conditioning::Conditioning;
pub use config::{ConditioningMode, DiscriminatorConfig};
pub use network::Discriminator;
