//! dp-sims: training, evaluation and use of DP-SIMS, semantic image synthesis with pre-trained
//! discriminator backbones (CVPR 2024), on burn.
//!
//! The program's commands are in [`commands`]; everything else is there for them, for tests
//! and for what measures, `tests/bench`.
#![recursion_limit = "256"]

#[macro_use]
pub mod runtime;

pub mod bench;
pub mod checkpoint;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod consumers;
pub mod data;
pub mod evaluate;
pub mod events;
pub mod experiments;
pub mod plan;
#[cfg(feature = "serve")]
pub mod serve;
pub mod train;
pub mod verify;
pub mod weights;
