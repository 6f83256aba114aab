//! All-reduce in a ring of processes.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, Result};
use dp_sims_backends::collective::Between;

/// Bytes in front of a message: its kind and its length.
const HEAD: usize = 9;

/// Longest reason, in bytes.
const LONGEST_REASON: usize = 4096;

/// Kinds of messages: numbers, or why the sender ends.
const NUMBERS: u8 = 1;
const END: u8 = 2;

/// The processes of a run in a ring: each sends to the one after it and reads from the one before it.
///
/// A sum costs each process twice its bytes, less one share, in each direction. The numbers are cut into
/// one share per process; the share of process p is added up from p on around the ring, so that the order of
/// every sum depends on nothing but the number of processes.
#[derive(Debug)]
pub struct Ring {
    node: usize,
    nodes: usize,
    ends: Mutex<Ends>,
}

#[derive(Debug)]
struct Ends {
    before: BufReader<TcpStream>,
    /// To the thread that writes to the process after this one; none once the ring is closed.
    after: Option<Sender<Message>>,
    writer: Option<JoinHandle<Result<(), std::io::Error>>>,
}

#[derive(Debug)]
struct Message {
    kind: u8,
    bytes: Vec<u8>,
}

impl Ring {
    /// A ring of `nodes` processes, of which this is `node`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new([node, nodes]: [usize; 2], before: TcpStream, after: TcpStream) -> Result<Self> {
        let (sender, receiver) = channel();
        let writer = Builder::new()
            .name("ring".to_string())
            .spawn(move || write(&receiver, after))
            .context("cannot start a thread")?;
        let ends = Ends {
            before: BufReader::new(before),
            after: Some(sender),
            writer: Some(writer),
        };
        Ok(Self {
            node,
            nodes,
            ends: Mutex::new(ends),
        })
    }

    /// Tells the others why this process ends, if there is a reason, and waits until all that was sent is on its
    /// way. Nothing can be added up afterwards.
    pub fn close(&self, reason: Option<&str>) {
        // A thread that waits for the process before this one holds the ends, and hears of its end itself.
        let Ok(mut ends) = self.ends.try_lock() else {
            return;
        };
        if let Some(reason) = reason {
            ends.end(self.node, reason);
        }
        ends.after = None;
        if let Some(writer) = ends.writer.take() {
            let _ = writer.join();
        }
    }

    fn around(&self, from: usize, back: usize) -> usize {
        (from + 2 * self.nodes - back) % self.nodes
    }

    fn add_up(&self, ends: &mut Ends, numbers: &mut [f32]) -> Result<(), String> {
        let (nodes, length) = (self.nodes, numbers.len());
        let share = |number: usize| number * length / nodes..(number + 1) * length / nodes;
        let before = self.around(self.node, 1);
        // Whoever is gone is named by what comes around, which it cannot let pass; a neighbour that takes nothing
        // any more is the last to say so.
        let mut sent = Ok(());
        for turn in 0..nodes - 1 {
            sent = sent.and(ends.send(&numbers[share(self.around(self.node, turn))]));
            let own = &mut numbers[share(self.around(self.node, turn + 1))];
            ends.receive(own, before, |own, other| *own += other)?;
        }
        for turn in 0..nodes - 1 {
            sent = sent.and(ends.send(&numbers[share(self.around(self.node + 1, turn))]));
            let own = &mut numbers[share(self.around(self.node, turn))];
            ends.receive(own, before, |own, other| *own = other)?;
        }
        sent.map_err(|()| {
            let after = self.around(self.node + 1, 0);
            format!("node {after} is gone, or the network to it: it takes nothing any more")
        })
    }
}

impl Between for Ring {
    fn sum(&self, numbers: &mut [f32]) -> Result<(), String> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.add_up(&mut ends, numbers);
        if let Err(reason) = &outcome {
            // The others hear of the first reason.
            ends.end(self.node, reason);
        }
        outcome
    }
}

impl Ends {
    fn send(&self, numbers: &[f32]) -> Result<(), ()> {
        let bytes = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let message = Message {
            kind: NUMBERS,
            bytes,
        };
        let after = self.after.as_ref().ok_or(())?;
        after.send(message).map_err(|_| ())
    }

    fn end(&mut self, node: usize, reason: &str) {
        let reason = match reason.starts_with("node ") {
            true => reason.to_string(),
            false => format!("node {node} has ended: {reason}"),
        };
        let bytes = reason.bytes().take(LONGEST_REASON).collect();
        if let Some(after) = &self.after {
            let _ = after.send(Message { kind: END, bytes });
        }
    }

    fn receive(
        &mut self,
        own: &mut [f32],
        before: usize,
        put: impl Fn(&mut f32, f32),
    ) -> Result<(), String> {
        let lost =
            |error: std::io::Error| format!("node {before} is gone, or the network to it: {error}");
        let mut head = [0; HEAD];
        self.before.read_exact(&mut head).map_err(lost)?;
        let [kind, length @ ..] = head;
        let length = u64::from_le_bytes(length);
        if kind == END {
            let mut reason = Vec::new();
            let length = length.min(LONGEST_REASON as u64);
            let read = (&mut self.before).take(length).read_to_end(&mut reason);
            read.map_err(lost)?;
            return Err(String::from_utf8_lossy(&reason).into_owned());
        }
        if kind != NUMBERS || length != 4 * own.len() as u64 {
            return Err(format!(
                "node {before} does not do the same: it sent {length} bytes where {} belong",
                4 * own.len()
            ));
        }
        let mut bytes = vec![0; 4 * own.len()];
        self.before.read_exact(&mut bytes).map_err(lost)?;
        for (own, four) in own.iter_mut().zip(bytes.as_chunks().0) {
            put(own, f32::from_le_bytes(*four));
        }
        Ok(())
    }
}

fn write(messages: &Receiver<Message>, mut after: TcpStream) -> Result<(), std::io::Error> {
    for Message { kind, bytes } in messages {
        let mut head = [0; HEAD];
        head[0] = kind;
        head[1..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        after.write_all(&head)?;
        after.write_all(&bytes)?;
    }
    after.shutdown(Shutdown::Write)
}
