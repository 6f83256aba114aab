mod continued;
mod plan;
mod ranks;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims_backends::{BackendKind, Task};

use super::device::run_on_all;
use super::{BackendArgs, TrustArgs, Unfinished, User, steps};
use crate::consumers::dashboard::Dashboard;
use crate::consumers::jsonl::{JsonLog, logged_seconds};
use crate::consumers::lines::LineDisplay;
use crate::consumers::metrics::Metrics;
use crate::consumers::preview::PreviewFolder;
use crate::consumers::tensorboard::TensorBoard;
use crate::consumers::terminal;
use crate::data::{Data, checks_folder, refuse_among_inputs};
use crate::events::{Fanout, TrainEvent};
use crate::runtime::memory::{total, use_large_pages};
use crate::train::run_folder::LOG;
use crate::train::{Ranks, Run, RunOptions, Stop, TimeLimit, refuse_changes_of_networks};
use crate::verify::StepCase;
use crate::weights::default_weights_folder;
use plan::Plan;
use ranks::RanksArgs;

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Built-in experiment (quickstart, camvid, ade20k, or a row of the paper's tables such as
    /// table5-ccm-csm-convnext-l) or path of an experiment file. Without it, the experiment of the
    /// run being resumed, or quickstart.
    #[arg(value_name = "EXPERIMENT.toml | NAME")]
    experiment: Option<String>,
    /// Root folder of the dataset.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Run folder for logs, previews and checkpoints [default: runs/NAME].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Total number of steps to reach.
    #[arg(long, value_name = "N", value_parser = steps())]
    steps: Option<u64>,
    /// Change a setting of the experiment, such as `--set run.batch=8`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Continue from a checkpoint folder, from the newest whole checkpoint of a run folder, or
    /// (`auto`) of the run folder of this call.
    #[arg(long, value_name = "DIR | auto")]
    resume: Option<String>,
    /// Give up the run that the run folder holds, with its checkpoints, log and previews, and start anew.
    #[arg(long)]
    overwrite: bool,
    /// Plain lines instead of the dashboard.
    #[arg(long)]
    no_tui: bool,
    /// End at the first step after so many seconds of training, as the log counts them, with a
    /// checkpoint; all calls for one run folder count together.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// End after the step in which the program has run for so many hours, with a checkpoint and exit
    /// code 75, upon which a scheduler starts it again.
    #[arg(long, value_name = "H")]
    max_hours: Option<f64>,
    /// Serve figures of the run for Prometheus at `http://HOST:PORT/metrics`.
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// End as with Ctrl-C when standard input ends.
    #[arg(long, hide = true)]
    stop_at_eof: bool,
    /// Print shapes, parameter counts, memory and class frequencies, and exit.
    #[arg(long)]
    dry_run: bool,
    /// Folder of pre-trained weight files [default: dp-sims/weights in the user's cache].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
    #[command(flatten)]
    ranks: RanksArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Trains.
pub fn run(args: TrainArgs) -> Result<()> {
    let started = Instant::now();
    use_large_pages();
    args.ranks.check().user()?;
    let backend = args.backend.on(args.ranks.first_device());
    let selected = backend.select().user()?;
    for &device in args.ranks.other_devices() {
        backend.on(Some(device)).select().user()?;
    }
    if args
        .seconds
        .is_some_and(|seconds| seconds.is_nan() || seconds <= 0.0)
    {
        return Err(anyhow!("--seconds must be above 0")).user();
    }
    let deadline = args.deadline(started).user()?;
    let plan = Plan::of(&args).user()?;
    let address = args.metrics.as_deref().filter(|_| !args.dry_run);
    let metrics = address.map(Metrics::serve).transpose().user()?;
    let experiment = &plan.experiment;
    let data = Data::open(
        &experiment.data,
        experiment.generator.offsets,
        &checks_folder(),
    )
    .user()?;
    let root = experiment.data.root.as_deref();
    refuse_among_inputs(&plan.out, &data.description, root, true).user()?;
    if let Some(checkpoint) = &plan.resume {
        refuse_changes_of_networks(checkpoint, experiment, &data.description).user()?;
    }
    let weights = args.weights.clone().unwrap_or_else(default_weights_folder);
    let backend = if args.dry_run {
        format!("{} device {}", selected.kind, selected.device)
    } else {
        // A step that the memory of the processor has no room for is not compared.
        let step = StepCase::short(experiment.clone()).ok();
        args.trust.check(selected, step.as_ref())?
    };
    // A GPU does not tell how much it has.
    let on_processor = matches!(selected.kind, BackendKind::Flex | BackendKind::Ndarray);
    let others = args.ranks.other_devices().to_vec();
    let ranks = args.ranks.own() as u64;
    let task = TrainTask {
        args,
        plan,
        data,
        weights,
        backend,
        // Of which every rank has its part.
        memory: on_processor.then(|| total() / ranks),
        deadline,
        metrics,
    };
    let remedy =
        "lower `run.batch` (with `run.accumulation` in its place) or `generator.base_width`";
    run_on_all(selected, &others, task, remedy)
}

struct TrainTask {
    args: TrainArgs,
    plan: Plan,
    data: Data,
    weights: PathBuf,
    backend: String,
    memory: Option<u64>,
    /// When this process is to end.
    deadline: Option<Instant>,
    metrics: Option<Metrics>,
}

impl TrainArgs {
    /// When a process that was started then is to end by `--max-hours`.
    fn deadline(&self, started: Instant) -> Result<Option<Instant>> {
        let Some(hours) = self.max_hours else {
            return Ok(None);
        };
        ensure!(hours > 0.0, "--max-hours must be above 0");
        // What is too long to be told is no limit.
        let time = Duration::try_from_secs_f64(3600.0 * hours).ok();
        Ok(time.and_then(|time| started.checked_add(time)))
    }

    /// Listens for what ends the run. A program that started this one, and ends it by its standard input,
    /// decides itself what becomes of the run: a termination signal is as any other then.
    fn listen(&self) -> Result<Stop> {
        if !self.stop_at_eof {
            return Stop::listen_to_scheduler();
        }
        let stop = Stop::listen()?;
        stop.when_input_ends();
        Ok(stop)
    }
}

impl Task for TrainTask {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        self.train::<B>(device, Ranks::default())
    }

    fn run_on<B: AutodiffBackend>(self, devices: &[B::Device]) -> Self::Output {
        if self.args.ranks.count() == 1 || self.args.dry_run {
            return self.run::<B>(&devices[0]);
        }
        ranks::train::<B>(self, devices)
    }
}

