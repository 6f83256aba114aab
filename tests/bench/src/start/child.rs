use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dp_sims_backends::Selected;

/// Name of the label map, which is also that of the image made of it.
pub(super) const MAP: &str = "map.png";

/// How the program is started again.
#[derive(Clone, Debug)]
pub struct Child {
    /// The program.
    pub program: PathBuf,
    /// Backend and device of both processes.
    pub selected: Selected,
    /// Threads of both processes.
    pub threads: usize,
}

impl Child {
    /// Seconds from the start of `generate` to its end.
    pub(super) fn generate(&self, checkpoint: &Path, labels: &Path, out: &Path) -> Result<f64> {
        let started = Instant::now();
        let output = Command::new(&self.program)
            .args(["generate", "--backend", self.selected.kind.name()])
            .arg("--device")
            .arg(self.selected.device.to_string())
            .arg("--checkpoint")
            .arg(checkpoint)
            .arg("--labels")
            .arg(labels)
            .arg("--out")
            .arg(out)
            .env("RAYON_NUM_THREADS", self.threads.to_string())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let seconds = started.elapsed().as_secs_f64();
        let message = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        ensure!(status.success(), "`generate` failed, {status}: {message}");
        let image = out.join(MAP);
        ensure!(image.is_file(), "`generate` made no image: {message}");
        Ok(seconds)
    }
}
