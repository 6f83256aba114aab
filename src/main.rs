//! The `dp-sims` program: parses the command line and hands over.
#![recursion_limit = "256"]

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;
use dp_sims::commands::{Cli, run};

fn main() -> ExitCode {
    dp_sims::runtime::memory::keep_freed();
    if let Some(refusal) = dp_sims::runtime::arguments::refusal(std::env::args_os().skip(1)) {
        dp_sims::runtime::console::Stream::Error.write(&format!("error: {refusal}\n"));
        return ExitCode::from(2);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are errors of this kind as well.
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::FAILURE,
                _ => ExitCode::from(code),
            };
        }
    };
    dp_sims::runtime::threads::run_among(|| run(cli))
}
