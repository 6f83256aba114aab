use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims_backends::Task;

use super::{BackendArgs, Failure, failed, mistake};
use crate::checkpoint::{self, Checkpoint};
use crate::config::{self, Experiment};
use crate::consumers::dashboard::Dashboard;
use crate::consumers::jsonl::{JsonLog, logged_seconds};
use crate::consumers::lines::LineDisplay;
use crate::consumers::preview::PreviewFolder;
use crate::consumers::tensorboard::TensorBoard;
use crate::consumers::terminal;
use crate::data::{Data, checks_folder, dataset_in};
use crate::events::{Fanout, TrainEvent};
use crate::memory::use_large_pages;
use crate::snapshot::{newest_whole, open_whole};
use crate::train::{Run, RunOptions, Stop, TimeLimit, default_weights_folder, read_experiment};

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
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Change a setting of the experiment, such as `--set run.batch=8`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Continue from a checkpoint folder, from the newest whole checkpoint of a run folder, or
    /// (`auto`) of the run folder of this call.
    #[arg(long, value_name = "DIR | auto")]
    resume: Option<String>,
    /// Plain lines instead of the dashboard.
    #[arg(long)]
    no_tui: bool,
    /// End at the first step after so many seconds of training, as the log counts them, with a
    /// checkpoint; all calls for one run folder count together.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
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
}

/// Trains.
pub fn run(args: TrainArgs) -> Result<(), Failure> {
    use_large_pages();
    let selected = args.backend.select().map_err(mistake)?;
    if args
        .seconds
        .is_some_and(|seconds| seconds.is_nan() || seconds <= 0.0)
    {
        return Err(mistake(anyhow!("--seconds must be above 0")));
    }
    let (experiment, out, resume) = plan(&args).map_err(mistake)?;
    let data = Data::open(
        &experiment.data,
        experiment.generator.offsets,
        &checks_folder(),
    )
    .map_err(mistake)?;
    let weights = args.weights.clone().unwrap_or_else(default_weights_folder);
    let backend = format!("{} device {}", selected.kind, selected.device);
    selected.run(TrainTask {
        args,
        experiment,
        data,
        out,
        resume,
        weights,
        backend,
    })
}

struct TrainTask {
    args: TrainArgs,
    experiment: Experiment,
    data: Data,
    out: PathBuf,
    resume: Option<Checkpoint>,
    weights: PathBuf,
    backend: String,
}

impl Task for TrainTask {
    type Output = Result<(), Failure>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let Self {
            args,
            experiment,
            data,
            out,
            resume,
            weights,
            backend,
        } = self;
        let finished = resume.as_ref().map_or(0, Checkpoint::step);
        let time = args
            .seconds
            .map(|seconds| {
                let used = logged_seconds(&out.join("log.jsonl"), finished)?;
                anyhow::Ok(TimeLimit { seconds, used })
            })
            .transpose()
            .map_err(failed)?;
        let options = RunOptions {
            out: out.clone(),
            weights,
            resume,
            backend,
            time,
        };
        let run = Run::<B>::new(&experiment, &data, options, device).map_err(mistake)?;
        if args.dry_run {
            print!("{}", run.summary());
            return Ok(());
        }
        let stop = Stop::listen().map_err(failed)?;
        if args.stop_at_eof {
            stop.when_input_ends();
        }
        let mut events = consumers(&args, &out, finished, &stop).map_err(failed)?;
        if finished >= experiment.run.steps {
            let message = format!(
                "nothing to do: the checkpoint has {finished} steps and run.steps is {}; raise \
                 it with --steps",
                experiment.run.steps
            );
            events.emit(&TrainEvent::Note { message });
            return Ok(());
        }
        if time.is_some_and(|time| time.is_up()) {
            let message = "nothing to do: the time of --seconds is used up".to_string();
            events.emit(&TrainEvent::Note { message });
            return Ok(());
        }
        run.train(&mut events, &stop).map_err(failed)
    }
}

/// Resolves the experiment, the run folder and the checkpoint to continue from.
fn plan(args: &TrainArgs) -> Result<(Experiment, PathBuf, Option<Checkpoint>)> {
    let named = args.experiment.as_deref();
    let resumed = match args.resume.as_deref() {
        None => None,
        Some("auto") => {
            let out = match &args.out {
                Some(out) => out.clone(),
                None => default_out(&settled(
                    config::load(named.unwrap_or("quickstart"), &[])?,
                    args,
                )?),
            };
            newest_whole(&out)?.map(|checkpoint| (checkpoint, out))
        }
        Some(folder) => {
            let folder = Path::new(folder);
            let checkpoint = open_whole(folder)?;
            let run_folder = checkpoint.path().parent().and_then(Path::parent);
            let out = args.out.clone().or(run_folder.map(Path::to_path_buf));
            let out =
                out.context("--resume needs --out when the checkpoint is in no run folder")?;
            Some((checkpoint, out))
        }
    };
    let Some((checkpoint, out)) = resumed else {
        let experiment = config::load(named.unwrap_or("quickstart"), &args.set)?;
        let experiment = settled(experiment, args)?;
        let out = args.out.clone().unwrap_or_else(|| default_out(&experiment));
        let root = out.join("checkpoints");
        if !args.dry_run && checkpoint::latest_whole(&root)?.checkpoint.is_some() {
            bail!(
                "{} already holds a run: continue it with --resume auto, or choose another \
                 folder with --out",
                out.display()
            );
        }
        return Ok((experiment, out, None));
    };
    let saved = read_experiment(&checkpoint)?;
    if let Some(name) = named {
        let asked = config::load(name, &[])?;
        ensure!(
            asked.name == saved.name,
            "{} belongs to experiment `{}`, not `{}`",
            checkpoint.path().display(),
            saved.name,
            asked.name
        );
    }
    let experiment = settled(config::with_settings(&saved, &args.set)?, args)?;
    Ok((experiment, out, Some(checkpoint)))
}

/// Applies the flags that are settings too, and checks the result.
fn settled(mut experiment: Experiment, args: &TrainArgs) -> Result<Experiment> {
    if let Some(steps) = args.steps {
        experiment.run.steps = steps;
    }
    if let Some(data) = &args.data {
        experiment.data.root = Some(data.clone());
        // A folder that is given is the dataset, where the experiment names none with files.
        if experiment.data.dataset == "scenes" {
            experiment.data.dataset = dataset_in(data).context(
                "--data: the experiment is one of procedural scenes, and the folder is no dataset",
            )?;
        }
    }
    experiment.validate()?;
    Ok(experiment)
}

fn default_out(experiment: &Experiment) -> PathBuf {
    Path::new("runs").join(&experiment.name)
}

fn consumers(args: &TrainArgs, out: &Path, finished: u64, stop: &Stop) -> Result<Fanout> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut events = Fanout::new()
        .with(
            "log.jsonl",
            JsonLog::open(&out.join("log.jsonl"), finished)?,
        )
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
