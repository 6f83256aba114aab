use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Parser;

use super::{Mistake, Unfinished};
use crate::runtime::console::{self, Stream};
use crate::runtime::{arguments, memory, threads};

/// Runs a program: parses its command line, hands that to `run`, and turns the outcome into an exit code.
/// To be called before there are other threads.
pub fn program<C: Parser + Send>(run: impl FnOnce(C) -> Result<()> + Send) -> ExitCode {
    memory::keep_freed();
    if let Some(refusal) = arguments::refusal(std::env::args_os().skip(1)) {
        Stream::Error.write(&format!("error: {refusal}\n"));
        return ExitCode::from(2);
    }
    let cli = match C::try_parse() {
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
    threads::run_among(|| report(run(cli)))
}

/// Exit code of an outcome: 0 for success, 2 for a mistake of the user, 75 for a run that is to go on in
/// another process, 1 for a failure. Errors go to
/// standard error, one cause a line.
fn report(outcome: Result<()>) -> ExitCode {
    let (error, code) = match outcome {
        Ok(()) => match console::failure() {
            None => return ExitCode::SUCCESS,
            Some((stream, why)) => (anyhow!("cannot write to {stream}: {why}"), 1),
        },
        Err(error) if error.is::<Unfinished>() => {
            tracing::info!("{error}");
            return ExitCode::from(Unfinished::EXIT_CODE);
        }
        Err(error) => {
            let code = if error.is::<Mistake>() { 2 } else { 1 };
            (error, code)
        }
    };
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because {cause}");
    }
    ExitCode::from(code)
}
