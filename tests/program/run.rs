//! Calling the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A model small enough that a step takes a fraction of a second.
pub const TINY: [&str; 16] = [
    "data.height=32",
    "data.width=32",
    "data.scenes=40",
    "run.batch=2",
    "run.preview_rows=1",
    "run.preview_samples=2",
    "generator.base_width=2",
    "generator.encoder_channels=[4, 8, 8, 8, 8, 8, 8]",
    "generator.mapping_width=16",
    "generator.latent_dim=8",
    "generator.tokens=4",
    "generator.token_dim=8",
    "discriminator.decoder_channels=[16, 16, 8, 8, 4]",
    "discriminator.full_resolution_channels=4",
    "loss.contrastive.loss.dim=16",
    "ema.refresh_batches=2",
];

/// The program with these arguments.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("dp-sims"));
    command.args(arguments);
    command
}

/// `train` of a tiny quickstart on flex into `out`, with more arguments.
pub fn train(out: &Path, arguments: &[&str]) -> Command {
    let mut command = program(&["train", "quickstart", "--no-tui", "--backend", "flex"]);
    command.arg("--out").arg(out).args(arguments);
    for setting in TINY {
        command.arg("--set").arg(setting);
    }
    command
}

/// The checkpoint folder of a step.
pub fn checkpoint(out: &Path, step: u64) -> PathBuf {
    out.join(format!("checkpoints/step-{step:06}"))
}

/// The tensors of a checkpoint: contents of its safetensors files by name.
pub fn weights(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a checkpoint folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "safetensors")
        })
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read(&path).expect("a file"))
        })
        .collect()
}

/// Standard error of a command that fails with this code.
pub fn failure(mut command: Command, code: i32) -> String {
    let output = command.assert().code(code).get_output().clone();
    String::from_utf8(output.stderr).expect("text")
}
