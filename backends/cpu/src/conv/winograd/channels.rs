use std::ops::Range;

use super::super::panels::COLUMNS;
use super::lanes::Lanes;
use super::points::{Grid, INPUTS, OUTPUTS, Points, Transform, both};
use super::tiles::Tiles;

/// Channels whose numbers are computed side by side.
pub(super) const CHANNELS: usize = COLUMNS;

/// A tensor `[N, C, H, W]` that is read tile by tile.
#[derive(Clone, Copy)]
pub(super) struct Map<'a> {
    pub(super) values: &'a [f32],
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Zeros above and to the left.
    pub(super) padding: [usize; 2],
}

impl<'a> Map<'a> {
    /// Up to [`CHANNELS`] planes of an image; those beyond the last are empty.
    fn planes(&self, image: usize, channels: Range<usize>) -> [&'a [f32]; CHANNELS] {
        let pixels = self.height * self.width;
        let mut planes: [&[f32]; CHANNELS] = [&[]; CHANNELS];
        for (plane, channel) in planes.iter_mut().zip(channels) {
            *plane = &self.values[(image * self.channels + channel) * pixels..][..pixels];
        }
        planes
    }
}

/// Transforms up to [`CHANNELS`] channels of a map at some rows of tiles, which count through the
/// batch. The planes are transposed first, once for all points, so that neither the transforms nor
/// the products over tiles move numbers between lanes.
pub(super) struct Transformation<'a> {
    pub(super) map: Map<'a>,
    pub(super) channels: Range<usize>,
    pub(super) tiles: Tiles,
    pub(super) rows: Range<usize>,
    /// Room for the padded rows of some image, `[rows, columns, CHANNELS]`.
    pub(super) lines: &'a mut Vec<f32>,
    /// A run of `[tiles, CHANNELS]` at each point, `distance` apart.
    pub(super) to: &'a mut [f32],
    pub(super) distance: usize,
}

