use burn::tensor::ops::PadMode;
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

use super::grid::{WindowFit, WindowGrid, resize_table};
use crate::layers::concat;

/// What the blocks of a stage share: how its map is cut into windows, plain and shifted, and the
/// tensors that follow from it.
#[derive(Debug)]
pub(super) struct Windows<B: Backend> {
    plain: WindowGrid,
    shifted: WindowGrid,
    /// Mask of the shifted windows by head, `[1, windows · heads · area · area]`.
    mask: Option<Tensor<B, 2>>,
    /// Row of the table for each query and key, `[area · area]`.
    positions: Tensor<B, 1, Int>,
    /// Takes the table of the stored window to that of the actual one.
    resize: Option<Tensor<B, 2>>,
}

impl<B: Backend> Windows<B> {
    /// Windows of `size` pixels a side on a `map` of height and width.
    pub(super) fn new(
        map: [usize; 2],
        size: usize,
        fit: WindowFit,
        heads: usize,
        device: &B::Device,
    ) -> Self {
        let plain = fit.grid(map, size, false);
        let shifted = fit.grid(map, size, true);
        let (count, area) = (shifted.count(), shifted.area());
        let mask = shifted.mask().map(|mask| {
            // One copy per head: adding a mask of the same layout as the scores is fast everywhere.
            let mask = TensorData::new(mask, [count, 1, area * area]);
            Tensor::<B, 3>::from_data(mask, device)
                .repeat_dim(1, heads)
                .reshape([1, -1])
        });
        let positions = plain.relative_positions();
        let positions = TensorData::new(positions, [area * area]);
        let resize = resize_table(size, plain.window).map(|matrix| {
            let columns = (2 * size - 1).pow(2);
            let rows = matrix.len() / columns;
            Tensor::from_data(TensorData::new(matrix, [rows, columns]), device)
        });
        Self {
            plain,
            shifted,
            mask,
            positions: Tensor::from_data(positions, device),
            resize,
        }
    }

    fn grid(&self, shifted: bool) -> &WindowGrid {
        if shifted { &self.shifted } else { &self.plain }
    }

    /// Cuts a map into windows after shift and padding.
    ///
    /// # Shapes
    ///
    /// - `map`: `[N, H, W, C]`
    /// - output: `[N · windows, area, C]`
    pub(super) fn partition(&self, map: Tensor<B, 4>, shifted: bool) -> Tensor<B, 3> {
        let grid = self.grid(shifted);
        let [batch, _, _, channels] = map.dims();
        let map = if grid.padded_first {
            rolled(padded(map, grid.padding()), grid.shift)
        } else {
            padded(rolled(map, grid.shift), grid.padding())
        };
        let ([rows, columns], [height, width]) = (grid.counts(), grid.window);
        map.reshape([batch, rows, height, columns, width, channels])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([batch * grid.count(), grid.area(), channels])
    }

    /// Undoes [`partition`](Self::partition).
    ///
    /// # Shapes
    ///
    /// - `windows`: `[N · windows, area, C]`
    /// - output: `[N, H, W, C]`
    pub(super) fn merge(&self, windows: Tensor<B, 3>, shifted: bool) -> Tensor<B, 4> {
        let grid = self.grid(shifted);
        let [count, _, channels] = windows.dims();
        let batch = count / grid.count();
        let ([rows, columns], [height, width]) = (grid.counts(), grid.window);
        let map = windows
            .reshape([batch, rows, columns, height, width, channels])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([batch, rows * height, columns * width, channels]);
        let cropped = |map: Tensor<B, 4>| {
            if grid.padding() == [0, 0] {
                return map;
            }
            map.slice([0..batch, 0..grid.map[0], 0..grid.map[1]])
        };
        let back = |sides: [usize; 2]| {
            std::array::from_fn(|axis| (sides[axis] - grid.shift[axis]) % sides[axis])
        };
        if grid.padded_first {
            cropped(rolled(map, back([rows * height, columns * width])))
        } else {
            rolled(cropped(map), back(grid.map))
        }
    }

