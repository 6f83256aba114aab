//! The program, started again for a part of the work.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dp_sims_backends::Selected;

use super::folder::{EVALUATE_LOG, EVALUATION, EXPERIMENT, FailureNote, TRAIN_LOG};
use super::job::Job;

/// Lines of a log that are kept of a call that failed.
const KEPT_LINES: usize = 20;

/// Bytes at the end of the log of steps in which the last one is looked for.
const TAIL: u64 = 1 << 14;

/// How the program is started again.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Backend and device.
    pub selected: Selected,
    /// Threads of each process.
    pub threads: usize,
    /// Folder of weight files; the default without it.
    pub weights: Option<PathBuf>,
}

/// A started process. One that trains ends with a checkpoint when this is dropped, or when the program
/// that started it ends in whatever way: its standard input ends then.
pub(super) struct Call {
    /// `train` or `evaluate`.
    pub(super) command: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    started: Instant,
    log: PathBuf,
    /// Length of the log before the call.
    log_start: u64,
}

impl Program {
    /// Trains a job from where it is; none where another process is still at work in its folder.
    pub(super) fn train(&self, job: &Job) -> Result<Option<Call>> {
        job.prepare()?;
        let mut arguments: Vec<OsString> = vec![job.folder.join(EXPERIMENT).into()];
        for argument in ["--no-tui", "--stop-at-eof", "--resume", "auto", "--out"] {
            arguments.push(argument.into());
        }
        arguments.push(job.folder.clone().into());
        if let Some(root) = &job.experiment.data.root {
            arguments.extend(["--data".into(), root.into()]);
        }
        if let Some(seconds) = job.seconds {
            arguments.extend(["--seconds".into(), seconds.to_string().into()]);
        }
        self.start("train", arguments, &job.folder.join(TRAIN_LOG))
    }

    /// Judges the newest checkpoint of a job; none where another process is still at work in its folder.
    pub(super) fn evaluate(&self, job: &Job) -> Result<Option<Call>> {
        let mut arguments: Vec<OsString> = vec!["--checkpoint".into(), job.folder.clone().into()];
        arguments.extend(["--out".into(), job.folder.join(EVALUATION).into()]);
        let judging = &job.judging;
        let mut flag = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        if let Some(root) = &job.experiment.data.root {
            flag("--data", root.into());
        }
        if let Some(protocol) = &judging.protocol {
            flag("--protocol", protocol.into());
        }
        if !judging.metrics.is_empty() {
            flag("--metrics", judging.metrics.join(",").into());
        }
        if let Some(limit) = judging.limit {
            flag("--limit", limit.to_string().into());
        }
        if let Some(segmenter) = &judging.segmenter {
            flag("--segmenter", segmenter.into());
        }
        self.start("evaluate", arguments, &job.folder.join(EVALUATE_LOG))
    }

    /// Starts a command whose output is appended to a log. The log is locked for as long as the process
    /// lives, so that a process left over from a call that was killed is seen.
    pub(super) fn start(
        &self,
        command: &'static str,
        arguments: Vec<OsString>,
        log: &Path,
    ) -> Result<Option<Call>> {
        let unwritable = || format!("cannot write {}", log.display());
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(unwritable)?;
        // Elsewhere a lock would keep the process itself from writing.
        #[cfg(unix)]
        if matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
            return Ok(None);
        }
        let log_start = file.metadata().with_context(unwritable)?.len();
        writeln!(file, "== dp-sims {command}").with_context(unwritable)?;
        let mut process = Command::new(&self.path);
        process
            .arg(command)
            .args(arguments)
            .args(["--backend", self.selected.kind.name(), "--device"])
            .arg(self.selected.device.to_string())
            .env("RAYON_NUM_THREADS", self.threads.to_string())
            .stdin(Stdio::piped())
            .stdout(file.try_clone().with_context(unwritable)?)
            .stderr(file);
        if let Some(weights) = &self.weights {
            process.arg("--weights").arg(weights);
        }
        // Ctrl-C in a terminal reaches this program alone, which passes it on once.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut process, 0);
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut process, 0x200);
        let mut child = process
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        Ok(Some(Call {
            command,
            input: child.stdin.take(),
            child,
            started: Instant::now(),
            log: log.to_path_buf(),
            log_start,
        }))
    }
}

impl Call {
    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("cannot tell whether `dp-sims {}` has ended", self.command))
    }

    /// Asks training to end with a checkpoint; an evaluation has nothing to lose and is ended.
    pub(super) fn ask_to_stop(&mut self) {
        self.input = None;
        if self.command != "train" {
            self.kill();
        }
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        // It may have ended just now.
        let _ = self.child.kill();
    }

    /// Ends it and waits until it is gone.
    pub(super) fn end(mut self) {
        self.kill();
        let _ = self.child.wait();
    }

    /// What is kept of a call that failed.
    pub(super) fn failure(&self, status: ExitStatus) -> FailureNote {
        FailureNote {
            command: self.command.to_string(),
            status: status.to_string(),
            lines: last_lines(&self.log, self.log_start).unwrap_or_default(),
        }
    }
}

/// The last lines of a log from a place on, without the line that this program wrote.
fn last_lines(path: &Path, start: u64) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut lines = VecDeque::new();
    for line in BufReader::new(file).split(b'\n').skip(1) {
        lines.push_back(String::from_utf8_lossy(&line?).into_owned());
        if lines.len() > KEPT_LINES {
            lines.pop_front();
        }
    }
    Ok(lines.into())
}

/// A step of the log of steps, as far as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Logged {
    /// Step.
    pub(super) step: u64,
    /// Seconds it took.
    pub(super) seconds: f64,
    /// Resident memory of the process in bytes.
    pub(super) memory: u64,
}

/// The last steps of the log in a run folder, at most as many as the end of the file holds.
pub(super) fn logged(folder: &Path) -> Vec<Logged> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(folder.join("log.jsonl"))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // Before the first step there is no log; a line that is cut off is none.
    let bytes = read().unwrap_or_default();
    bytes
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let value: serde_json::Value = serde_json::from_slice(line).ok()?;
            Some(Logged {
                step: value["step"].as_u64()?,
                seconds: value["seconds"].as_f64()?,
                memory: value["memory_bytes"].as_u64().unwrap_or(0),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_read_and_torn_lines_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(logged(folder.path()), []);
        let line =
            |step: u64| format!("{{\"step\":{step},\"seconds\":0.5,\"memory_bytes\":{step}}}\n");
        let mut text: String = (1..=1000).map(line).collect();
        text.push_str("{\"step\":10");
        std::fs::write(folder.path().join("log.jsonl"), text).unwrap();
        let found = logged(folder.path());
        assert!(found.len() > 10 && found.len() < 1000);
        let last = Logged {
            step: 1000,
            seconds: 0.5,
            memory: 1000,
        };
        assert_eq!(found.last(), Some(&last));
    }

    #[test]
    fn the_last_lines_are_those_of_the_last_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let before = "== dp-sims train\nerror: earlier\n";
        let lines: String = (0..30).map(|i| format!("line {i}\n")).collect();
        std::fs::write(&path, format!("{before}== dp-sims train\n{lines}")).unwrap();
        let found = last_lines(&path, before.len() as u64).unwrap();
        assert_eq!((found.len(), found[0].as_str()), (KEPT_LINES, "line 10"));
        assert_eq!(found[19], "line 29");
    }
}
