//! What processes tell each other first, one line of JSON each.

use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use blake3::Hasher;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest line, in bytes.
const LONGEST: u64 = 1 << 20;

/// What every process of a run has to have alike, by name.
pub type Facts = BTreeMap<String, String>;

/// A challenge that nobody was given before. Everybody may know it.
pub(super) fn challenge() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = Hasher::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |passed| passed.as_nanos());
    hasher.update(&now.to_le_bytes());
    hasher.update(&process::id().to_le_bytes());
    hasher.update(&COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    // An address, which differs from process to process.
    hasher.update(&(&raw const COUNT as usize).to_le_bytes());
    hasher.finalize().to_hex().to_string()
}

/// The first word of whoever listens.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Challenge {
    pub(super) challenge: String,
}

/// What a process tells the orchestrator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) proof: String,
    pub(super) challenge: String,
    pub(super) node: usize,
    pub(super) nodes: usize,
    /// Ranks of the process.
    pub(super) ranks: usize,
    /// Port on which it waits for its neighbour.
    pub(super) port: u16,
    pub(super) facts: Facts,
}

/// Where a process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Peer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) ranks: usize,
}

/// What the orchestrator answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// All are there, in their order.
    Welcome { proof: String, peers: Vec<Peer> },
    /// The run cannot begin.
    Refused { reason: String },
}

/// What a process tells the neighbour after it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Neighbour {
    pub(super) proof: String,
    pub(super) node: usize,
}

/// Writes a line.
pub(super) fn say<T: Serialize>(to: &mut impl Write, what: &T) -> Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)?;
    Ok(to.flush()?)
}

/// Reads a line.
///
/// # Errors
/// When the other end is gone, or says something else.
pub(super) fn hear<T: DeserializeOwned>(from: &mut impl BufRead) -> Result<T> {
    let mut line = Vec::new();
    from.take(LONGEST).read_until(b'\n', &mut line)?;
    ensure!(!line.is_empty(), "the connection was closed");
    if line.last() != Some(&b'\n') {
        bail!("the line is longer than {LONGEST} bytes or has no end");
    }
    serde_json::from_slice(&line).context("it is no dp-sims of this version")
}

/// The first fact by which two processes differ, as text.
pub(super) fn difference(first: &Hello, other: &Hello) -> Option<String> {
    let counts = |hello: &Hello| ("--nodes".to_string(), hello.nodes.to_string());
    let facts = |hello: &Hello| -> Facts {
        hello
            .facts
            .clone()
            .into_iter()
            .chain([counts(hello)])
            .collect()
    };
    let (own, others) = (facts(first), facts(other));
    let names = own.keys().chain(others.keys());
    let differs = |name: &&String| own.get(*name) != others.get(*name);
    let name = names.into_iter().find(differs)?;
    let value = |facts: &Facts| {
        facts
            .get(name)
            .map_or("nothing", String::as_str)
            .to_string()
    };
    Some(format!(
        "node {} has {name} = {}, node {} has {}: start all with the same program, experiment, settings, \
         dataset and checkpoint",
        first.node,
        value(&own),
        other.node,
        value(&others)
    ))
}
