//! Training on several devices: a thread for every rank of this process.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims_backends::collective::{Between, Group, Place};

use super::{TrainTask, nothing_to_do, say};
use crate::cluster::{Facts, Member, Ring, join};
use crate::commands::orchestrator::TokenArgs;
use crate::commands::{Unfinished, User, count};
use crate::config::values;
use crate::events::{Consumer, Fanout, TrainEvent};
use crate::runtime::threads::{run_apart, words_of};
use crate::train::{Ranks, Run, RunOptions, Stop, TimeLimit};

/// How long the first rank may take to end after another one failed: it writes a checkpoint, unless it waits
/// for the one that failed.
const GRACE: Duration = Duration::from_secs(30);

/// The devices that train together.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct RanksArgs {
    /// Devices that train together, such as 0,1,2,3: each takes its part of every batch, in a thread of
    /// its own. A device may be named twice.
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    devices: Vec<usize>,
    /// Processes that train together, each with its own --devices; `dp-sims orchestrator` brings them
    /// together.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count(65_536), requires = "orchestrator")]
    nodes: usize,
    /// Number of this process among them, from 0. Process 0 writes the run folder.
    #[arg(long, value_name = "R", default_value_t = 0, requires = "orchestrator")]
    node_rank: usize,
    /// Where `dp-sims orchestrator` listens.
    #[arg(long, value_name = "HOST:PORT")]
    orchestrator: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
}

impl RanksArgs {
    /// The first of several devices; none where one is named otherwise.
    pub(super) fn first_device(&self) -> Option<usize> {
        self.devices.first().copied()
    }

    /// Numbers of the devices beside the first.
    pub(super) fn other_devices(&self) -> &[usize] {
        self.devices.get(1..).unwrap_or_default()
    }

    /// Ranks of this process.
    pub(super) fn own(&self) -> usize {
        self.devices.len().max(1)
    }

    /// Ranks of the run, as far as this process knows: all processes have as many as it.
    pub(super) fn count(&self) -> usize {
        self.own() * self.nodes
    }

    /// Whether this process writes the run folder.
    pub(super) fn is_first(&self) -> bool {
        self.node_rank == 0
    }

    /// Refuses what several ranks cannot have.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.own() == 1 || cfg!(feature = "distributed"),
            "--devices: this program was built for one device: build it with --features distributed"
        );
        ensure!(
            self.node_rank < self.nodes,
            "--node-rank: {} is not below --nodes, {}",
            self.node_rank,
            self.nodes
        );
        let Some(orchestrator) = &self.orchestrator else {
            return Ok(());
        };
        ensure!(
            orchestrator
                .rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok()),
            "--orchestrator: {orchestrator} is no HOST:PORT"
        );
        // A name that is not known yet is no name of this machine.
        let places = orchestrator.to_socket_addrs().into_iter().flatten();
        let hosts: Vec<IpAddr> = places.map(|place| place.ip()).collect();
        let unknown = hosts
            .is_empty()
            .then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.token
            .check(hosts.into_iter().chain(unknown), &self.token.token()?)
    }

    /// Finds the other processes: the ring of them, and the ranks before this process and in all.
    fn meet(&self, facts: Facts) -> Result<Option<(&'static Ring, [usize; 2])>> {
        let Some(orchestrator) = self.orchestrator.as_ref().filter(|_| self.nodes > 1) else {
            return Ok(None);
        };
        let member = Member {
            node: self.node_rank,
            nodes: self.nodes,
            ranks: self.own(),
            facts,
        };
        tracing::info!(
            "node {} waits for the other {}",
            member.node,
            member.nodes - 1
        );
        let (ring, counts) = join(&member, orchestrator, &self.token.token()?)?;
        // A process has one in its life, and its threads end with it.
        Ok(Some((Box::leak(Box::new(ring)), counts)))
    }
}

/// What a rank's thread sends when it ends.
type Outcome = (usize, Result<()>);

