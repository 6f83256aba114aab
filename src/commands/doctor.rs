mod verify;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use dp_sims_backends::{BackendChoice, BackendKind, DeviceInfo, Selected, Task, available, select};
use dp_sims_model::backbones::BackboneKind;
use serde::Serialize;

use super::BackendArgs;
use super::device::guarded;
use crate::bench::{ProbeSizes, convolution_speed, matmul_speed};
use crate::weights::{default_weights_folder, pretrained_names};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Compare every operation, and one training step of an experiment, on a device with flex on the
    /// processor; exit code 1 if one differs.
    #[arg(long)]
    verify: bool,
    /// Experiment whose step is compared: a built-in name or the path of a file [default: quickstart].
    #[arg(long, value_name = "EXPERIMENT.toml | NAME", requires = "verify")]
    experiment: Option<String>,
    /// Change a setting of that experiment, such as `--set data.height=128`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", requires = "verify")]
    set: Vec<String>,
    /// Compare this operation alone, by its name in the table, or `all`, and no step; may be repeated.
    #[arg(long, value_name = "OPERATION", requires = "verify", conflicts_with_all = ["experiment", "set"])]
    only: Vec<String>,
    /// Compare one case of every operation and memory layout, as `train` does on a new device.
    #[arg(long, requires = "verify")]
    short: bool,
    #[command(flatten)]
    backend: BackendArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Folder of pre-trained weight files [default: dp-sims/weights in the user's cache].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
}

/// What the program finds on this machine.
#[derive(Debug, Serialize)]
struct Diagnosis {
    /// Version of the program.
    version: &'static str,
    /// Threads that CPU backends use.
    threads: usize,
    /// Logical processors that the system offers.
    processors: Option<usize>,
    /// Every backend, in the order in which `auto` prefers them.
    backends: Vec<BackendState>,
    /// Every device with its speed.
    devices: Vec<DeviceState>,
    /// Weight files.
    weights: WeightsState,
}

/// One backend.
#[derive(Debug, Serialize)]
struct BackendState {
    name: BackendKind,
    compiled_in: bool,
    /// Whether it has a device.
    usable: bool,
    /// Why it cannot be used, and the remedy.
    problem: Option<String>,
}

/// One device.
#[derive(Debug, Serialize)]
struct DeviceState {
    #[serde(flatten)]
    info: DeviceInfo,
    /// What it was timed on.
    probe: ProbeSizes,
    /// Speed of a matrix product in GFLOP/s.
    matmul_gflop_per_second: Option<f64>,
    /// Speed of a convolution, forward and backward, in GFLOP/s.
    convolution_gflop_per_second: Option<f64>,
    /// Why there is no speed.
    problem: Option<String>,
}

/// The weights folder.
#[derive(Debug, Serialize)]
struct WeightsState {
    folder: String,
    exists: bool,
    backbones: Vec<BackboneState>,
}

/// Weights of one backbone.
#[derive(Debug, Serialize)]
struct BackboneState {
    name: &'static str,
    /// Name of the file that would be loaded.
    file: Option<String>,
    /// Whether weights are part of the program.
    built_in: bool,
    /// Names that are looked for, the preferred one first.
    known_files: Vec<String>,
}

/// Prints what is there.
pub fn run(args: DoctorArgs) -> Result<()> {
    if args.verify {
        return verify::run(args);
    }
    let folder = args.weights.unwrap_or_else(default_weights_folder);
    let chosen = available()
        .into_iter()
        .filter(|info| match args.backend.backend {
            BackendChoice::Auto => true,
            BackendChoice::Named(kind) => info.backend == kind && info.index == args.backend.device,
        });
    let diagnosis = Diagnosis {
        version: env!("CARGO_PKG_VERSION"),
        threads: rayon::current_num_threads(),
        processors: std::thread::available_parallelism().ok().map(usize::from),
        backends: BackendKind::all().map(BackendState::of).collect(),
        devices: chosen.map(DeviceState::of).collect(),
        weights: WeightsState::of(&folder),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&diagnosis)?);
    } else {
        print!("{diagnosis}");
    }
    Ok(())
}

impl BackendState {
    fn of(name: BackendKind) -> Self {
        let problem = select(BackendChoice::Named(name), 0)
            .err()
            .map(|error| error.to_string());
        let compiled_in = name.is_compiled_in();
        Self {
            name,
            compiled_in,
            usable: problem.is_none(),
            problem,
        }
    }
}

impl DeviceState {
    fn of(info: DeviceInfo) -> Self {
        tracing::info!("timing {} {} ({})", info.backend, info.index, info.name);
        let probe = ProbeSizes::of(&info);
        let selected = Selected {
            kind: info.backend,
            device: info.index,
        };
        let (speeds, problem) = match guarded(|| selected.run(Probe(probe))) {
            Ok(speeds) => (Some(speeds), None),
            Err(problem) => (None, Some(problem)),
        };
        Self {
            info,
            probe,
            matmul_gflop_per_second: speeds.map(|[matmul, _]| matmul),
            convolution_gflop_per_second: speeds.map(|[_, convolution]| convolution),
            problem,
        }
    }
}

/// Times a matrix product and a convolution, in GFLOP/s.
struct Probe(ProbeSizes);

impl Task for Probe {
    type Output = Result<[f64; 2]>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        Ok([
            matmul_speed::<B::InnerBackend>(self.0, device)?,
            convolution_speed::<B>(self.0, device)?,
        ])
    }
}

