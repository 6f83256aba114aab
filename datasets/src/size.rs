//! Sizes of images.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Height and width of an image in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl Size {
    /// A size of `height` by `width` pixels.
    pub const fn new(height: usize, width: usize) -> Self {
        Self { height, width }
    }

    /// A square size of `side` by `side` pixels.
    pub const fn square(side: usize) -> Self {
        Self::new(side, side)
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{} (height x width)", self.height, self.width)
    }
}
