use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A backend by name, whether or not it is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// Flex: fast CPU backend in pure Rust.
    Flex,
    /// ndarray: portable CPU backend, about a hundred times slower in convolution backward.
    Ndarray,
    /// wgpu: any GPU with Vulkan, Metal or DirectX 12.
    Wgpu,
    /// CUDA: NVIDIA GPUs.
    Cuda,
}

impl BackendKind {
    /// Every backend, in the order in which [`BackendChoice::Auto`] prefers them.
    pub const ALL: [Self; 4] = [Self::Cuda, Self::Wgpu, Self::Flex, Self::Ndarray];

    /// Name as written on the command line, which is also the name of the cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// Whether the program was built with this backend.
    pub fn is_compiled_in(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Value of `--backend`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// cuda, then wgpu, then flex, then ndarray: the first that is compiled in and has a device.
    #[default]
    Auto,
    /// This backend or an error.
    Named(BackendKind),
}

impl FromStr for BackendChoice {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Self, BackendError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        BackendKind::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .map(Self::Named)
            .ok_or_else(|| BackendError::Unknown {
                name: text.to_string(),
            })
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Named(kind) => kind.fmt(f),
        }
    }
}

/// Why a backend cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BackendError {
    /// The name is none of ours.
    #[error("unknown backend `{name}`; use auto, flex, ndarray, wgpu or cuda")]
    Unknown {
        /// What was written.
        name: String,
    },
    /// The program was built without it.
    #[error(
        "backend `{kind}` is not compiled in; build with `cargo build --release --features {kind}`"
    )]
    NotCompiledIn {
        /// The backend asked for.
        kind: BackendKind,
    },
    /// It is compiled in, but the machine has no device for it.
    #[error("backend `{kind}` found no device: {reason}; `dp-sims doctor` lists what is there")]
    NoDevice {
        /// The backend asked for.
        kind: BackendKind,
        /// What the driver said.
        reason: String,
    },
    /// `--device` is beyond the devices found.
    #[error(
        "backend `{kind}` has {found} device(s), numbered from 0; device {index} does not exist"
    )]
    NoSuchDevice {
        /// The backend asked for.
        kind: BackendKind,
        /// Value of `--device`.
        index: usize,
        /// Number of devices found.
        found: usize,
    },
    /// `auto` with nothing to choose from.
    #[error("no backend is compiled in; build with `cargo build --release --features flex`")]
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in BackendKind::ALL {
            assert_eq!(kind.name().parse(), Ok(BackendChoice::Named(kind)));
        }
        assert_eq!("auto".parse(), Ok(BackendChoice::Auto));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "tpu".parse::<BackendChoice>().unwrap_err().to_string();
        assert!(error.contains("`tpu`") && error.contains("flex"), "{error}");
    }

    #[test]
    fn a_missing_backend_names_the_feature() {
        let error = BackendError::NotCompiledIn {
            kind: BackendKind::Cuda,
        }
        .to_string();
        assert!(error.contains("--features cuda"), "{error}");
    }
}
