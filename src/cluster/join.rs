use std::io::BufReader;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::hello::{Answer, Challenge, Facts, Hello, Neighbour, Peer, challenge, hear, say};
use super::ring::Ring;
use super::socket::{connect, prepare};
use crate::runtime::token::Token;

/// How long the orchestrator, and neighbours after its word, may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of a run.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its number, from 0.
    pub node: usize,
    /// Processes of the run.
    pub nodes: usize,
    /// Ranks that it has.
    pub ranks: usize,
    /// What it has in common with the others.
    pub facts: Facts,
}

/// Finds the other processes; waits until all are there. Gives back the ring of them, and how many ranks the
/// processes before this one have and all together.
///
/// # Errors
/// When the orchestrator is not there, refuses this process or the run, or a neighbour does not answer.
pub fn join(member: &Member, orchestrator: &str, token: &Token) -> Result<(Ring, [usize; 2])> {
    let stream = connect(orchestrator, PATIENCE)
        .context("cannot reach the orchestrator: start `dp-sims orchestrator` first")?;
    // Where the orchestrator is reached, the others are.
    let listener = TcpListener::bind(SocketAddr::new(stream.local_addr()?.ip(), 0))
        .context("cannot listen for the other processes")?;
    let mut reader = BufReader::new(&stream);
    let asked: Challenge = hear(&mut reader).context("the orchestrator does not answer")?;
    let own = challenge();
    let hello = Hello {
        proof: token.proof("node", &asked.challenge),
        challenge: own.clone(),
        node: member.node,
        nodes: member.nodes,
        ranks: member.ranks,
        port: listener.local_addr()?.port(),
        facts: member.facts.clone(),
    };
    say(&mut &stream, &hello)?;
    let answer = hear(&mut reader).context("the orchestrator is gone");
    let peers = match answer? {
        Answer::Refused { reason } => bail!("the run cannot begin: {reason}"),
        Answer::Welcome { proof, peers } => {
            ensure!(
                token.accepts("orchestrator", &own, &proof),
                "who answers at {orchestrator} does not know the token"
            );
            peers
        }
    };
    ensure!(
        peers.len() == member.nodes,
        "the orchestrator names {} processes of {}",
        peers.len(),
        member.nodes
    );
    let ranks = |peers: &[Peer]| peers.iter().map(|peer| peer.ranks).sum();
    let counts = [ranks(&peers[..member.node]), ranks(&peers)];
    let next = (member.node + 1) % member.nodes;
    let last = (member.node + member.nodes - 1) % member.nodes;
    // Both at once: each waits for a word of a neighbour that does the same.
    let (after, before) = std::thread::scope(|scope| {
        let after = scope.spawn(|| reach(&peers[next], member.node, token));
        let before = wait(&listener, last, token);
        (after.join(), before)
    });
    let after = after
        .unwrap_or_else(|_| Err(anyhow!("it cannot be asked")))
        .with_context(|| format!("cannot reach node {next} at {}", peers[next].host))?;
    let before = before.with_context(|| format!("node {last} does not come"))?;
    let ring = Ring::new([member.node, member.nodes], before, after)?;
    Ok((ring, counts))
}

/// Connects to the process after this one.
fn reach(peer: &Peer, node: usize, token: &Token) -> Result<TcpStream> {
    let host: IpAddr = peer.host.parse().context("it has no address")?;
    let stream = connect(&SocketAddr::new(host, peer.port).to_string(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let asked: Challenge = hear(&mut BufReader::new(&stream))?;
    let proof = token.proof("neighbour", &asked.challenge);
    say(&mut &stream, &Neighbour { proof, node })?;
    stream.set_read_timeout(None)?;
    Ok(stream)
}

/// Waits for the process before this one. Whoever else connects is sent away.
fn wait(listener: &TcpListener, node: usize, token: &Token) -> Result<TcpStream> {
    let started = Instant::now();
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                if let Ok(stream) = recognise(stream, node, token) {
                    return Ok(stream);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                ensure!(started.elapsed() < PATIENCE, "it has not connected in time");
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn recognise(stream: TcpStream, node: usize, token: &Token) -> Result<TcpStream> {
    prepare(&stream)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let challenge = challenge();
    say(
        &mut &stream,
        &Challenge {
            challenge: challenge.clone(),
        },
    )?;
    let neighbour: Neighbour = hear(&mut BufReader::with_capacity(1, &stream))?;
    ensure!(neighbour.node == node && token.accepts("neighbour", &challenge, &neighbour.proof));
    stream.set_read_timeout(None)?;
    Ok(stream)
}
