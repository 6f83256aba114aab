//! What a run asks of the machines it runs on: operations, hours, money, memory and traffic, computed from
//! its configuration before anything is rented.
//!
//! Nothing is timed here; [`experiments::plan`](crate::experiments::plan()) times the rows of a study on
//! the machine at hand.

mod hardware;
#[cfg(test)]
mod pages;
mod report;
mod traffic;

pub use hardware::{Hardware, Share};
pub use report::HardwarePlan;
pub use traffic::Traffic;
