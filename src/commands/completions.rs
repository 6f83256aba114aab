use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell to print completions for.
    #[arg(value_name = "SHELL", required_unless_present = "man")]
    shell: Option<Shell>,
    /// Write a manual page for every command into this folder instead.
    #[arg(long, value_name = "DIR", conflicts_with = "shell")]
    man: Option<PathBuf>,
}

/// Prints what a shell needs to complete commands and flags, or writes manual pages.
pub fn run(args: CompletionsArgs) -> Result<()> {
    let mut command = Cli::command();
    if let Some(shell) = args.shell {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "dp-sims", &mut script);
        print!("{}", String::from_utf8(script)?);
    }
    if let Some(folder) = args.man {
        std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(command, &folder))
            .with_context(|| format!("cannot write manual pages into {}", folder.display()))?;
        println!("manual pages are in {}", folder.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_manual_page() {
        let folder = tempfile::tempdir().unwrap();
        let man = Some(folder.path().join("man"));
        run(CompletionsArgs { shell: None, man }).unwrap();
        for command in Cli::command().get_subcommands() {
            let page = folder
                .path()
                .join(format!("man/dp-sims-{}.1", command.get_name()));
            let text = std::fs::read_to_string(&page).unwrap();
            assert!(text.contains("OPTIONS"), "{}", page.display());
        }
    }
}
