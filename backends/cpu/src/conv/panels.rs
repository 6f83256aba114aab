//! Products of matrices that lie in panels, so that the inner loop reads both in order.

use pulp::{Simd, WithSimd};

/// Columns of a panel of the right operand.
pub(super) const COLUMNS: usize = 16;

/// Rows of a panel of the left operand, unless both operands are made alike.
pub(super) const ROWS: usize = 12;

/// `out = left · right` on one thread; a job for [`pulp::Arch::dispatch`].
pub(super) struct PanelProduct<'a, const LEFT: usize> {
    /// Panels of rows, `[inner, LEFT]` each; what lies in the rows beyond the last is not used.
    pub(super) left: &'a [f32],
    /// Elements from one panel of rows to the next.
    pub(super) left_distance: usize,
    /// Panels of columns, `[inner, COLUMNS]` each.
    pub(super) right: &'a [f32],
    /// Elements from one panel of columns to the next.
    pub(super) right_distance: usize,
    pub(super) inner: usize,
    pub(super) rows: usize,
    /// `[panels, rows, COLUMNS]`
    pub(super) out: &'a mut [f32],
    /// Whether the product is added to what `out` holds.
    pub(super) adds: bool,
}

impl<const LEFT: usize> WithSimd for PanelProduct<'_, LEFT> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Vectors per panel, panels and rows at once: as many sums as there are registers for, and
        // rows that fill a panel in equal blocks.
        match S::F32_LANES {
            16 if LEFT == ROWS => self.run::<S, 1, 2, 12>(simd),
            16 => self.run::<S, 1, 2, 8>(simd),
            8 => self.run::<S, 2, 1, 6>(simd),
            4 => self.run::<S, 4, 1, 6>(simd),
            _ => self.run::<S, 16, 1, 1>(simd),
        }
    }
}

impl<const LEFT: usize> PanelProduct<'_, LEFT> {
    #[inline(always)]
    fn run<S: Simd, const V: usize, const Q: usize, const MOST: usize>(mut self, simd: S) {
        let panel = self.rows * COLUMNS;
        let count = self.out.len() / panel;
        let mut first = 0;
        while first + Q <= count {
            self.columns::<S, V, Q, MOST>(simd, first);
            first += Q;
        }
        while first < count {
            self.columns::<S, V, 1, MOST>(simd, first);
            first += 1;
        }
    }

    /// All rows of `Q` panels of columns.
    #[inline(always)]
    fn columns<S: Simd, const V: usize, const Q: usize, const MOST: usize>(
        &mut self,
        simd: S,
        first: usize,
    ) {
        let mut row = 0;
        while row < self.rows {
            let left = (LEFT - row % LEFT).min(self.rows - row);
            row += match left.min(MOST) {
                12.. => self.block::<S, V, Q, 12>(simd, first, row),
                8.. => self.block::<S, V, Q, 8>(simd, first, row),
                6.. => self.block::<S, V, Q, 6>(simd, first, row),
                4.. => self.block::<S, V, Q, 4>(simd, first, row),
                2.. => self.block::<S, V, Q, 2>(simd, first, row),
                _ => self.block::<S, V, Q, 1>(simd, first, row),
            };
        }
    }

    /// `R` rows of `Q` panels of columns; returns `R`.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const Q: usize, const R: usize>(
        &mut self,
        simd: S,
        first: usize,
        row: usize,
    ) -> usize {
        let left = &self.left[row / LEFT * self.left_distance..][..self.inner * LEFT];
        let (left, _) = left.as_chunks::<LEFT>();
        let offset = row % LEFT;
        let mut right: [&[[f32; COLUMNS]]; Q] = [&[]; Q];
        for (q, right) in right.iter_mut().enumerate() {
            let start = (first + q) * self.right_distance;
            let panel = &self.right[start..][..self.inner * COLUMNS];
            (*right, _) = panel.as_chunks::<COLUMNS>();
        }
        let mut sums = [[[simd.splat_f32s(0.0); V]; Q]; R];
        for (k, left) in left.iter().enumerate() {
            let Some(left) = left[offset..].first_chunk::<R>() else {
                break;
            };
            let mut columns = [[simd.splat_f32s(0.0); V]; Q];
            for (columns, right) in columns.iter_mut().zip(&right) {
                let (vectors, _) = S::as_simd_f32s(&right[k]);
                for (column, vector) in columns.iter_mut().zip(vectors) {
                    *column = *vector;
                }
            }
            for (sums, left) in sums.iter_mut().zip(left) {
                let left = simd.splat_f32s(*left);
                for (sums, columns) in sums.iter_mut().zip(&columns) {
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = simd.mul_add_f32s(left, *column, *sum);
                    }
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (q, sums) in sums.iter().enumerate() {
                let start = ((first + q) * self.rows + row + r) * COLUMNS;
                let (to, _) = S::as_mut_simd_f32s(&mut self.out[start..start + COLUMNS]);
                for (to, sum) in to.iter_mut().zip(sums) {
                    *to = if self.adds {
                        simd.add_f32s(*to, *sum)
                    } else {
                        *sum
                    };
                }
            }
        }
        R
    }
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    #[test]
    fn panels_give_the_product() {
        assert_product::<ROWS>();
        assert_product::<COLUMNS>();
    }

    /// With panels of `LEFT` rows, twice: set, and added.
    fn assert_product<const LEFT: usize>() {
        for (rows, inner, panels) in [
            (1_usize, 1, 1),
            (5, 3, 2),
            (12, 7, 3),
            (23, 4, 1),
            (34, 9, 5),
        ] {
            let value = |seed: usize, row: usize, column: usize| {
                ((seed + 7 * row + 3 * column) % 11) as f32 - 5.0
            };
            let mut left = vec![f32::NAN; rows.div_ceil(LEFT) * inner * LEFT];
            for row in 0..rows {
                for k in 0..inner {
                    left[(row / LEFT * inner + k) * LEFT + row % LEFT] = value(0, row, k);
                }
            }
            let mut right = vec![0.0; panels * inner * COLUMNS];
            for k in 0..inner {
                for column in 0..panels * COLUMNS {
                    let panel = column / COLUMNS;
                    right[(panel * inner + k) * COLUMNS + column % COLUMNS] = value(4, k, column);
                }
            }
            let mut out = vec![1.0; panels * rows * COLUMNS];
            for adds in [false, true] {
                Arch::new().dispatch(PanelProduct::<LEFT> {
                    left: &left,
                    left_distance: inner * LEFT,
                    right: &right,
                    right_distance: inner * COLUMNS,
                    inner,
                    rows,
                    out: &mut out,
                    adds,
                });
            }
            for row in 0..rows {
                for column in 0..panels * COLUMNS {
                    let products = (0..inner).map(|k| value(0, row, k) * value(4, k, column));
                    let expected = 2.0 * products.sum::<f32>();
                    let panel = column / COLUMNS;
                    let found = out[(panel * rows + row) * COLUMNS + column % COLUMNS];
                    assert_eq!(
                        found, expected,
                        "{rows}x{inner}, row {row}, column {column}"
                    );
                }
            }
        }
    }
}
