//! What every other room may use: the device, what goes to it and comes from it, files and the terminal.

#[macro_use]
pub mod console;

pub mod arguments;
pub mod batch;
pub mod columns;
pub mod device;
pub mod files;
pub mod lock;
pub mod logging;
pub mod memory;
pub mod naming;
pub mod noise;
pub mod paths;
pub mod pictures;
pub mod progress;
pub mod schema;
pub mod threads;
pub mod token;
pub mod units;
