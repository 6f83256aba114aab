//! dp-sims: training, evaluation and use of DP-SIMS, semantic image synthesis with pre-trained
//! discriminator backbones (CVPR 2024), on burn.
//!
//! The program's commands are in [`commands`]; everything else is there for them and for tests.
#![recursion_limit = "256"]

#[macro_use]
pub mod console;

pub mod arguments;
pub mod bench;
pub mod checkpoint;
pub mod commands;
pub mod config;
pub mod consumers;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod events;
pub mod experiments;
pub mod files;
pub mod grid;
pub mod lock;
pub mod memory;
pub mod naming;
pub mod paths;
pub mod run_folder;
pub mod snapshot;
pub mod threads;
pub mod train;
pub mod verify;
pub mod weights;
