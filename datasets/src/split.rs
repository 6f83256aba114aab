//! The splits of a dataset.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A part of a dataset.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownSplit, parse_err_fn = unknown)]
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
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    /// The name under which descriptions and the command line know the split.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The name of a split is none of the known ones.
#[derive(Debug, thiserror::Error)]
#[error("unknown split `{name}`: use train, validation or test")]
pub struct UnknownSplit {
    /// The name as given.
    pub name: String,
}

fn unknown(name: &str) -> UnknownSplit {
    UnknownSplit {
        name: name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_says;

    #[test]
    fn splits_have_names() {
        for split in Split::all() {
            assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
            assert_eq!(
                serde_json::to_string(&split).unwrap(),
                format!("\"{split}\"")
            );
        }
        let message = "val".parse::<Split>().unwrap_err().to_string();
        assert_says(&message, &["`val`", "validation"]);
    }
}