impl Transformation<'_> {
    /// From `R` rows and `C` columns of pixels of each tile, `L` numbers at once.
    #[inline(always)]
    pub(super) fn run<T, const R: usize, const C: usize, const L: usize>(mut self)
    where
        T: Transform<R, { INPUTS[0] }> + Transform<C, { INPUTS[1] }>,
    {
        let mut row = self.rows.start;
        let mut tile = 0;
        while row < self.rows.end {
            let (image, first) = (row / self.tiles.rows, row % self.tiles.rows);
            let count = (self.tiles.rows - first).min(self.rows.end - row);
            let pitch = self.tiles.columns * OUTPUTS[1] + C - OUTPUTS[1];
            self.read(
                image,
                first * OUTPUTS[0],
                count * OUTPUTS[0] + R - OUTPUTS[0],
                pitch,
            );
            for row in 0..count {
                for column in 0..self.tiles.columns {
                    let start = row * OUTPUTS[0] * pitch + column * OUTPUTS[1];
                    self.transform::<T, R, C, L>(start, pitch, tile);
                    tile += 1;
                }
            }
            row += count;
        }
    }

    /// The tile with the number `tile`, whose first pixel is the `start`-th of the lines.
    #[inline(always)]
    fn transform<T, const R: usize, const C: usize, const L: usize>(
        &mut self,
        start: usize,
        pitch: usize,
        tile: usize,
    ) where
        T: Transform<R, { INPUTS[0] }> + Transform<C, { INPUTS[1] }>,
    {
        let from = &self.lines[start * CHANNELS..];
        let to = &mut self.to[tile * CHANNELS..];
        for part in (0..CHANNELS).step_by(L) {
            let mut pixels: Grid<R, C, L> = [[Lanes::ZERO; C]; R];
            for (row, pixels) in pixels.iter_mut().enumerate() {
                let line = &from[row * pitch * CHANNELS..][..C * CHANNELS];
                for (column, lanes) in pixels.iter_mut().enumerate() {
                    *lanes = Lanes::load(&line[column * CHANNELS + part..]);
                }
            }
            let points: Points<L> = both::<T, _, _, _, _, _>(pixels);
            for (point, lanes) in points.into_iter().flatten().enumerate() {
                lanes.store(&mut to[point * self.distance + part..]);
            }
        }
    }

    /// Reads `count` rows of an image from the `first` padded one on, each to `pitch` pixels.
    #[inline(always)]
    fn read(&mut self, image: usize, first: usize, count: usize, pitch: usize) {
        let Map {
            height,
            width,
            padding: [above, before],
            ..
        } = self.map;
        let size = count * pitch * CHANNELS;
        self.lines.resize(self.lines.len().max(size), 0.0);
        let lines = &mut self.lines[..size];
        let start = above.saturating_sub(first).min(count);
        let end = (height + above).saturating_sub(first).clamp(start, count);
        for (row, line) in lines.chunks_exact_mut(pitch * CHANNELS).enumerate() {
            if (start..end).contains(&row) {
                line[..before * CHANNELS].fill(0.0);
                line[(before + width) * CHANNELS..].fill(0.0);
            } else {
                line.fill(0.0);
            }
        }
        if start == end {
            return;
        }
        let planes = self.map.planes(image, self.channels.clone());
        // The pixels of these rows are one run of a plane.
        let run = (first + start - above) * width..(first + end - above) * width;
        let (mut row, mut column) = (start, 0);
        for pixel in run.clone().step_by(CHANNELS) {
            let some = CHANNELS.min(run.end - pixel);
            let mut rest = [[0.0; CHANNELS]; CHANNELS];
            let mut from = [&ZEROS; CHANNELS];
            let planes = planes.iter().take(self.channels.len());
            for ((from, plane), rest) in from.iter_mut().zip(planes).zip(&mut rest) {
                let plane = &plane[pixel..];
                *from = match plane.first_chunk() {
                    Some(pixels) if some == CHANNELS => pixels,
                    _ => {
                        rest[..some].copy_from_slice(&plane[..some]);
                        rest
                    }
                };
            }
            if some.min(width - column) == CHANNELS {
                // Straight to their place, without a second copy.
                let place = (row * pitch + before + column) * CHANNELS;
                let (to, _) = lines[place..][..CHANNELS * CHANNELS].as_chunks_mut::<4>();
                transpose(from, to);
                column += CHANNELS;
                if column == width {
                    (row, column) = (row + 1, 0);
                }
                continue;
            }
            let mut pixels = [[0.0; CHANNELS]; CHANNELS];
            transpose(from, pixels.as_flattened_mut().as_chunks_mut().0);
            let mut done = 0;
            while done < some {
                let together = (some - done).min(width - column);
                let place = (row * pitch + before + column) * CHANNELS;
                let to = &mut lines[place..][..together * CHANNELS];
                to.copy_from_slice(pixels[done..][..together].as_flattened());
                done += together;
                column += together;
                if column == width {
                    (row, column) = (row + 1, 0);
                }
            }
        }
    }
}

/// Pixels of a channel that is not there.
const ZEROS: [f32; CHANNELS] = [0.0; CHANNELS];

/// Writes the transposed matrix, in two rounds that each deal out four runs in turn: loops of that
/// form are compiled to shuffles of vectors.
#[inline(always)]
pub(super) fn transpose(from: [&[f32; CHANNELS]; CHANNELS], to: &mut [[f32; 4]]) {
    let mut quarters = [[[0.0; 4]; CHANNELS]; 4];
    for (first, quarter) in quarters.iter_mut().enumerate() {
        // Copies, which are loaded as vectors.
        let (a, b) = (*from[first], *from[first + 4]);
        let (c, d) = (*from[first + 8], *from[first + 12]);
        for (index, four) in quarter.iter_mut().enumerate() {
            *four = [a[index], b[index], c[index], d[index]];
        }
    }
    let [a, b, c, d] = &quarters;
    let (a, b) = (a.as_flattened(), b.as_flattened());
    let (c, d) = (c.as_flattened(), d.as_flattened());
    for (index, four) in to[..CHANNELS * CHANNELS / 4].iter_mut().enumerate() {
        *four = [a[index], b[index], c[index], d[index]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let value = |row: usize, column: usize| (row * CHANNELS + column) as f32;
        let from: [[f32; CHANNELS]; CHANNELS] =
            std::array::from_fn(|row| std::array::from_fn(|column| value(row, column)));
        let mut to = [[0.0; CHANNELS]; CHANNELS];
        transpose(from.each_ref(), to.as_flattened_mut().as_chunks_mut().0);
        for (row, found) in to.into_iter().enumerate() {
            assert_eq!(found, std::array::from_fn(|column| value(column, row)));
        }
    }
}