/// Trains on several devices.
///
/// # Errors
/// Those of the first rank, or of the one that failed first where the first one cannot end without it.
pub(super) fn train<B: AutodiffBackend>(task: TrainTask, devices: &[B::Device]) -> Result<()> {
    let time = task.time()?;
    if let Some(message) = nothing_to_do(&task.plan, time) {
        // What may be left is the last evaluation, for which one rank is enough.
        if task.args.ranks.is_first() {
            return task.train::<B>(&devices[0], Ranks::default());
        }
        say(message);
        return Ok(());
    }
    let threads = devices.len();
    let met = task.args.ranks.meet(facts(&task)?)?;
    let (ring, [before, ranks]) = match met {
        Some((ring, counts)) => (Some(ring), counts),
        None => (None, [0, threads]),
    };
    let run = &task.plan.experiment.run;
    let (batch_norm, class_weights) = (run.sync_batch_norm, run.sync_class_weights);
    let part = move |thread, device: &B::Device| -> Result<Ranks> {
        let place = Place {
            rank: before + thread,
            ranks,
            thread,
            threads,
        };
        let between = ring.map(|ring| -> &'static dyn Between { ring });
        let group = Group::join::<B::InnerBackend>(place, between, device)?;
        Ok(Ranks::of(group, batch_norm, class_weights))
    };
    let (sender, receiver) = channel();
    let is_first = |thread| before + thread == 0;
    for (thread, device) in devices
        .iter()
        .enumerate()
        .filter(|(thread, _)| !is_first(*thread))
    {
        // Of a process one rank listens, to which all others do.
        let stop = match thread {
            0 => task.args.listen()?.with_deadline(task.deadline),
            _ => Stop::default(),
        };
        let other = OtherRank::of(&task, time, stop);
        let device = device.clone();
        let work = move || other.train::<B>(part(thread, &device)?, &device);
        spawn([before + thread, threads], &sender, work)?;
    }
    if is_first(0) {
        let device = devices[0].clone();
        spawn([0, threads], &sender, move || {
            task.train::<B>(&device, part(0, &device)?)
        })?;
    }
    let outcome = ended(&receiver, threads);
    if let Some(ring) = ring {
        let failure = outcome
            .as_ref()
            .err()
            .filter(|error| !error.is::<Unfinished>());
        ring.close(failure.map(|error| format!("{error:#}")).as_deref());
    }
    outcome
}

/// What all processes of a run have to have alike: the program, every key of the experiment but where its files
/// are and how they are read, the classes of every training image, and the step from which it goes on.
fn facts(task: &TrainTask) -> Result<Facts> {
    let mut facts: Facts = values(&task.plan.experiment)?
        .into_iter()
        .map(|(key, value)| (key, value.to_string()))
        .filter(|(key, _)| !OWN_KEYS.contains(&key.as_str()))
        .collect();
    let program = std::fs::read(std::env::current_exe()?)?;
    let version = env!("CARGO_PKG_VERSION");
    facts.insert(
        "the program".to_string(),
        format!("{version} {}", short(&program)),
    );
    let images = task
        .data
        .presence
        .iter()
        .flat_map(|classes| format!("{classes:?}").into_bytes());
    let images = short(&images.collect::<Vec<_>>());
    facts.insert(
        "the dataset".to_string(),
        format!("{} images {images}", task.data.train.len()),
    );
    facts.insert(
        "the steps so far".to_string(),
        task.plan.finished().to_string(),
    );
    Ok(facts)
}

/// Keys that every process has for itself.
const OWN_KEYS: [&str; 4] = ["data.root", "data.packed", "data.workers", "data.queue"];

/// The beginning of a hash.
fn short(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..12].to_string()
}

/// Starts a rank, of `ranks` of this process, with its part of the processor.
fn spawn(
    [rank, ranks]: [usize; 2],
    sender: &Sender<Outcome>,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<()> {
    let sender = sender.clone();
    let threads = rayon::current_num_threads() / ranks;
    let name = format!("rank-{rank}");
    let thread = Builder::new().name(name.clone());
    thread
        .spawn(move || {
            let work = || run_apart(threads, &name, work);
            let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
                Ok(Err(anyhow!(words_of(&*panic, "it ended without a word"))))
            });
            let outcome = outcome.unwrap_or_else(|error| Err(error.into()));
            // Nobody listens any more where another rank has failed.
            let _ = sender.send((rank, outcome));
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// Waits for the ranks. One that fails leaves the others waiting for it for ever, in threads that end with the
/// program.
fn ended(receiver: &Receiver<Outcome>, ranks: usize) -> Result<()> {
    let mut failed = None;
    for _ in 0..ranks {
        let next = match failed {
            None => receiver.recv().map_err(RecvTimeoutError::from),
            Some(_) => receiver.recv_timeout(GRACE),
        };
        match (next, &failed) {
            (Ok((0, Err(error))), _) => return Err(error),
            (Ok((_, Err(error))), None) if error.is::<Unfinished>() => failed = Some(error),
            (Ok((rank, Err(error))), None) => {
                // A process of one rank has said which it is.
                failed = Some(match ranks {
                    1 => error,
                    _ => error.context(format!("rank {rank} failed")),
                });
            }
            (Ok(_), _) => {}
            (Err(_), Some(_)) => break,
            (Err(error), None) => return Err(error).context("a rank ended without a word"),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// What a rank beside the first needs.
struct OtherRank {
    experiment: crate::config::Experiment,
    data: crate::data::Data,
    options: RunOptions,
    stop: Stop,
}

impl OtherRank {
    fn of(task: &TrainTask, time: Option<TimeLimit>, stop: Stop) -> Self {
        Self {
            experiment: task.plan.experiment.clone(),
            data: task.data.clone(),
            options: task.options(time, Ranks::default()),
            stop,
        }
    }

    fn train<B: AutodiffBackend>(self, ranks: Ranks, device: &B::Device) -> Result<()> {
        let Self {
            experiment,
            data,
            options,
            stop,
        } = self;
        let options = RunOptions { ranks, ..options };
        let run = Run::<B>::new(&experiment, &data, options, device).user()?;
        let mut events = Fanout::new().with("warnings", Warnings { rank: ranks.rank() });
        let ending = run.train(&mut events, &stop)?;
        ranks.leave::<B>()?;
        Unfinished::unless_for_good(ending)
    }
}

/// Shows the warnings of a rank whose other events are those of the first.
struct Warnings {
    rank: usize,
}

impl Consumer for Warnings {
    fn on_event(&mut self, event: &TrainEvent) -> Result<()> {
        if let TrainEvent::Warning { step, message } = event {
            tracing::warn!("rank {}, step {step}: {message}", self.rank);
        }
        Ok(())
    }
}
