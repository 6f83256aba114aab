use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A backend by name, whether or not it is compiled in, in the order in which [`BackendChoice::Auto`]
/// prefers them.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = BackendError, parse_err_fn = unknown)]
pub enum BackendKind {
    /// CUDA: NVIDIA GPUs.
    Cuda,
    /// wgpu: any GPU with Vulkan, Metal or DirectX 12.
    Wgpu,
    /// Flex: fast CPU backend in pure Rust.
    Flex,
    /// ndarray: portable CPU backend, about a hundred times slower in convolution backward.
    Ndarray,
}

impl BackendKind {
    /// Every backend, the preferred one first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    /// Name as written on the command line, which is also the name of the cargo feature.
    pub fn name(self) -> &'static str {
        self.into()
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

fn unknown(name: &str) -> BackendError {
    BackendError::Unknown {
        name: name.to_string(),
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
        match text {
            "auto" => Ok(Self::Auto),
            name => name.parse().map(Self::Named),
        }
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
        for kind in BackendKind::all() {
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
