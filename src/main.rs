//! The `dp-sims` program: parses the command line and hands over.
#![recursion_limit = "256"]

use std::process::ExitCode;

use clap::Parser;
use dp_sims::commands::{Cli, run};

fn main() -> ExitCode {
    dp_sims::memory::keep_freed();
    let cli = Cli::parse();
    dp_sims::threads::run_among(|| run(cli))
}
