//! Surveying a split with all its faults, and what its label maps look like.

pub(crate) mod diagnosis;
mod fault;
mod page;
mod pair;
mod summary;
mod survey;

pub use crate::scan::Tally;
pub use diagnosis::{Finding, FindingKind};
pub use fault::{Fault, FaultKind, Faults};
pub use page::page;
pub use summary::{ClassSummary, Summary};
pub use survey::{Depth, InstanceTally, SplitSurvey, survey};
