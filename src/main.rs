//! The `dp-sims` program: parses the command line and hands over.
#![recursion_limit = "256"]

use std::process::ExitCode;

use dp_sims::commands::{program, run};

fn main() -> ExitCode {
    program(run)
}
