//! The commands of the program, one file per verb.

pub mod bench;
mod compare;
mod completions;
mod dataset;
mod dataset_of;
mod device;
mod doctor;
mod evaluate;
mod experiments;
mod export;
pub mod generate;
mod maps;
mod mistake;
mod orchestrator;
mod plan;
mod program;
#[cfg(feature = "serve")]
mod serve;
mod train;
mod train_segmenter;
mod unfinished;
mod weights;

use anyhow::{Result, anyhow};
use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use dp_sims_backends::{BackendChoice, BackendError, Selected, select};
use dp_sims_datasets::Size;

use crate::config::MAX_STEPS;
use crate::runtime::logging::LogArgs;
use crate::verify::{StepCase, trust};

pub use dataset::SourceArgs;
pub use mistake::{Mistake, User};
pub use program::program;
pub use unfinished::Unfinished;

/// Semantic image synthesis: a label map in, a photo out.
#[derive(Debug, Parser)]
#[command(name = "dp-sims", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model; without arguments the `quickstart` experiment, which needs no file.
    Train(train::TrainArgs),
    /// Make images from label maps with a trained model.
    Generate(generate::GenerateArgs),
    /// Make images over HTTP, on a page to paint label maps on and for other programs.
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    /// Measure what images are worth under a named protocol: FID, KID, LPIPS, mIoU, time.
    Evaluate(evaluate::EvaluateArgs),
    /// Put results of `evaluate` side by side, or the images of methods in one picture.
    Compare(compare::CompareArgs),
    /// List, plan, run and report experiments: rows of the paper's tables, with several seeds.
    Experiments(experiments::ExperimentsArgs),
    /// Bring the processes of a run on several machines together.
    Orchestrator(orchestrator::OrchestratorArgs),
    /// Tell what a run would take on rented machines: operations, hours, money, memory and traffic. It
    /// computes nothing; `experiments plan` times the rows of a study on this machine.
    Plan(plan::PlanArgs),
    /// Write the generator of a run into one file, to hand it out.
    Export(export::ExportArgs),
    /// Train a segmentation network on a dataset's photos, for the mIoU of your own dataset.
    TrainSegmenter(train_segmenter::TrainSegmenterArgs),
    /// Show backends, devices and their speed, threads and weight files.
    Doctor(doctor::DoctorArgs),
    /// List, download, convert and describe pre-trained weight files.
    Weights(weights::WeightsArgs),
    /// Look at, check and make datasets.
    Dataset(dataset::DatasetArgs),
    /// Time a training step or the generator, or count the operations of networks.
    Bench(bench::BenchArgs),
    /// Print shell completions, or write manual pages.
    Completions(completions::CompletionsArgs),
}

/// Which backend computes.
#[derive(Clone, Debug, Args)]
pub struct BackendArgs {
    /// Backend that computes: auto, flex, ndarray, wgpu or cuda. `auto` takes cuda, then wgpu,
    /// then flex, whichever is compiled in and has a device.
    #[arg(long, default_value_t, value_name = "NAME")]
    backend: BackendChoice,
    /// Number of the device, for backends that have several.
    #[arg(long, default_value_t = 0, value_name = "N")]
    device: usize,
}

impl BackendArgs {
    /// The same with another device, if one is given.
    fn on(&self, device: Option<usize>) -> Self {
        Self {
            backend: self.backend,
            device: device.unwrap_or(self.device),
        }
    }

    /// The backend with its device.
    ///
    /// # Errors
    /// When it is not compiled in or has no such device.
    pub fn select(&self) -> Result<Selected, BackendError> {
        let selected = select(self.backend, self.device)?;
        tracing::debug!("computing on {} {}", selected.kind, selected.device);
        Ok(selected)
    }
}

/// Whether a GPU is compared with the processor before it is used.
#[derive(Clone, Debug, Args)]
pub struct TrustArgs {
    /// Use a GPU without comparing it with the processor first, which is done once for each device,
    /// driver and experiment. Checkpoints and reports say so.
    #[arg(long)]
    trust_device: bool,
}

impl TrustArgs {
    /// Compares the device, if it has to be; how it is called in logs, checkpoints and reports.
    fn check(&self, selected: Selected, step: Option<&StepCase>) -> Result<String> {
        // A driver may panic here as it may in the work itself.
        let trust = device::guarded(|| trust(selected, step, self.trust_device))
            .map_err(|reason| anyhow!(reason))?;
        if let Some(warning) = trust.warning() {
            tracing::warn!("{warning}");
        }
        Ok(trust.describe(selected))
    }
}

/// Reads a number of steps.
pub fn steps() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=MAX_STEPS)
}

/// Reads a number of things up to `most`, which may be none.
fn up_to(most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(..=most)
}

/// Reads a number of things from 1 to `most`.
pub fn count(most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=most)
}

/// Height and width in pixels, `64x96`.
///
/// # Errors
/// When it reads otherwise.
pub fn parse_size(text: &str) -> Result<Size, String> {
    text.split_once('x')
        .and_then(|(height, width)| Some(Size::new(height.parse().ok()?, width.parse().ok()?)))
        .ok_or_else(|| "give height and width in pixels, such as 64x96".to_string())
}

/// Runs a command.
///
/// # Errors
/// A [`Mistake`] of the user, or what failed.
pub fn run(cli: Cli) -> Result<()> {
    cli.log.install().user()?;
    match cli.command {
        Command::Train(args) => train::run(args),
        Command::Generate(args) => generate::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Experiments(args) => experiments::run(args),
        Command::Orchestrator(args) => orchestrator::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Export(args) => export::run(args),
        Command::TrainSegmenter(args) => train_segmenter::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Weights(args) => weights::run(args),
        Command::Dataset(args) => dataset::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn train_needs_no_argument() {
        assert!(Cli::try_parse_from(["dp-sims", "train"]).is_ok());
    }

    #[test]
    fn an_unknown_backend_is_refused() {
        let error = Cli::try_parse_from(["dp-sims", "train", "--backend", "tpu"]).unwrap_err();
        assert!(
            error.to_string().contains("unknown backend `tpu`"),
            "{error}"
        );
    }
}
