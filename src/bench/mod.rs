//! Speed of this machine and of the networks on it, in floating-point operations per second.
//!
//! Counts come from [`dp_sims_model::cost`]; a multiply-add is two operations. Clocks are read only
//! after the device has done its work.

mod child;
mod count;
mod loader;
mod machine;
mod measure;
mod network;
mod networks;
mod parts;
mod passes;
mod report;
mod settings;
mod sizes;
mod speed;
mod start;
mod table;
mod timed;
mod timing;

pub use child::Child;
pub use count::step_macs;
pub use loader::{LoaderReport, Shares, loader, shares};
pub use machine::Machine;
pub use measure::{Launches, Macs, Measured, Operation};
pub use network::{Choice, TimedNetwork};
pub use networks::{NetworkSpeed, NetworksReport, PassSpeed, networks};
pub use parts::Part;
pub use report::Report;
pub(crate) use settings::scenes;
pub use settings::{BACKBONE, GENERATOR_CLASSES, STEP_CLASSES, Settings, backbone_named};
pub use sizes::{NetworkSize, SIZES_HEADING, network_sizes};
pub use speed::{ProbeSizes, Speeds, convolution_speed, matmul_speed, memory_speed};
pub use start::{StartReport, start};
pub use timed::{generator, step};
pub use timing::Timing;
