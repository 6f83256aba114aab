use anyhow::{Result, anyhow};
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims_backends::{BackendKind, Task};
use dp_sims_datasets::Size;
use dp_sims_model::backbones::BackboneKind;

use super::{device, print};
use crate::bench::{
    self, BACKBONE, GENERATOR_CLASSES, Machine, Measured, ProbeSizes, Report, STEP_CLASSES,
    Settings, backbone_named,
};
use crate::commands::{BackendArgs, User, count, parse_size};

/// Arguments of `bench step`.
#[derive(Debug, Args)]
pub struct StepArgs {
    /// Height and width of the images in pixels, multiples of 32.
    #[arg(long, default_value = "64x64", value_parser = parse_size, value_name = "HxW")]
    size: Size,
    /// Images per step.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = count(65_536))]
    batch: usize,
    /// Width of the generator's last block.
    #[arg(long, alias = "base-width", default_value_t = 32, value_name = "C", value_parser = count(8192))]
    width: usize,
    /// Frozen network below the discriminator, by its name in experiments. [default:
    /// efficientnet_lite1]
    #[arg(long, value_parser = backbone_named, value_name = "NAME")]
    backbone: Option<BackboneKind>,
    /// Timed steps, after two that are not.
    #[arg(long, alias = "steps", default_value_t = 7, value_name = "N", value_parser = count(1_000_000))]
    repeats: usize,
    #[command(flatten)]
    common: CommonArgs,
}

/// Arguments of `bench generator`.
#[derive(Debug, Args)]
pub struct GeneratorArgs {
    /// Height and width of the images in pixels, multiples of 32.
    #[arg(long, default_value = "256x256", value_parser = parse_size, value_name = "HxW")]
    size: Size,
    /// Images per forward pass.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = count(65_536))]
    batch: usize,
    /// Width of the generator's last block.
    #[arg(long, alias = "base-width", default_value_t = 64, value_name = "C", value_parser = count(8192))]
    width: usize,
    /// Timed forward passes, after two that are not.
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = count(1_000_000))]
    repeats: usize,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Tell where the time of one more repetition goes, operation by operation (flex), or count its
    /// kernels and transfers (GPUs).
    #[arg(long)]
    profile: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

impl StepArgs {
    fn settings(&self) -> Settings {
        Settings {
            size: self.size,
            batch: self.batch,
            base_width: self.width,
            backbone: self.backbone.unwrap_or(BACKBONE),
            repeats: self.repeats,
            profile: self.common.profile,
        }
    }
}

impl GeneratorArgs {
    fn settings(&self) -> Settings {
        Settings {
            size: self.size,
            batch: self.batch,
            base_width: self.width,
            backbone: BACKBONE,
            repeats: self.repeats,
            profile: self.common.profile,
        }
    }
}

/// Times the training step.
pub fn step(args: StepArgs) -> Result<()> {
    let settings = args.settings();
    settings.experiment().user()?;
    run(Timed::Step, settings, args.common)
}

/// Times the generator.
pub fn generator(args: GeneratorArgs) -> Result<()> {
    let settings = args.settings();
    settings.generator().user()?;
    run(Timed::Generator, settings, args.common)
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timed {
    Step,
    Generator,
}

struct BenchTask {
    subject: Timed,
    settings: Settings,
    sizes: ProbeSizes,
}

impl Task for BenchTask {
    type Output = Result<Measured>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let (settings, sizes) = (&self.settings, self.sizes);
        match self.subject {
            Timed::Step => bench::step::<B>(settings, sizes, device),
            Timed::Generator => bench::generator::<B::InnerBackend>(settings, sizes, device),
        }
    }
}

fn run(subject: Timed, settings: Settings, common: CommonArgs) -> Result<()> {
    let selected = common.backend.select().user()?;
    if settings.profile {
        prepare_profile(selected.kind)?;
    }
    let (selected, info) = device(&common.backend)?;
    let task = BenchTask {
        subject,
        settings,
        sizes: ProbeSizes::of(&info),
    };
    let measured = selected.run(task)?;
    let (name, classes) = match subject {
        Timed::Step => ("step", STEP_CLASSES),
        Timed::Generator => ("generator", GENERATOR_CLASSES),
    };
    let machine = Machine::of(&info);
    let report = Report::new(name, classes, &settings, machine, measured);
    print(&report, common.json)
}

/// Makes ready for `--profile`: GPUs have their launches counted, flex its operations timed.
fn prepare_profile(kind: BackendKind) -> Result<()> {
    match kind {
        BackendKind::Flex => Ok(()),
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        BackendKind::Wgpu | BackendKind::Cuda => Ok(dp_sims_backends::gpu::traffic::watch()?),
        _ => Err(anyhow!(
            "--profile does not work on {kind}: leave it out or add --backend flex"
        ))
        .user(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    enum Line {
        Step(StepArgs),
        Generator(GeneratorArgs),
    }

    fn settings(line: &str) -> Settings {
        match Line::try_parse_from(format!("bench {line}").split(' ')).unwrap() {
            Line::Step(args) => args.settings(),
            Line::Generator(args) => args.settings(),
        }
    }

    #[test]
    fn defaults_are_the_sizes_that_are_reported() {
        let expected = Settings {
            size: Size::square(64),
            batch: 4,
            base_width: 32,
            backbone: BackboneKind::EfficientnetLite1,
            repeats: 7,
            profile: false,
        };
        assert_eq!(settings("step"), expected);
        let expected = Settings {
            size: Size::square(256),
            batch: 1,
            base_width: 64,
            ..expected
        };
        assert_eq!(settings("generator --json"), expected);
    }

    #[test]
    fn every_setting_has_a_flag() {
        let line = "step --size 64x96 --batch 2 --width 8 --backbone swin_base_window12 \
                    --repeats 1 --profile";
        let expected = Settings {
            size: Size::new(64, 96),
            batch: 2,
            base_width: 8,
            backbone: BackboneKind::SwinBaseWindow12,
            repeats: 1,
            profile: true,
        };
        assert_eq!(settings(line), expected);
        for wrong in ["64", "64x", "x64", "64x64x3", "-64x64"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn former_names_of_flags_are_understood() {
        let former = settings("step --base-width 8 --steps 3");
        assert_eq!(former, settings("step --width 8 --repeats 3"));
    }

    #[test]
    fn an_unknown_backbone_lists_the_known_ones() {
        let line = ["bench", "step", "--backbone", "resnet18"];
        let error = Line::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("resnet50, "), "{error}");
    }
}
