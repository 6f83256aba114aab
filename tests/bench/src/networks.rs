//! Timing networks one by one.

mod network;
mod passes;
mod report;

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims::bench::{BACKBONE, Machine, ProbeSizes, Settings, backbone_named};
use dp_sims::commands::bench::{device, print};
use dp_sims::commands::{BackendArgs, User, count, parse_size};
use dp_sims_backends::Task;
use dp_sims_datasets::Size;
use dp_sims_model::backbones::BackboneKind;

use self::network::{Choice, TimedNetwork};
use self::report::{NetworksReport, networks};

/// Arguments of `networks`.
#[derive(Debug, Args)]
pub struct NetworksArgs {
    /// Networks to time, with commas between them, or `all`. Without it some of every kind, which
    /// takes about two minutes on two cores.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    networks: Vec<Choice>,
    /// The only backbone to time, unless --networks names others, and the one whose features the
    /// discriminator is given. [default: several, and efficientnet_lite1]
    #[arg(long, value_parser = backbone_named, value_name = "NAME")]
    backbone: Option<BackboneKind>,
    /// Height and width of the images in pixels, multiples of 32.
    #[arg(long, default_value = "256x256", value_parser = parse_size, value_name = "HxW")]
    size: Size,
    /// Images per pass.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = count(65_536))]
    batch: usize,
    /// Width of the generators' last block.
    #[arg(long, alias = "base-width", default_value_t = 64, value_name = "C", value_parser = count(8192))]
    width: usize,
    /// Timed repetitions of every pass, after one that is not.
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = count(1_000_000))]
    repeats: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

impl NetworksArgs {
    fn settings(&self) -> Settings {
        Settings {
            size: self.size,
            batch: self.batch,
            base_width: self.width,
            backbone: self.backbone.unwrap_or(BACKBONE),
            repeats: self.repeats,
            profile: false,
        }
    }
}

struct NetworksTask {
    settings: Settings,
    subjects: Vec<TimedNetwork>,
    machine: Machine,
    sizes: ProbeSizes,
}

impl Task for NetworksTask {
    type Output = Result<NetworksReport>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let (settings, subjects) = (&self.settings, &self.subjects);
        networks::<B>(settings, subjects, self.machine, self.sizes, device)
    }
}

/// Times the networks and prints what it found.
pub fn run(args: NetworksArgs) -> Result<()> {
    let settings = args.settings();
    let subjects = TimedNetwork::chosen(&args.networks, args.backbone);
    for subject in &subjects {
        subject.check(&settings).user()?;
    }
    let (selected, info) = device(&args.backend)?;
    let task = NetworksTask {
        settings,
        subjects,
        machine: Machine::of(&info),
        sizes: ProbeSizes::of(&info),
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
        args: NetworksArgs,
    }

    fn parse(line: &str) -> Result<NetworksArgs, String> {
        let line = format!("networks {line}");
        let parsed = Line::try_parse_from(line.split_whitespace());
        parsed
            .map(|line| line.args)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn networks_are_chosen_by_name() {
        let args = parse("--networks vgg16,oasis-generator").unwrap();
        let chosen = TimedNetwork::chosen(&args.networks, args.backbone);
        assert_eq!(
            chosen,
            [
                TimedNetwork::Backbone(BackboneKind::Vgg16),
                TimedNetwork::OasisGenerator
            ]
        );
        let error = parse("--networks vgg16,vgg17").unwrap_err();
        assert!(error.contains("dp-gan-generator, "), "{error}");
    }

    #[test]
    fn defaults_are_those_of_the_paper() {
        let settings = parse("").unwrap().settings();
        assert_eq!((settings.size, settings.batch), (Size::square(256), 1));
        assert_eq!((settings.base_width, settings.repeats), (64, 7));
        let settings = parse("--backbone resnet50 --width 8").unwrap().settings();
        assert_eq!(settings.backbone, BackboneKind::Resnet50);
        assert_eq!(settings.base_width, 8);
    }
}
