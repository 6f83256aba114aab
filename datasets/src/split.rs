//! The splits of a dataset.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Images to train on.
    Train,
    /// Images to choose settings on.
    Validation,
    /// Images to report figures on.
    Test,
}

impl Split {
    /// Every split, in the usual order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name under which descriptions and the command line know the split.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a split is none of the known ones.
#[derive(Debug, thiserror::Error)]
#[error("unknown split `{name}`: use train, validation or test")]
pub struct UnknownSplit {
    /// The name as given.
    pub name: String,
}

impl FromStr for Split {
    type Err = UnknownSplit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|split| split.name() == text)
            .ok_or_else(|| UnknownSplit {
                name: text.to_string(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_have_names() {
        for split in Split::ALL {
            assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
            assert_eq!(
                serde_json::to_string(&split).unwrap(),
                format!("\"{split}\"")
            );
        }
        let message = "val".parse::<Split>().unwrap_err().to_string();
        assert!(
            message.contains("`val`") && message.contains("validation"),
            "{message}"
        );
    }
}
