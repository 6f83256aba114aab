//! Times what `dp-sims` is made of: the loader, networks one by one, the start of a program, and the
//! operations of the processor's backend. What it is and prints is in
//! `book/src/reference/command-line.md`.
//!
//! `cargo run --release -p dp-sims-bench -- networks --json`
#![recursion_limit = "256"]

#[cfg(feature = "flex")]
mod attention;
#[cfg(feature = "flex")]
mod conv;
mod loader;
mod networks;
mod start;
#[cfg(test)]
mod testing;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use dp_sims::commands::{User, generate, program};
use dp_sims::runtime::logging::LogArgs;
use dp_sims::runtime::memory::use_large_pages;

/// Times the loader, the networks, the start and the operations of dp-sims.
#[derive(Debug, Parser)]
#[command(name = "dp-sims-bench", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Time the reading of samples, without a network.
    Loader(loader::LoaderArgs),
    /// Time networks one by one, forward and back.
    Networks(networks::NetworksArgs),
    /// Time `generate` from the start of its process to its end, beside the generator alone.
    Start(start::StartArgs),
    /// Time convolutions and their gradients against those of burn's flex, taking turns.
    #[cfg(feature = "flex")]
    Conv,
    /// Time attention against that of burn's flex, taking turns.
    #[cfg(feature = "flex")]
    Attention,
    /// The `generate` of `dp-sims`, which `start` calls.
    #[command(hide = true)]
    Generate(generate::GenerateArgs),
}

fn main() -> ExitCode {
    program(|cli: Cli| {
        cli.log.install().user()?;
        run(cli.command)
    })
}

fn run(command: Command) -> Result<()> {
    // `generate` sees to its pages itself, in the program as here.
    if !matches!(command, Command::Generate(_)) {
        use_large_pages();
    }
    match command {
        Command::Loader(args) => loader::run(args),
        Command::Networks(args) => networks::run(args),
        Command::Start(args) => start::run(args),
        #[cfg(feature = "flex")]
        Command::Conv => {
            conv::run();
            Ok(())
        }
        #[cfg(feature = "flex")]
        Command::Attention => {
            attention::run();
            Ok(())
        }
        Command::Generate(args) => generate::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
