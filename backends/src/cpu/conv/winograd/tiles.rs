use std::marker::PhantomData;
use std::ops::Range;

use pulp::NullaryFnOnce;

use super::super::geometry::Conv;
use super::lanes::{LANES, Lanes};
use super::points::{Grid, INPUTS, OUTPUTS, Points, Transform, both};

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

/// A tensor `[N, C, H, W]` that is read tile by tile, each channel by itself.
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
    fn plane(&self, image: usize, channel: usize) -> &'a [f32] {
        let pixels = self.height * self.width;
        &self.values[(image * self.channels + channel) * pixels..][..pixels]
    }
}

/// Columns of a tile.
const GROUP: usize = OUTPUTS[1];

/// Rows of a plane with every fourth pixel side by side, so that neighbouring tiles are: four
/// phases per row. Outside of the plane there are zeros.
struct Phases {
    values: Vec<f32>,
    /// Elements of a phase of a row.
    run: usize,
}

impl Phases {
    /// For rows of so many tiles.
    fn new(columns: usize) -> Self {
        // A tile reaches into the next one; lanes reach beyond the last one.
        let run = columns + 1 + LANES;
        Self {
            values: vec![0.0; INPUTS[0] * GROUP * run],
            run,
        }
    }

    /// Reads `count` rows from the `first` padded one on.
    #[inline(always)]
    fn fill(&mut self, map: &Map, plane: &[f32], first: usize, count: usize) {
        let [above, padding] = map.padding;
        let rows = self.values.chunks_exact_mut(GROUP * self.run);
        for (index, phases) in rows.take(count).enumerate() {
            let row = (first + index).checked_sub(above);
            let Some(row) = row.filter(|&row| row < map.height) else {
                phases.fill(0.0);
                continue;
            };
            let line = &plane[row * map.width..][..map.width];
            let [a, b, c, d] = quarters(phases, self.run);
            // Pixels before the first whole group of four, and behind the last one.
            let at = |place: usize| {
                let pixel = place.checked_sub(padding);
                pixel.and_then(|pixel| line.get(pixel)).map_or(0.0, |v| *v)
            };
            let begin = padding.div_ceil(GROUP);
            let groups = line
                .get(begin * GROUP - padding..)
                .unwrap_or_default()
                .chunks_exact(GROUP);
            let whole = groups.len();
            let inner = a[begin..]
                .iter_mut()
                .zip(&mut b[begin..])
                .zip(&mut c[begin..])
                .zip(&mut d[begin..]);
            for ((((a, b), c), d), group) in inner.zip(groups) {
                (*a, *b, *c, *d) = (group[0], group[1], group[2], group[3]);
            }
            for group in (0..begin).chain(begin + whole..self.run) {
                let from = group * GROUP;
                (a[group], b[group]) = (at(from), at(from + 1));
                (c[group], d[group]) = (at(from + 2), at(from + 3));
            }
        }
    }

    /// The `place`-th pixel of the tiles from `tile` on, in a row that was read.
    #[inline(always)]
    fn load(&self, row: usize, place: usize, tile: usize) -> Lanes {
        let start = (row * GROUP + place % GROUP) * self.run + tile + place / GROUP;
        Lanes::load(&self.values[start..])
    }
}

fn quarters(values: &mut [f32], run: usize) -> [&mut [f32]; GROUP] {
    let (ab, cd) = values.split_at_mut(2 * run);
    let (a, b) = ab.split_at_mut(run);
    let (c, d) = cd.split_at_mut(run);
    [a, b, c, d]
}

/// Transforms one channel of a map at some rows of tiles, which count through the batch: `R` rows and
/// `C` columns of pixels of a tile.
pub(super) struct Transformation<'a, T, const R: usize, const C: usize> {
    pub(super) map: Map<'a>,
    pub(super) channel: usize,
    pub(super) tiles: Tiles,
    pub(super) rows: Range<usize>,
    /// `[POINTS, pitch]`; of each run the tiles are written, and up to seven numbers behind them.
    pub(super) to: &'a mut [f32],
    pub(super) pitch: usize,
    pub(super) transform: PhantomData<T>,
}

impl<T, const R: usize, const C: usize> NullaryFnOnce for Transformation<'_, T, R, C>
where
    T: Transform<R, { INPUTS[0] }> + Transform<C, { INPUTS[1] }>,
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Tiles { rows, columns, .. } = self.tiles;
        let mut phases = Phases::new(columns);
        for (place, row) in self.rows.enumerate() {
            let plane = self.map.plane(row / rows, self.channel);
            phases.fill(&self.map, plane, row % rows * OUTPUTS[0], R);
            for tile in (0..columns).step_by(LANES) {
                let mut pixels: Grid<R, C> = [[Lanes::ZERO; C]; R];
                for (row, lanes) in pixels.iter_mut().enumerate() {
                    for (column, lanes) in lanes.iter_mut().enumerate() {
                        *lanes = phases.load(row, column, tile);
                    }
                }
                // What is written behind the last tile of a row, the next row writes over.
                let start = place * columns + tile;
                store(both::<T, _, _, _, _, _>(pixels), self.to, start, self.pitch);
            }
        }
    }
}

/// Writes a tile's points to the runs of `to`, `[POINTS, pitch]`.
#[inline(always)]
pub(super) fn store(points: Points, to: &mut [f32], start: usize, pitch: usize) {
    for (row, points) in points.into_iter().enumerate() {
        for (column, lanes) in points.into_iter().enumerate() {
            lanes.store(&mut to[(row * INPUTS[1] + column) * pitch + start..]);
        }
    }
}
