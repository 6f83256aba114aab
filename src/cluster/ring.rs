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

/// Most numbers that go around as they are: 32 kB, which a network of a gigabit per second takes about as long for
/// as for a turn.
const FEW: usize = 1 << 13;

/// Longest reason, in bytes.
const LONGEST_REASON: usize = 4096;

/// Kinds of messages: numbers, or why the sender ends.
const NUMBERS: u8 = 1;
const END: u8 = 2;

/// The processes of a run in a ring: each sends to the one after it and reads from the one before it.
///
/// A sum of many numbers costs each process twice its bytes, less one share, in each direction. The numbers are cut
/// into one share per process; the share of process p is added up from p on around the ring. [Few](FEW) numbers
/// go around as they are and are added up by everyone from process 0 on, which takes half as many turns: their time
/// is that of the turns. So the order of every sum depends on nothing but how many numbers and processes there are.
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
    /// [`HEAD`] and what follows it, which go out at once.
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u8, length: usize, bytes: impl Iterator<Item = u8>) -> Self {
        let mut all = Vec::with_capacity(HEAD + length);
        all.push(kind);
        all.extend((length as u64).to_le_bytes());
        all.extend(bytes);
        Self { bytes: all }
    }
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

    /// Every process's numbers around the ring, then their sum.
    fn add_up_few(&self, ends: &mut Ends, numbers: &mut [f32]) -> Result<(), String> {
        let (nodes, length) = (self.nodes, numbers.len());
        let before = self.around(self.node, 1);
        let mut all = vec![0.0; nodes * length];
        let place = |node: usize| node * length..(node + 1) * length;
        all[place(self.node)].copy_from_slice(numbers);
        let mut sent = Ok(());
        for turn in 0..nodes - 1 {
            sent = sent.and(ends.send(&all[place(self.around(self.node, turn))]));
            let own = &mut all[place(self.around(self.node, turn + 1))];
            ends.receive(own, before, |own, other| *own = other)?;
        }
        numbers.copy_from_slice(&all[place(0)]);
        for node in 1..nodes {
            for (sum, number) in numbers.iter_mut().zip(&all[place(node)]) {
                *sum += number;
            }
        }
        self.is_sent(sent)
    }

    fn add_up(&self, ends: &mut Ends, numbers: &mut [f32]) -> Result<(), String> {
        let (nodes, length) = (self.nodes, numbers.len());
        let share = |number: usize| number * length / nodes..(number + 1) * length / nodes;
        let before = self.around(self.node, 1);
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
        self.is_sent(sent)
    }

    /// Whoever is gone is named by what comes around, which it cannot let pass; a neighbour that takes nothing any
    /// more is the last to say so.
    fn is_sent(&self, sent: Result<(), ()>) -> Result<(), String> {
        sent.map_err(|()| {
            let after = self.around(self.node + 1, 0);
            format!("node {after} is gone, or the network to it: it takes nothing any more")
        })
    }
}

impl Between for Ring {
    fn sum(&self, numbers: &mut [f32]) -> Result<(), String> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match numbers.len() {
            ..=FEW => self.add_up_few(&mut ends, numbers),
            _ => self.add_up(&mut ends, numbers),
        };
        if let Err(reason) = &outcome {
            // The others hear of the first reason.
            ends.end(self.node, reason);
        }
        outcome
    }
}

impl Ends {
    fn send(&self, numbers: &[f32]) -> Result<(), ()> {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
        let message = Message::new(NUMBERS, 4 * numbers.len(), bytes);
        let after = self.after.as_ref().ok_or(())?;
        after.send(message).map_err(|_| ())
    }

    fn end(&mut self, node: usize, reason: &str) {
        let reason = match reason.starts_with("node ") {
            true => reason.to_string(),
            false => format!("node {node} has ended: {reason}"),
        };
        let length = reason.len().min(LONGEST_REASON);
        if let Some(after) = &self.after {
            let _ = after.send(Message::new(END, length, reason.bytes().take(length)));
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
    for message in messages {
        after.write_all(&message.bytes)?;
    }
    after.shutdown(Shutdown::Write)
}