impl TrainTask {
    /// Where the run ends before its last step, if anywhere.
    fn time(&self) -> Result<Option<TimeLimit>> {
        let limit = |seconds| {
            let used = logged_seconds(&self.plan.out.join(LOG), self.plan.finished())?;
            anyhow::Ok(TimeLimit { seconds, used })
        };
        self.args.seconds.map(limit).transpose()
    }

    fn options(&self, time: Option<TimeLimit>, ranks: Ranks) -> RunOptions {
        RunOptions {
            out: self.plan.out.clone(),
            weights: self.weights.clone(),
            resume: self.plan.resume.clone(),
            backend: self.backend.clone(),
            time,
            memory: self.memory,
            ranks,
            named: self.plan.named.clone(),
        }
    }

    /// Trains as the first rank, which has the run folder and the displays.
    fn train<B: AutodiffBackend>(self, device: &B::Device, ranks: Ranks) -> Result<()> {
        let time = self.time()?;
        let options = self.options(time, ranks);
        let Self {
            args,
            mut plan,
            data,
            deadline,
            metrics,
            ..
        } = self;
        let finished = plan.finished();
        let out = plan.out.clone();
        let experiment = plan.experiment.clone();
        let mut run = Run::<B>::new(&experiment, &data, options, device).user()?;
        if args.dry_run {
            print!("{}", run.summary());
            return Ok(());
        }
        // A run that was killed in its last evaluation has that to do.
        let is_over = finished >= experiment.run.steps;
        if let Some(message) = nothing_to_do(&plan, time)
            && !(is_over && run.owes_evaluation())
        {
            say(message);
            return Ok(());
        }
        let folder = plan.claim().user()?;
        let stop = args.listen()?.with_deadline(deadline);
        let moved = folder.prepare(plan.beginning())?;
        let mut events = consumers(&args, &out, finished, &stop)?;
        if let Some(metrics) = metrics {
            let message = format!("metrics at http://{}/metrics", metrics.address());
            events = events.with("metrics", metrics);
            events.emit(&TrainEvent::Note { message });
        }
        if let Some(message) = moved {
            events.emit(&TrainEvent::Note { message });
        }
        if ranks.count() > 1 {
            let (count, images) = (ranks.count(), experiment.run.images_per_step(ranks.count()));
            let message = format!("{count} ranks train together, {images} images per step in all");
            events.emit(&TrainEvent::Note { message });
        }
        run.hold(folder);
        let ending = run.train(&mut events, &stop)?;
        ranks.leave::<B>()?;
        // The displays say how it ended before this does.
        drop(events);
        Unfinished::unless_for_good(ending)
    }
}

/// Prints a note in place of a run.
fn say(message: String) {
    let mut display = Fanout::new().with("lines", LineDisplay::stdout());
    display.emit(&TrainEvent::Note { message });
}

/// Why nothing is left to do, if so.
fn nothing_to_do(plan: &Plan, time: Option<TimeLimit>) -> Option<String> {
    let (finished, steps) = (plan.finished(), plan.experiment.run.steps);
    if finished >= steps {
        return Some(format!(
            "nothing to do: the checkpoint has {finished} steps and run.steps is {steps}; raise it \
             with --steps"
        ));
    }
    let is_up = time.is_some_and(|time| time.is_up());
    is_up.then(|| "nothing to do: the time of --seconds is used up".to_string())
}

fn consumers(args: &TrainArgs, out: &Path, finished: u64, stop: &Stop) -> Result<Fanout> {
    let mut events = Fanout::new()
        .with("log.jsonl", JsonLog::open(&out.join(LOG), finished)?)
        .with(
            "TensorBoard",
            TensorBoard::create(&out.join("tensorboard"), finished)?,
        )
        .with("previews", PreviewFolder::new(out));
    events = if args.no_tui || !terminal::is_interactive() {
        events.with("lines", LineDisplay::stdout())
    } else {
        events.with("dashboard", Dashboard::new(stop.interrupter()))
    };
    Ok(events)
}
