use serde::{Deserialize, Serialize};

/// What becomes of a map that the windows do not divide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowFit {
    /// As timm computes it (notes D28): where the window exceeds the map it shrinks to the map and
    /// is not shifted, on each axis by itself; otherwise the map is padded at the bottom and right
    /// after the shift.
    Shrink,
    /// As the backbones of detection and segmentation networks compute it (`D2SwinTransformer` of
    /// facebookresearch/Mask2Former, `SwinBackbone` of transformers): the map is padded at the
    /// bottom and right to whole windows before the shift, and every second block is shifted,
    /// however small the map is.
    Pad,
}

impl WindowFit {
    /// Windows of `size` pixels a side; `shifted` ones by half of it.
    pub(crate) fn grid(self, map: [usize; 2], size: usize, shifted: bool) -> WindowGrid {
        match self {
            Self::Shrink => WindowGrid::new(map, size, shifted),
            Self::Pad => WindowGrid {
                map,
                window: [size; 2],
                shift: [if shifted { size / 2 } else { 0 }; 2],
                padded_first: true,
            },
        }
    }
}

/// How the windows of a block lie on a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowGrid {
    /// Height and width of the map.
    pub(super) map: [usize; 2],
    /// Height and width of a window.
    pub(super) window: [usize; 2],
    /// Rows and columns by which the map is moved up and left before it is cut.
    pub(super) shift: [usize; 2],
    /// Whether the map is padded before it is moved, instead of after.
    pub(super) padded_first: bool,
}

impl WindowGrid {
    /// Windows of `size` pixels a side that shrink to the map; `shifted` ones by half of `size`.
    fn new(map: [usize; 2], size: usize, shifted: bool) -> Self {
        Self {
            map,
            window: map.map(|side| side.min(size)),
            shift: map.map(|side| if shifted && side > size { size / 2 } else { 0 }),
            padded_first: false,
        }
    }

    /// Windows along the height and the width.
    pub(super) fn counts(&self) -> [usize; 2] {
        std::array::from_fn(|axis| self.map[axis].div_ceil(self.window[axis]))
    }

    /// Windows on the map.
    pub(crate) fn count(&self) -> usize {
        self.counts().iter().product()
    }

    /// Pixels of a window.
    pub(crate) fn area(&self) -> usize {
        self.window.iter().product()
    }

    /// Rows and columns of padding.
    pub(super) fn padding(&self) -> [usize; 2] {
        let counts = self.counts();
        std::array::from_fn(|axis| counts[axis] * self.window[axis] - self.map[axis])
    }

    /// What is added to the scores so that pixels which the shift brought together from opposite
    /// edges do not see each other: 0 or -100 for each window, query and key; `None` without a
    /// shift.
    pub(super) fn mask(&self) -> Option<Vec<f32>> {
        if self.shift == [0, 0] {
            return None;
        }
        let counts = self.counts();
        let mut mask = Vec::with_capacity(self.count() * self.area() * self.area());
        for row in 0..counts[0] {
            for column in 0..counts[1] {
                let regions: Vec<[u8; 2]> = self
                    .pixels()
                    .map(|[y, x]| [self.region(0, row, y), self.region(1, column, x)])
                    .collect();
                for query in &regions {
                    let seen = |key| if query == key { 0.0 } else { -100.0 };
                    mask.extend(regions.iter().map(seen));
                }
            }
        }
        Some(mask)
    }

    /// Row of the bias table for each query and key of a window.
    pub(super) fn relative_positions(&self) -> Vec<i32> {
        let [height, width] = self.window;
        let position = |[y, x]: [usize; 2], [v, u]: [usize; 2]| {
            (y + height - 1 - v) * (2 * width - 1) + x + width - 1 - u
        };
        let pixels: Vec<[usize; 2]> = self.pixels().collect();
        let rows = pixels.iter().map(|query| {
            let pixels = pixels.iter();
            pixels.map(move |key| position(*query, *key) as i32)
        });
        rows.flatten().collect()
    }

    fn pixels(&self) -> impl Iterator<Item = [usize; 2]> {
        let [height, width] = self.window;
        (0..height).flat_map(move |y| (0..width).map(move |x| [y, x]))
    }

    /// Region of a pixel along one axis: before the last window, in the last window, and in the
    /// part of it that the shift brought from the other edge.
    fn region(&self, axis: usize, window: usize, pixel: usize) -> u8 {
        let last = window + 1 == self.counts()[axis];
        let wrapped = pixel + self.shift[axis] >= self.window[axis] && self.shift[axis] > 0;
        u8::from(last) + u8::from(last && wrapped)
    }
}

/// The linear map that takes a bias table of a square window of `size` pixels a side to that of a
/// smaller window, as a matrix in row-major order: rows are relative positions in the new window,
/// columns those in the old one. `None` where the window is the old one.
///
/// timm's interpolation: linear between source positions that lie in a geometric progression
/// around 0, which for a smaller window is nearly the middle of the table.
pub(super) fn resize_table(size: usize, window: [usize; 2]) -> Option<Vec<f32>> {
    if window == [size; 2] {
        return None;
    }
    let [vertical, horizontal] = window.map(|side| interpolation(2 * size - 1, 2 * side - 1));
    let mut matrix = Vec::with_capacity(vertical.len() * horizontal.len() * (2 * size - 1).pow(2));
    for row in &vertical {
        for column in &horizontal {
            for from_row in row {
                matrix.extend(column.iter().map(|weight| (from_row * weight) as f32));
            }
        }
    }
    Some(matrix)
}

