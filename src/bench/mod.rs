//! Speed of this machine and of the networks on it, in floating-point operations per second.
//!
//! Counts come from [`dp_sims_model::cost`]; a multiply-add is two operations. Clocks are read only
//! after the device has done its work.

mod count;
#[cfg(all(test, feature = "flex"))]
mod counted;
mod machine;
mod measure;
mod parts;
mod report;
mod settings;
mod sizes;
mod speed;
mod table;
mod timed;
mod timing;

pub use count::step_macs;
pub use machine::{Machine, line};
pub use measure::{Launches, Macs, Measured, Operation, WARM_UP};
pub use parts::Part;
pub use report::Report;
pub(crate) use settings::scenes;
pub use settings::{
    BACKBONE, GENERATOR_CLASSES, STEP_CLASSES, Settings, backbone_named, fit_decoder,
};
pub use sizes::{NetworkSize, SIZES_HEADING, network_sizes};
pub use speed::{ProbeSizes, Speeds, convolution_speed, matmul_speed, memory_speed};
pub use timed::{Images, generator, step};
pub use timing::Timing;
