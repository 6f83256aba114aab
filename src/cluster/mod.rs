//! The processes of a run: how they find each other, and how they add up what they have.
//!
//! Every process asks the [orchestrator](serve) who the others are. It makes sure that all mean the same run
//! and tells each where its neighbours are; then the processes form a [ring](Ring) of their own, and the
//! orchestrator has nothing more to do. burn's own orchestrator is not used: it listens on every interface, asks
//! nobody who they are, and leaves processes waiting for ever for one that is gone
//! (`book/src/decisions/0029-ranks.md`).
//!
//! Who belongs to a run proves that it knows the run's token, without sending it. What is sent afterwards is
//! neither encrypted nor signed.

mod hello;
mod join;
mod orchestrator;
mod ring;
mod socket;
#[cfg(test)]
mod tests;

pub use hello::Facts;
pub use join::{Member, join};
pub use orchestrator::{Orchestrator, serve};
pub use ring::Ring;
