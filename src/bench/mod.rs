//! Speed of this machine and of the networks on it, in floating-point operations per second.
//!
//! Counts come from [`dp_sims_model::cost`]; a multiply-add is two operations. Clocks are read only
//! after a number has come back from the device.

mod count;
mod loader;
mod networks;
mod report;
mod sizes;
mod speed;

pub use count::step_macs;
pub use loader::{LoaderReport, Shares, loader, shares};
pub use networks::{
    GENERATOR_CLASSES, Measured, Operation, STEP_CLASSES, Settings, generator, step,
};
pub use report::{Machine, Report};
pub use sizes::{NetworkSize, SIZES_HEADING, network_sizes};
pub use speed::{ProbeSizes, convolution_speed, matmul_speed};
