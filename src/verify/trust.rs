//! Whether a GPU may be used without a look at what it computes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use dp_sims_backends::{BackendKind, Selected};

use super::report::info_of;
use super::{REMEDY, StepCase, Suite, cases, verify};
use crate::runtime::files::{read_text, write_whole};
use crate::runtime::progress::progress_bar;

/// Whether the device of a command computes what the processor computes; what logs and checkpoints say
/// about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is the processor.
    Processor,
    /// It was compared with the processor, now or earlier.
    Verified,
    /// It was not compared: the user trusts it.
    Trusted,
    /// It cannot be compared: flex is not part of this program.
    Unknown,
}

impl Trust {
    /// The device and how far it is to be trusted, for logs, checkpoints and reports.
    pub fn describe(&self, device: Selected) -> String {
        let mut name = format!("{} device {}", device.kind, device.device);
        if device.kind == BackendKind::Cuda {
            // burn takes tensor cores where it can and cannot be told otherwise.
            name += " (matrix products of f32 may be TF32)";
        }
        match self {
            Self::Processor => name,
            Self::Verified => format!("{name}, equal to flex"),
            Self::Trusted => format!("{name}, NOT compared with flex (--trust-device)"),
            Self::Unknown => format!("{name}, NOT compared with flex, which is not compiled in"),
        }
    }

    /// What to tell the user, if anything.
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            Self::Processor | Self::Verified => None,
            Self::Trusted => Some(
                "whether the device computes the right values was not checked \
                 (--trust-device); checkpoints and reports say so",
            ),
            Self::Unknown => Some(
                "whether the device computes the right values cannot be checked without the \
                 feature `flex`; checkpoints and reports say so",
            ),
        }
    }
}

/// Compares a GPU with the processor, once for each device, driver, version of the program and step;
/// what was found equal is remembered in the user's cache. The processor needs no comparison.
///
/// # Errors
/// When the device is wrong or fails; with the table of what is wrong and what to do about it.
pub fn trust(device: Selected, step: Option<&StepCase>, is_trusted: bool) -> Result<Trust> {
    if matches!(device.kind, BackendKind::Flex | BackendKind::Ndarray) {
        return Ok(Trust::Processor);
    }
    if is_trusted {
        return Ok(Trust::Trusted);
    }
    if !BackendKind::Flex.is_compiled_in() {
        return Ok(Trust::Unknown);
    }
    let subject = Compared::of(device, step);
    let folder = dirs::cache_dir().map(|cache| cache.join("dp-sims").join("devices"));
    if folder
        .as_deref()
        .is_some_and(|folder| subject.is_in(folder))
    {
        tracing::debug!("{} {} was compared before", device.kind, device.device);
        return Ok(Trust::Verified);
    }
    compare(device, step)?;
    // Without a cache it is compared again the next time.
    if let Some(Err(error)) = folder.map(|folder| subject.remember(&folder)) {
        tracing::warn!("{error:#}; the device will be compared again");
    }
    Ok(Trust::Verified)
}

fn compare(device: Selected, step: Option<&StepCase>) -> Result<()> {
    let name = format!("{} {}", device.kind, device.device);
    tracing::info!("comparing {name} with the processor, once; --trust-device leaves it out");
    let suite = &Suite::short();
    let bar = progress_bar("comparing", cases(suite, step) as u64);
    let outcome = verify(device, suite, step, |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    let verification = outcome.with_context(|| format!("cannot compare {name}. {REMEDY}"))?;
    if verification.is_equal() {
        return Ok(());
    }
    bail!(
        "{verification}\n{name} does not compute what the processor computes. {REMEDY}, or go on with --trust-device"
    )
}

/// What was compared.
struct Compared {
    text: String,
}

impl Compared {
    fn of(device: Selected, step: Option<&StepCase>) -> Self {
        let info = info_of(device);
        Self {
            text: format!(
                "dp-sims {}\n{} {}\n{}\n{}\n{}\n",
                env!("CARGO_PKG_VERSION"),
                info.backend,
                info.index,
                info.name,
                info.driver,
                step.map_or(String::new(), StepCase::description),
            ),
        }
    }

    fn file(&self, folder: &Path) -> PathBuf {
        let hash = blake3::hash(self.text.as_bytes()).to_hex();
        folder.join(format!("{}.txt", &hash[..32]))
    }

    fn is_in(&self, folder: &Path) -> bool {
        read_text(&self.file(folder)).is_ok_and(|text| text == self.text)
    }

    fn remember(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        write_whole(&self.file(folder), self.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_cuda_name_tf32() {
        let said = |kind| Trust::Verified.describe(Selected { kind, device: 1 });
        let expected = "cuda device 1 (matrix products of f32 may be TF32), equal to flex";
        assert_eq!(said(BackendKind::Cuda), expected);
        assert_eq!(said(BackendKind::Wgpu), "wgpu device 1, equal to flex");
    }

    #[test]
    fn the_processor_needs_no_comparison() {
        let device = Selected {
            kind: BackendKind::Flex,
            device: 0,
        };
        let found = trust(device, None, false).unwrap();
        assert_eq!(found, Trust::Processor);
        assert_eq!(found.describe(device), "flex device 0");
        assert_eq!(found.warning(), None);
    }

    #[test]
    fn a_device_that_nobody_compared_is_said_to_be_one() {
        let device = Selected {
            kind: BackendKind::Wgpu,
            device: 1,
        };
        let found = trust(device, None, true).unwrap();
        let text = found.describe(device);
        assert!(
            text.contains("NOT compared") && text.contains("--trust-device"),
            "{text}"
        );
        assert!(found.warning().is_some());
        assert_eq!(
            Trust::Verified.describe(device),
            "wgpu device 1, equal to flex"
        );
    }

    #[test]
    fn what_was_compared_is_remembered_until_something_changes() {
        let folder = tempfile::tempdir().unwrap();
        let subject = |text: &str| Compared {
            text: text.to_string(),
        };
        let one = subject("a driver");
        assert!(!one.is_in(folder.path()));
        one.remember(folder.path()).unwrap();
        assert!(one.is_in(folder.path()));
        assert!(!subject("another driver").is_in(folder.path()));
        std::fs::write(one.file(folder.path()), "cut").unwrap();
        assert!(!one.is_in(folder.path()));
    }
}