    /// Bias of every pair of pixels in a window, from the table of relative positions.
    ///
    /// # Shapes
    ///
    /// - `table`: `[(2 · size - 1)², heads]`
    /// - output: `[1, heads · area · area]`
    pub(super) fn bias(&self, table: Tensor<B, 2>) -> Tensor<B, 2> {
        let table = match &self.resize {
            Some(resize) => resize.clone().matmul(table),
            None => table,
        };
        table
            .select(0, self.positions.clone())
            .transpose()
            .reshape([1, -1])
    }

    /// The mask of shifted windows, for scores `[N, windows · heads · area · area]`.
    pub(super) fn mask(&self, shifted: bool) -> Option<Tensor<B, 2>> {
        self.mask.clone().filter(|_| shifted)
    }
}

/// Moves a map `[N, H, W, C]` cyclically up and to the left. Written out, because burn does not
/// document the direction of its `roll`, which in 0.21 is the opposite of PyTorch's.
fn rolled<B: Backend>(map: Tensor<B, 4>, shift: [usize; 2]) -> Tensor<B, 4> {
    let mut map = map;
    for (axis, shift) in [1, 2].into_iter().zip(shift) {
        if shift > 0 {
            let tail = map.clone().slice_dim(axis, ..shift);
            map = concat(vec![map.slice_dim(axis, shift..), tail], axis);
        }
    }
    map
}

/// A map `[N, H, W, C]` with so many rows and columns of zeros at the bottom and right.
pub(super) fn padded<B: Backend>(map: Tensor<B, 4>, [rows, columns]: [usize; 2]) -> Tensor<B, 4> {
    if [rows, columns] == [0, 0] {
        return map;
    }
    map.pad([(0, rows), (0, columns), (0, 0)], PadMode::Constant(0.0))
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::testing::values;

    fn counted<B: Backend>() -> Tensor<B, 4> {
        let values = Tensor::<B, 1, Int>::arange(0..2 * 5 * 9 * 3, &Default::default());
        values.float().reshape([2, 5, 9, 3])
    }

    fn merging_undoes_the_partition_and_so_does_its_gradient<B: AutodiffBackend>() {
        let fits = [WindowFit::Shrink, WindowFit::Pad];
        for (fit, shifted) in fits.into_iter().flat_map(|fit| [(fit, false), (fit, true)]) {
            let windows = Windows::<B>::new([5, 9], 4, fit, 2, &Default::default());
            let map = counted::<B>().require_grad();
            let cut = windows.partition(map.clone(), shifted);
            assert_eq!(cut.dims(), [2 * 2 * 3, 16, 3]);
            let merged = windows.merge(cut, shifted);
            assert_eq!(values(merged.clone()), values(counted::<B>()));
            // Each pixel receives the gradient that was put on it, padding swallows none.
            let cotangent = counted::<B>() + 1.0;
            let gradients = (merged * cotangent.clone()).sum().backward();
            assert_eq!(values(map.grad(&gradients).unwrap()), values(cotangent));
        }
    }

    fn a_shifted_window_starts_at_its_shift<B: AutodiffBackend>() {
        let windows = Windows::<B>::new([5, 9], 4, WindowFit::Shrink, 2, &Default::default());
        let first = values(windows.partition(counted::<B>(), true));
        assert_eq!(
            first[..3],
            values(counted::<B>().slice([0..1, 2..3, 2..3]))[..]
        );
        let last = windows
            .partition(counted::<B>(), true)
            .slice([5..6, 15..16]);
        assert_eq!(values(last), [0.0; 3], "padding");
    }

    /// The map is padded first: the first rows and columns come to lie behind the padding.
    fn padding_before_the_shift_lies_within_the_last_window<B: AutodiffBackend>() {
        let windows = Windows::<B>::new([5, 9], 4, WindowFit::Pad, 2, &Default::default());
        let last = windows
            .partition(counted::<B>(), true)
            .slice_dim(0, 5..6)
            .reshape([4, 4, 3]);
        // Row 2 of the window is row 0 of the map, column 1 is padding, column 2 is column 0.
        let corner = last.clone().slice([2..3, 2..3]);
        let first = counted::<B>().slice([0..1, 0..1, 0..1]);
        assert_eq!(values(corner), values(first));
        assert_eq!(values(last.slice([2..3, 1..2])), [0.0; 3], "padding");
    }

    backend_tests!(
        merging_undoes_the_partition_and_so_does_its_gradient,
        a_shifted_window_starts_at_its_shift,
        padding_before_the_shift_lies_within_the_last_window,
    );
}