impl WeightsState {
    fn of(folder: &Path) -> Self {
        let backbones = BackboneKind::all()
            .map(|kind| {
                let names = pretrained_names(kind);
                BackboneState {
                    name: kind.name(),
                    file: names
                        .iter()
                        .find(|file| folder.join(file).is_file())
                        .cloned(),
                    built_in: kind == BackboneKind::ConvnextPicoScenes,
                    known_files: names,
                }
            })
            .collect();
        Self {
            folder: folder.display().to_string(),
            exists: folder.is_dir(),
            backbones,
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "dp-sims {}", self.version)?;
        let processors = self
            .processors
            .map_or("unknown".to_string(), |count| count.to_string());
        writeln!(f, "threads   {} of {processors} processors", self.threads)?;
        writeln!(f, "\nbackends")?;
        for backend in &self.backends {
            let state = backend.problem.as_deref().unwrap_or("ready");
            writeln!(f, "  {:<9}{state}", backend.name.name())?;
        }
        writeln!(
            f,
            "\ndevices          matmul   convolution, forward and backward (GFLOP/s)"
        )?;
        for device in &self.devices {
            write!(
                f,
                "  {:<9}{:<3}",
                device.info.backend.name(),
                device.info.index
            )?;
            let speeds = device
                .matmul_gflop_per_second
                .zip(device.convolution_gflop_per_second);
            match (speeds, &device.problem) {
                (Some((matmul, convolution)), _) => {
                    let name = &device.info.name;
                    writeln!(f, "{matmul:>9.1}   {convolution:>11.2}   {name}")?;
                }
                (None, problem) => {
                    let problem = problem.as_deref().unwrap_or("not timed");
                    writeln!(f, "{}: {problem}", device.info.name)?;
                }
            }
        }
        let WeightsState {
            folder,
            exists,
            backbones,
        } = &self.weights;
        let missing = if *exists { "" } else { " (not there)" };
        writeln!(f, "\nweights in {folder}{missing}")?;
        for backbone in backbones {
            let state = match (&backbone.file, backbone.built_in) {
                (Some(file), _) => file.clone(),
                (None, true) => "part of the program".to_string(),
                (None, false) => format!("none; looked for {}", backbone.known_files.join(", ")),
            };
            writeln!(f, "  {:<22}{state}", backbone.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dp_sims_model::backbones::info;

    use super::*;

    fn diagnosis(folder: &Path, devices: Vec<DeviceState>) -> Diagnosis {
        Diagnosis {
            version: "1.2.3",
            threads: 2,
            processors: Some(4),
            backends: BackendKind::all().map(BackendState::of).collect(),
            devices,
            weights: WeightsState::of(folder),
        }
    }

    fn device(problem: Option<&str>) -> DeviceState {
        let info = DeviceInfo {
            backend: BackendKind::Flex,
            index: 0,
            name: "processor".to_string(),
            driver: String::new(),
            is_cpu: true,
        };
        let speed = problem.is_none().then_some(12.34);
        DeviceState {
            probe: ProbeSizes::of(&info),
            info,
            matmul_gflop_per_second: speed,
            convolution_gflop_per_second: speed,
            problem: problem.map(str::to_string),
        }
    }

    #[test]
    fn a_weight_file_is_found_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let second = info(BackboneKind::EfficientnetLite1).files[1];
        std::fs::write(folder.path().join(second), "").unwrap();
        let state = WeightsState::of(folder.path());
        assert!(state.exists);
        for backbone in &state.backbones {
            let expected = (backbone.name == "efficientnet_lite1").then_some(second);
            assert_eq!(backbone.file.as_deref(), expected, "{}", backbone.name);
        }
        let gone = WeightsState::of(&folder.path().join("gone"));
        assert!(
            !gone.exists
                && gone
                    .backbones
                    .iter()
                    .all(|backbone| backbone.file.is_none())
        );
    }

    #[test]
    fn a_backend_that_cannot_be_used_says_why() {
        for kind in BackendKind::all() {
            let state = BackendState::of(kind);
            assert_eq!(state.usable, state.problem.is_none());
            if !state.compiled_in {
                let problem = state.problem.unwrap();
                assert!(problem.contains(&format!("--features {kind}")), "{problem}");
            }
        }
    }

    #[test]
    fn a_broken_device_does_not_end_the_program() {
        assert_eq!(guarded(|| Ok(3)), Ok(3));
        let error: Result<(), _> = guarded(|| Err(anyhow::anyhow!("cause").context("what")));
        assert_eq!(error.unwrap_err(), "what: cause");
        let panic: Result<(), _> = guarded(|| panic!("adapter {} lost", 7));
        assert_eq!(panic.unwrap_err(), "adapter 7 lost");
    }

    #[test]
    fn text_and_json_name_devices_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let shown = diagnosis(folder.path(), vec![device(None), device(Some("no memory"))]);
        let text = shown.to_string();
        for part in [
            "dp-sims 1.2.3",
            "2 of 4",
            "12.3",
            "processor: no memory",
            "vgg16-397923af.pth",
        ] {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["devices"][0]["backend"], "flex");
        assert_eq!(json["devices"][0]["matmul_gflop_per_second"], 12.34);
        assert_eq!(json["devices"][1]["problem"], "no memory");
        assert_eq!(json["weights"]["exists"], true);
        assert_eq!(
            json["backends"].as_array().unwrap().len(),
            BackendKind::all().count()
        );
    }
}
