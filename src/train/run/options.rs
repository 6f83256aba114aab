use std::path::PathBuf;

use crate::checkpoint::Checkpoint;
use crate::train::ranks::Ranks;

/// Where a run starts from and writes to.
pub struct RunOptions {
    /// Run folder.
    pub out: PathBuf,
    /// Folder of the weight files.
    pub weights: PathBuf,
    /// Checkpoint to continue from.
    pub resume: Option<Checkpoint>,
    /// Name of the backend, for displays and checkpoints.
    pub backend: String,
    /// Where the run ends before its last step, if anywhere.
    pub time: Option<TimeLimit>,
    /// Memory in bytes that there is for it, where that is known.
    pub memory: Option<u64>,
    /// The ranks that it is one of.
    pub ranks: Ranks,
    /// The experiment as it was named, as TOML, without flags; see [`State`](crate::checkpoint::snapshot::State).
    pub named: Option<String>,
}

/// A limit in time instead of in steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeLimit {
    /// Seconds of training, as the log counts those of steps; the step that passes them is the last.
    pub seconds: f64,
    /// Seconds of the steps up to the checkpoint that is resumed.
    pub used: f64,
}

impl TimeLimit {
    /// Whether the time is up.
    pub fn is_up(&self) -> bool {
        self.used >= self.seconds
    }
}
