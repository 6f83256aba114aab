//! The processes of a run and the orchestrator that brings them together.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::run::{program, train};

/// A process that does not outlive the test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn started(command: &assert_cmd::Command, token: &str) -> Process {
    let mut command_line = Command::new(command.get_program());
    command_line
        .args(command.get_args())
        .env("DP_SIMS_TOKEN", token)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Process(command_line.spawn().unwrap())
}

/// Exit code and messages of a process that has to end within a minute.
pub fn ended(mut process: Process) -> (Option<i32>, String) {
    let started = Instant::now();
    loop {
        if let Some(status) = process.0.try_wait().unwrap() {
            let mut text = String::new();
            let mut messages = process.0.stderr.take().unwrap();
            std::io::Read::read_to_string(&mut messages, &mut text).unwrap();
            return (status.code(), text);
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "a process does not end"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An orchestrator and its address.
pub fn orchestrator() -> (Process, String) {
    let mut process = started(
        &program(&["orchestrator", "--listen", "127.0.0.1:0"]),
        "word",
    );
    let mut messages = BufReader::new(process.0.stderr.take().unwrap());
    let mut line = String::new();
    messages.read_line(&mut line).unwrap();
    let address = line
        .split_whitespace()
        .find(|word| word.starts_with("127.0.0.1:"));
    let address = address.expect(&line).trim_end_matches(';').to_string();
    // What it has to say later is read, so that it never waits for a reader.
    std::thread::spawn(move || messages.lines().for_each(drop));
    (process, address)
}

/// The processes of a run, each with its own arguments.
pub fn processes(address: &str, out: &Path, each: &[&[&str]]) -> Vec<Process> {
    let nodes = each.len().to_string();
    let member = |(rank, arguments): (usize, &&[&str])| {
        let rank = rank.to_string();
        let place = [
            "--orchestrator",
            address,
            "--nodes",
            &nodes,
            "--node-rank",
            &rank,
        ];
        started(&train(out, &[&place, *arguments].concat()), "word")
    };
    each.iter().enumerate().map(member).collect()
}

/// Waits for processes that have to succeed.
pub fn all_succeed(processes: Vec<Process>) {
    for process in processes {
        let (code, messages) = ended(process);
        assert_eq!(code, Some(0), "{messages}");
    }
}
