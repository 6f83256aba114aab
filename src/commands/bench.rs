mod loader;

use anyhow::{Context, Result, anyhow};
use burn::tensor::backend::AutodiffBackend;
use clap::{Args, Subcommand};
use dp_sims_backends::{BackendKind, DeviceInfo, Selected, Task, available};
use dp_sims_datasets::Size;

use super::{BackendArgs, Failure, failed, mistake, parse_size};
use crate::bench::{
    GENERATOR_CLASSES, Machine, Measured, ProbeSizes, Report, SIZES_HEADING, STEP_CLASSES,
    Settings, generator, network_sizes, step,
};

/// Arguments of `bench`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// Print parameters and multiply-adds of every network beside the published figures.
    #[arg(long)]
    count: bool,
    /// Print one JSON array.
    #[arg(long, requires = "count")]
    json: bool,
    #[command(subcommand)]
    command: Option<BenchCommand>,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Time a training step: the camvid experiment with random weights on procedural scenes.
    Step {
        /// Timed steps, after two that are not.
        #[arg(long, default_value_t = 8, value_name = "N")]
        steps: usize,
        /// Height and width of the images in pixels.
        #[arg(long, default_value = "64x64", value_parser = parse_size, value_name = "HxW")]
        size: Size,
        /// Images per step.
        #[arg(long, default_value_t = 4, value_name = "N")]
        batch: usize,
        /// Width of the generator's last block.
        #[arg(long, default_value_t = 32, value_name = "N")]
        base_width: usize,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Time the generator alone, as it is used after training, with 151 classes.
    Generator {
        /// Timed forward passes, after two that are not.
        #[arg(long, default_value_t = 5, value_name = "N")]
        repeats: usize,
        /// Height and width of the images in pixels.
        #[arg(long, default_value = "256x256", value_parser = parse_size, value_name = "HxW")]
        size: Size,
        /// Images per forward pass.
        #[arg(long, default_value_t = 1, value_name = "N")]
        batch: usize,
        /// Width of the generator's last block.
        #[arg(long, default_value_t = 64, value_name = "N")]
        base_width: usize,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Time the reading of samples, without a network.
    Loader(loader::LoaderArgs),
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Tell where the time of one more repetition goes, operation by operation (flex).
    #[arg(long)]
    profile: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Step,
    Generator,
}

/// Times a training step, the generator or the loader, or counts all networks, and prints what it
/// found.
pub fn run(args: BenchArgs) -> Result<(), Failure> {
    if args.count {
        return count(args.json);
    }
    let Some(command) = args.command else {
        return Err(mistake(anyhow!(
            "nothing to do: give `step`, `generator`, `loader` or `--count`"
        )));
    };
    match command.resolve() {
        Job::Networks(subject, settings, common) => networks(subject, settings, common),
        Job::Loader(args) => loader::run(args),
    }
}

fn networks(subject: Subject, settings: Settings, common: CommonArgs) -> Result<(), Failure> {
    match subject {
        Subject::Step => drop(settings.experiment().map_err(mistake)?),
        Subject::Generator => drop(settings.generator().map_err(mistake)?),
    }
    let selected = common.backend.select().map_err(mistake)?;
    if settings.profile && selected.kind != BackendKind::Flex {
        return Err(mistake(anyhow!(
            "--profile takes the times of operations on flex alone; this is {}",
            selected.kind
        )));
    }
    let info = device_info(selected).map_err(failed)?;
    let sizes = ProbeSizes::of(&info);
    eprintln!("timing on {} {} ({})", info.backend, info.index, info.name);
    let measured = selected
        .run(BenchTask {
            subject,
            settings,
            sizes,
        })
        .map_err(failed)?;
    let (name, classes) = match subject {
        Subject::Step => ("step", STEP_CLASSES),
        Subject::Generator => ("generator", GENERATOR_CLASSES),
    };
    let machine = Machine {
        backend: info.backend,
        device: info.index,
        device_name: info.name,
        threads: rayon::current_num_threads(),
    };
    let report = Report::new(name, classes, &settings, machine, &measured);
    if common.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(failed)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn count(json: bool) -> Result<(), Failure> {
    let sizes = network_sizes();
    if json {
        println!("{}", serde_json::to_string_pretty(&sizes).map_err(failed)?);
        return Ok(());
    }
    println!("{SIZES_HEADING}");
    for size in sizes {
        println!("{size}");
    }
    Ok(())
}

/// What is to be timed, with its sizes.
#[derive(Debug)]
enum Job {
    Networks(Subject, Settings, CommonArgs),
    Loader(loader::LoaderArgs),
}

impl BenchCommand {
    fn resolve(self) -> Job {
        let (subject, size, batch, base_width, repeats, common) = match self {
            Self::Step {
                steps,
                size,
                batch,
                base_width,
                common,
            } => (Subject::Step, size, batch, base_width, steps, common),
            Self::Generator {
                repeats,
                size,
                batch,
                base_width,
                common,
            } => (Subject::Generator, size, batch, base_width, repeats, common),
            Self::Loader(args) => return Job::Loader(args),
        };
        let settings = Settings {
            size,
            batch,
            base_width,
            repeats,
            profile: common.profile,
        };
        Job::Networks(subject, settings, common)
    }
}

struct BenchTask {
    subject: Subject,
    settings: Settings,
    sizes: ProbeSizes,
}

impl Task for BenchTask {
    type Output = Result<Measured>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        match self.subject {
            Subject::Step => step::<B>(&self.settings, self.sizes, device),
            Subject::Generator => generator::<B::InnerBackend>(&self.settings, self.sizes, device),
        }
    }
}

fn device_info(selected: Selected) -> Result<DeviceInfo> {
    available()
        .into_iter()
        .find(|info| info.backend == selected.kind && info.index == selected.device)
        .with_context(|| format!("{} device {} has gone", selected.kind, selected.device))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn settings(line: &str) -> (Subject, Settings) {
        let parsed = Line::try_parse_from(line.split(' ')).unwrap();
        match parsed.bench.command.unwrap().resolve() {
            Job::Networks(subject, settings, _) => (subject, settings),
            Job::Loader(_) => panic!("not a network: {line:?}"),
        }
    }

    #[test]
    fn defaults_are_the_sizes_that_are_reported() {
        let expected = Settings {
            size: Size::square(64),
            batch: 4,
            base_width: 32,
            repeats: 8,
            profile: false,
        };
        assert_eq!(settings("bench step"), (Subject::Step, expected));
        let expected = Settings {
            size: Size::square(256),
            batch: 1,
            base_width: 64,
            repeats: 5,
            profile: false,
        };
        assert_eq!(
            settings("bench generator --json"),
            (Subject::Generator, expected)
        );
    }

    #[test]
    fn sizes_are_height_by_width() {
        let (_, settings) = settings("bench step --size 64x96 --batch 2 --base-width 8 --steps 1");
        let size = Size::new(64, 96);
        assert_eq!(
            settings,
            Settings {
                size,
                batch: 2,
                base_width: 8,
                repeats: 1,
                profile: false,
            }
        );
        for wrong in ["64", "64x", "x64", "64x64x3", "-64x64"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
