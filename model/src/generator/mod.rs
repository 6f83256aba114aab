//! The generator of DP-SIMS (section 3.2): a noise mapping network, a label-map encoder and a
//! chain of SPADE blocks.

mod block;
mod config;
mod encoder;
mod mapping;
mod network;

pub use block::SpadeBlock;
pub use config::{GeneratorConfig, NoiseMode};
pub use encoder::{Encoder, EncoderLevel};
pub use mapping::Mapping;
pub use network::Generator;
