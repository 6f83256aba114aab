//! Discriminators: that of DP-SIMS (section 3.1), a frozen pre-trained backbone, feature
//! conditioning, a trained decoder and a path at full resolution; and that of OASIS.

mod block;
mod conditioning;
mod config;
mod dp_sims;
mod network;
mod oasis;
mod projection;
#[cfg(test)]
mod tests;

pub use block::{DownBlock, FlatBlock, UpBlock};
pub use conditioning::Conditioning;
pub use config::{
    ConditioningMode, DecoderPlan, DiscriminatorArchitecture, DiscriminatorConfig,
    OasisDiscriminatorConfig,
};
pub use dp_sims::DpSimsDiscriminator;
pub use network::Discriminator;
pub use oasis::OasisDiscriminator;
pub use projection::Projections;
