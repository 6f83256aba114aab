//! Generators: that of DP-SIMS (section 3.2), a noise mapping network, a label-map encoder and a
//! chain of SPADE blocks; DP-GAN's, which is a configuration of it; and that of OASIS.

mod block;
mod config;
mod dp_sims;
mod encoder;
mod mapping;
mod network;
mod oasis;
mod part;
#[cfg(test)]
mod tests;

pub use block::SpadeBlock;
pub use config::{Activation, GeneratorArchitecture, GeneratorConfig, NoiseMode};
pub use dp_sims::DpSimsGenerator;
pub use encoder::{Encoder, EncoderLevel};
pub use mapping::Mapping;
pub use network::Generator;
pub use oasis::{LabelNoiseConv, OasisBlock, OasisGenerator};
pub use part::GeneratorPart;
