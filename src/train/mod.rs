//! Training: networks, one step, optimizers, and the loop that joins them with data and displays.

mod costs;
mod estimate;
mod evaluation;
mod frozen;
mod loss_scale;
mod networks;
mod optimizer;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod parity_average;
#[cfg(test)]
mod parity_optimizer;
mod parts;
mod ranks;
mod report;
mod run;
pub mod run_folder;
mod sampling;
mod save;
mod segmenter;
mod signs;
mod step;
mod stop;
mod summary;
mod unchanged;
mod watch;
mod work;

pub(crate) use costs::step_parameters;
pub use estimate::Estimate;
pub(crate) use estimate::fits;
pub use networks::{Frozen, Networks};
pub use optimizer::{ModuleOptimizer, adam, load_optimizer_state, optimizer_state};
pub use parts::StepPart;
pub use ranks::Ranks;
pub use report::{Scalar, StepReport, StepScalars};
pub use run::{Ending, Run, RunOptions, TimeLimit};
pub use sampling::{Preview, refreshed};
pub use save::{files, restore};
pub use segmenter::train_segmenter;
pub use step::Training;
pub use stop::{Stop, StopReason};
pub use unchanged::refuse_changes_of_networks;
pub use watch::Watch;
pub use work::{NetworkWork, StepWork};
