//! Where processes find each other.

use std::io::BufReader;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Builder};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::hello::{Answer, Challenge, Hello, Peer, challenge, difference, hear, say};
use super::socket;
use crate::runtime::token::Token;

/// How long somebody who connects may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most processes of a run.
const MOST_NODES: usize = 65_536;

/// What the orchestrator has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orchestrator {
    /// A process is there; so many of so many are.
    Arrived {
        /// Its number.
        node: usize,
        /// Where it is.
        host: String,
        /// Processes that are there.
        here: usize,
        /// Processes of the run.
        nodes: usize,
    },
    /// All are there and the run begins.
    Began {
        /// Processes of the run.
        nodes: usize,
        /// Ranks of the run.
        ranks: usize,
    },
    /// Somebody was sent away, or the run cannot begin.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A process that waits for the others.
struct Waiting {
    hello: Hello,
    host: IpAddr,
    stream: TcpStream,
}

/// Brings processes of runs together, one run after another, for as long as the program runs. A process that
/// does not know the token is sent away; one that gives up waiting is forgotten.
///
/// # Errors
/// When the address cannot be listened on any more.
pub fn serve(
    listener: &TcpListener,
    token: &Token,
    mut report: impl FnMut(Orchestrator),
) -> Result<()> {
    let (sender, receiver) = channel();
    let own = listener.try_clone().context("cannot listen")?;
    let key = token.clone();
    thread::spawn(move || accept(&own, &key, &sender));
    gather(&receiver, token, &mut report)
}

/// What somebody who connected turned out to be.
type Arrival = Result<Waiting, String>;

fn accept(listener: &TcpListener, token: &Token, arrivals: &Sender<Arrival>) {
    for stream in listener.incoming() {
        let (token, arrivals) = (token.clone(), arrivals.clone());
        match stream {
            // Nobody holds up the others.
            Ok(stream) => {
                let sender = arrivals.clone();
                let work = move || {
                    // Nobody listens any more when the program ends.
                    let _ = sender.send(greet(stream, &token));
                };
                // With too many who connect there is no thread left, and this one is sent away.
                if let Err(error) = Builder::new().spawn(work) {
                    let _ = arrivals.send(Err(format!("a connection was dropped: {error}")));
                }
            }
            Err(error) => {
                let _ = arrivals.send(Err(format!("a connection failed: {error}")));
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn greet(stream: TcpStream, token: &Token) -> Arrival {
    let place = stream.peer_addr().map(|address| address.ip());
    let host = place.map_err(|error| format!("a connection failed: {error}"))?;
    let hello = || -> Result<Waiting> {
        socket::prepare(&stream)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let challenge = challenge();
        let mut writer = &stream;
        say(
            &mut writer,
            &Challenge {
                challenge: challenge.clone(),
            },
        )?;
        let hello: Hello = hear(&mut BufReader::new(&stream))?;
        if !token.accepts("node", &challenge, &hello.proof) {
            let reason = "the token is not that of the orchestrator".to_string();
            say(&mut writer, &Answer::Refused { reason })?;
            anyhow::bail!("it does not know the token");
        }
        ensure!(
            hello.node < hello.nodes && hello.nodes <= MOST_NODES && hello.ranks > 0,
            "it calls itself node {} of {} with {} ranks",
            hello.node,
            hello.nodes,
            hello.ranks
        );
        stream.set_read_timeout(None)?;
        let stream = stream.try_clone()?;
        Ok(Waiting {
            hello,
            host,
            stream,
        })
    };
    hello().map_err(|error| format!("{host} was sent away: {error:#}"))
}

fn gather(
    arrivals: &Receiver<Arrival>,
    token: &Token,
    report: &mut impl FnMut(Orchestrator),
) -> Result<()> {
    let mut here: Vec<Waiting> = Vec::new();
    loop {
        let arrival = arrivals.recv().context("cannot listen any more")?;
        here.retain(is_there);
        let new = match arrival {
            Ok(new) => new,
            Err(reason) => {
                report(Orchestrator::Refused { reason });
                continue;
            }
        };
        let node = new.hello.node;
        if here.iter().any(|other| other.hello.node == node) {
            let reason =
                format!("there is a node {node} already: give each process its own --node-rank");
            refuse([&new], &reason);
            report(Orchestrator::Refused { reason });
            continue;
        }
        let nodes = new.hello.nodes;
        let host = new.host.to_string();
        here.push(new);
        here.sort_by_key(|waiting| waiting.hello.node);
        report(Orchestrator::Arrived {
            node,
            host,
            here: here.len(),
            nodes,
        });
        let differs = |other: &Waiting| difference(&here[0].hello, &other.hello);
        if let Some(reason) = here.iter().find_map(differs) {
            refuse(&here, &reason);
            here.clear();
            report(Orchestrator::Refused { reason });
        } else if here.len() == nodes {
            let ranks = here.iter().map(|waiting| waiting.hello.ranks).sum();
            welcome(&here, token);
            here.clear();
            report(Orchestrator::Began { nodes, ranks });
        }
    }
}

/// Whether a process still waits: it says nothing, so that there is nothing to read but the end.
fn is_there(waiting: &Waiting) -> bool {
    let stream = &waiting.stream;
    let looked = stream
        .set_nonblocking(true)
        .and_then(|()| stream.peek(&mut [0]));
    let back = stream.set_nonblocking(false);
    let waits = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    back.is_ok() && looked.is_err_and(waits)
}

fn refuse<'a>(all: impl IntoIterator<Item = &'a Waiting>, reason: &str) {
    for waiting in all {
        let reason = reason.to_string();
        // Who is gone needs no answer.
        let _ = say(&mut &waiting.stream, &Answer::Refused { reason });
    }
}

fn welcome(all: &[Waiting], token: &Token) {
    let peers: Vec<_> = all
        .iter()
        .map(|waiting| Peer {
            host: waiting.host.to_string(),
            port: waiting.hello.port,
            ranks: waiting.hello.ranks,
        })
        .collect();
    for waiting in all {
        let answer = Answer::Welcome {
            proof: token.proof("orchestrator", &waiting.hello.challenge),
            peers: peers.clone(),
        };
        // Its neighbours notice who is gone.
        let _ = say(&mut &waiting.stream, &answer);
    }
}
