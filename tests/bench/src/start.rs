//! Timing the start of a program.

mod child;
mod report;

use anyhow::{Context, Result};
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims::bench::{BACKBONE, Machine, Settings};
use dp_sims::commands::bench::{device, print};
use dp_sims::commands::{BackendArgs, User, count, parse_size};
use dp_sims_backends::Task;
use dp_sims_datasets::Size;

use self::child::Child;
use self::report::{StartReport, start};

/// Arguments of `start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Height and width of the image in pixels, multiples of 32.
    #[arg(long, default_value = "256x256", value_parser = parse_size, value_name = "HxW")]
    size: Size,
    /// Width of the generator's last block.
    #[arg(long, alias = "base-width", default_value_t = 64, value_name = "C", value_parser = count(8192))]
    width: usize,
    /// Timed starts, after one that is not.
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = count(1_000_000))]
    repeats: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

impl StartArgs {
    fn settings(&self) -> Settings {
        Settings {
            size: self.size,
            batch: 1,
            base_width: self.width,
            backbone: BACKBONE,
            repeats: self.repeats,
            profile: false,
        }
    }
}

struct StartTask {
    settings: Settings,
    machine: Machine,
    child: Child,
}

impl Task for StartTask {
    type Output = Result<StartReport>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        start::<B::InnerBackend>(&self.settings, self.machine, &self.child, device)
    }
}

/// Times this same program, which has the `generate` of `dp-sims`.
pub fn run(args: StartArgs) -> Result<()> {
    let settings = args.settings();
    settings.generator().user()?;
    let (selected, info) = device(&args.backend)?;
    let program =
        std::env::current_exe().context("the system does not tell where this program is")?;
    let machine = Machine::of(&info);
    let child = Child {
        program,
        selected,
        threads: machine.threads,
    };
    let task = StartTask {
        settings,
        machine,
        child,
    };
    print(&selected.run(task)?, args.json)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: StartArgs,
    }

    #[test]
    fn the_default_is_what_bench_generator_times() {
        let settings = |line: &[&str]| Line::try_parse_from(line).unwrap().args.settings();
        let expected = Settings {
            size: Size::square(256),
            batch: 1,
            base_width: 64,
            backbone: BACKBONE,
            repeats: 7,
            profile: false,
        };
        assert_eq!(settings(&["start"]), expected);
        let line = ["start", "--size", "64x32", "--width", "4", "--repeats", "1"];
        let expected = Settings {
            size: Size::new(64, 32),
            base_width: 4,
            repeats: 1,
            ..expected
        };
        assert_eq!(settings(&line), expected);
    }
}
