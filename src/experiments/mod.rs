//! Many runs as one: studies, the queue that trains and evaluates their rows, and the report that
//! sets the rows side by side with the paper's.
//!
//! A [`Study`] is a file: rows, each an experiment with settings on top, and seeds. The [`Queue`] trains
//! every row with every seed in a process and a run folder of its own, and finds out from the folders
//! what is left to do. A [`Report`] reads the folders.

mod catalogue;
mod children;
mod display;
mod folder;
mod interval;
mod job;
mod plan;
mod queue;
mod report;
mod study;
#[cfg(test)]
mod testing;

pub use catalogue::Catalogue;
pub use children::Program;
pub use folder::{Record, Roots};
pub use interval::{Interval, t_quantile};
pub use job::{Job, Judging, State};
pub use plan::{PlanReport, PlanRow, plan};
pub use queue::{Outcome, Queue, runs};
pub use report::Report;
pub use study::{Overrides, PaperRow, Row, Study, StudyRow, study_names};
