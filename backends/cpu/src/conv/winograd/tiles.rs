use super::super::geometry::Conv;
use super::points::{INPUTS, OUTPUTS};

/// Products per tile and pair of channels.
pub(super) const POINTS: usize = INPUTS[0] * INPUTS[1];

/// How the output of a convolution is cut into tiles of two rows and four columns.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    /// Rows of tiles in an image.
    pub(super) rows: usize,
    /// Tiles in a row.
    pub(super) columns: usize,
    /// Rows of tiles in the batch.
    pub(super) all_rows: usize,
}

impl Tiles {
    pub(super) fn of(conv: &Conv) -> Self {
        let rows = conv.rows.output.div_ceil(OUTPUTS[0]);
        Self {
            rows,
            columns: conv.columns.output.div_ceil(OUTPUTS[1]),
            all_rows: conv.batch * rows,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.all_rows * self.columns
    }
}