/// Weights of `from` values along one axis for each of `to` values; both are odd.
fn interpolation(from: usize, to: usize) -> Vec<Vec<f64>> {
    let positions = source_positions(from, to);
    let half = (to / 2) as f64;
    (0..to)
        .map(|index| {
            let at = index as f64 - half;
            let right = positions.partition_point(|&position| position < at);
            let right = right.min(from - 1);
            let left = right.saturating_sub(1);
            let before = (at - positions[left]).max(0.0);
            let behind = (positions[right] - at).max(0.0);
            let mut weights = vec![0.0; from];
            if before + behind == 0.0 {
                weights[right] = 1.0;
            } else {
                weights[left] += behind / (before + behind);
                weights[right] += before / (before + behind);
            }
            weights
        })
        .collect()
}

/// Positions of the old relative offsets on the axis of the new ones: 0, ±1, ±(1 + q), .. with the
/// ratio q from 1.01 to 1.5 at which they reach the ends.
fn source_positions(from: usize, to: usize) -> Vec<f64> {
    let steps = from / 2;
    let (mut low, mut high) = (1.01, 1.5);
    let mut ratio: f64 = low;
    while high - low > 1e-6 {
        ratio = (low + high) / 2.0;
        let reached = (1.0 - ratio.powi(steps as i32)) / (1.0 - ratio);
        if reached > (to / 2) as f64 {
            high = ratio;
        } else {
            low = ratio;
        }
    }
    let mut distance = 0.0;
    let distances: Vec<f64> = (0..steps as i32)
        .map(|step| {
            distance += ratio.powi(step);
            distance
        })
        .collect();
    let negative = distances.iter().rev().map(|distance| -distance);
    negative
        .chain([0.0])
        .chain(distances.iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_shrink_to_the_map_on_each_axis() {
        let grid = WindowGrid::new([6, 8], 7, true);
        assert_eq!((grid.window, grid.shift), ([6, 7], [0, 3]));
        assert_eq!((grid.counts(), grid.padding()), ([1, 2], [0, 6]));
        let equal = WindowGrid::new([7, 7], 7, true);
        assert_eq!((equal.window, equal.shift), ([7, 7], [0, 0]));
        assert_eq!(equal.mask(), None);
        // notes D28: 64, 32, 16 and 8 pixels a side at window 12.
        let padded = [64, 32, 16, 8].map(|side| {
            let grid = WindowGrid::new([side; 2], 12, false);
            grid.counts()[0] * grid.window[0]
        });
        assert_eq!(padded, [72, 36, 24, 8]);
    }

    #[test]
    fn whole_windows_are_shifted_on_every_map() {
        let grid = WindowFit::Pad.grid([6, 3], 5, true);
        assert_eq!((grid.window, grid.shift), ([5, 5], [2, 2]));
        assert_eq!((grid.counts(), grid.padding()), ([2, 1], [4, 2]));
        // In the single column of windows, what came from the left edge does not see the rest.
        let mask = grid.mask().unwrap();
        let seen = |query: usize, key: usize| mask[query * 25 + key] == 0.0;
        for (query, key) in [(0, 2), (0, 3), (3, 4), (2, 4)] {
            assert_eq!(seen(query, key), (query < 3) == (key < 3));
        }
        assert_eq!(WindowFit::Pad.grid([6, 3], 5, false).mask(), None);
    }

    /// Four pixels a side, window 2, shift 1: in the last row of windows the lower pixels come from
    /// the top of the map, in the last column the right ones from its left edge.
    #[test]
    fn pixels_from_opposite_edges_do_not_see_each_other() {
        let grid = WindowGrid::new([4, 4], 2, true);
        let mask = grid.mask().unwrap();
        let seen =
            |window: usize, query: usize, key: usize| mask[(window * 4 + query) * 4 + key] == 0.0;
        for query in 0..4 {
            for key in 0..4 {
                assert!(seen(0, query, key));
                assert_eq!(seen(1, query, key), query % 2 == key % 2);
                assert_eq!(seen(2, query, key), query / 2 == key / 2);
                assert_eq!(seen(3, query, key), query == key);
            }
        }
    }

    #[test]
    fn relative_positions_count_from_the_upper_left() {
        let grid = WindowGrid::new([4, 4], 2, false);
        let expected = [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4];
        assert_eq!(grid.relative_positions(), expected);
    }

    #[test]
    fn a_smaller_window_reads_the_middle_of_the_table() {
        assert_eq!(resize_table(7, [7, 7]), None);
        // One row of a constant table stays constant, and the centre stays itself.
        let matrix = resize_table(4, [2, 3]).unwrap();
        let rows: Vec<&[f32]> = matrix.chunks(49).collect();
        assert_eq!(rows.len(), 3 * 5);
        for row in &rows {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert_eq!(rows[7][24], 1.0);
        // Two steps to the right fall short of 2.01, the second source position.
        let weights = [rows[9][25], rows[9][26]];
        assert!((weights[1] - 1.0 / 1.01).abs() < 1e-5, "{weights:?}");
        assert!((weights[0] + weights[1] - 1.0).abs() < 1e-6);
    }
}
