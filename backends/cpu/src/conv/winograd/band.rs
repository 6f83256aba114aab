use pulp::{Simd, WithSimd};

use super::super::super::blank::{self, Slot};
use super::super::geometry::Conv;
use super::super::panels::{COLUMNS, PanelProduct, ROWS};
use super::lanes::Lanes;
use super::points::{Grid, INPUTS, OUTPUTS, OfInputs, Points, ToOutputs, both};
use super::tiles::{POINTS, Tiles};

/// Columns of outputs in a tile.
const GROUP: usize = OUTPUTS[1];

/// Rows of tiles of one image.
pub(super) struct Band<'a> {
    pub(super) image: usize,
    /// The first row of tiles.
    pub(super) first: usize,
    pub(super) rows: usize,
    /// These rows of every output channel.
    pub(super) planes: Vec<&'a mut [Slot]>,
}

/// What a task writes and reads again; kept for the next one.
#[derive(Default)]
pub(super) struct Buffers {
    /// Rows of pixels with their padding.
    lines: Vec<f32>,
    /// `[POINTS, panels, C_in, COLUMNS]`
    inputs: Vec<f32>,
    /// `[POINTS, panels, outputs, COLUMNS]`
    products: Vec<f32>,
}

/// A task: the output at some rows of tiles.
///
/// Tiles count through the bands; every 16 of them are a panel, whose numbers are computed side by
/// side.
pub(super) struct Job<'a, 'b> {
    pub(super) conv: &'b Conv,
    pub(super) tiles: Tiles,
    pub(super) x: &'b [f32],
    /// `[C_out / ROWS, POINTS, C_in, ROWS]`
    pub(super) weight: &'b [f32],
    pub(super) bias: Option<&'b [f32]>,
    /// Output channels at once.
    pub(super) outputs: usize,
    pub(super) bands: Vec<Band<'a>>,
    pub(super) buffers: &'b mut Buffers,
}

impl WithSimd for Job<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES == COLUMNS {
            self.run::<S, COLUMNS>(simd);
        } else {
            self.run::<S, { COLUMNS / 2 }>(simd);
        }
    }
}

impl Job<'_, '_> {
    /// `L` numbers are computed side by side in the transforms.
    #[inline(always)]
    fn run<S: Simd, const L: usize>(mut self, simd: S) {
        let rows: usize = self.bands.iter().map(|band| band.rows).sum();
        let panels = (rows * self.tiles.columns).div_ceil(COLUMNS);
        let channels = self.conv.inputs;
        let grow = |buffer: &mut Vec<f32>, length: usize| {
            buffer.resize(buffer.len().max(length), 0.0);
        };
        grow(
            &mut self.buffers.inputs,
            POINTS * panels * channels * COLUMNS,
        );
        grow(
            &mut self.buffers.products,
            POINTS * panels * self.outputs * COLUMNS,
        );
        for channel in 0..channels {
            self.transform_inputs::<L>(channel, panels);
        }
        for first in (0..self.conv.outputs).step_by(self.outputs) {
            let count = self.outputs.min(self.conv.outputs - first);
            let size = panels * count * COLUMNS;
            let products = self.buffers.products.chunks_exact_mut(size);
            let inputs = self
                .buffers
                .inputs
                .chunks_exact(panels * channels * COLUMNS);
            for (point, (out, right)) in products.zip(inputs).take(POINTS).enumerate() {
                let panel = first / ROWS * POINTS + point;
                PanelProduct::<ROWS> {
                    left: &self.weight[panel * channels * ROWS..],
                    left_distance: POINTS * channels * ROWS,
                    right,
                    right_distance: channels * COLUMNS,
                    inner: channels,
                    rows: count,
                    out,
                    adds: false,
                }
                .with_simd(simd);
            }
            for output in 0..count {
                self.write_outputs::<L>([first, output, count], panels);
            }
        }
    }

    /// Transforms the tiles of one input channel.
    #[inline(always)]
    fn transform_inputs<const L: usize>(&mut self, channel: usize, panels: usize) {
        let (conv, tiles) = (self.conv, self.tiles);
        let Buffers { lines, inputs, .. } = &mut *self.buffers;
        // A tile reaches two pixels into the next one.
        let pitch = (tiles.columns + 1) * GROUP;
        let mut pixels = [[[0.0_f32; COLUMNS]; INPUTS[1]]; INPUTS[0]];
        let mut tile = 0;
        for band in &self.bands {
            let count = band.rows * OUTPUTS[0] + INPUTS[0] - OUTPUTS[0];
            lines.resize(lines.len().max(count * pitch), 0.0);
            let plane = (band.image * conv.inputs + channel) * conv.input_plane();
            let plane = &self.x[plane..][..conv.input_plane()];
            read_lines(
                conv,
                plane,
                band.first * OUTPUTS[0],
                pitch,
                &mut lines[..count * pitch],
            );
            for row in 0..band.rows {
                let lines = &lines[row * OUTPUTS[0] * pitch..][..INPUTS[0] * pitch];
                let mut column = 0;
                while column < tiles.columns {
                    let lane = tile % COLUMNS;
                    let some = (COLUMNS - lane).min(tiles.columns - column);
                    for (line, pixels) in lines.chunks_exact(pitch).zip(&mut pixels) {
                        let line = &line[column * GROUP..];
                        match some {
                            16 => spread::<16>(line, pixels, lane),
                            8 => spread::<8>(line, pixels, lane),
                            4 => spread::<4>(line, pixels, lane),
                            _ => {
                                for index in 0..some {
                                    spread::<1>(&line[index * GROUP..], pixels, lane + index);
                                }
                            }
                        }
                    }
                    column += some;
                    tile += some;
                    if tile % COLUMNS == 0 {
                        let place = (tile / COLUMNS - 1) * conv.inputs + channel;
                        store::<L>(
                            &pixels,
                            &mut inputs[place * COLUMNS..],
                            panels * conv.inputs,
                        );
                    }
                }
            }
        }
        if tile % COLUMNS != 0 {
            let place = tile / COLUMNS * conv.inputs + channel;
            store::<L>(
                &pixels,
                &mut inputs[place * COLUMNS..],
                panels * conv.inputs,
            );
        }
    }

    /// Transforms one output channel back: the `output`-th of `count` from `first` on.
    #[inline(always)]
    fn write_outputs<const L: usize>(&mut self, [first, output, count]: [usize; 3], panels: usize) {
        let (columns, width) = (self.tiles.columns, self.conv.columns.output);
        let bias = self.bias.map_or(0.0, |bias| bias[first + output]);
        let mut pixels = [[0.0_f32; COLUMNS * GROUP]; OUTPUTS[0]];
        let mut tile = 0;
        for band in &mut self.bands {
            let plane = &mut *band.planes[first + output];
            for row in 0..band.rows {
                let lines = plane.chunks_exact_mut(width).skip(row * OUTPUTS[0]);
                let mut lines: [Option<&mut [Slot]>; OUTPUTS[0]] = take(lines);
                let mut column = 0;
                while column < columns {
                    let lane = tile % COLUMNS;
                    if lane == 0 {
                        let from =
                            &self.buffers.products[(tile / COLUMNS * count + output) * COLUMNS..];
                        load::<L>(from, panels * count * COLUMNS, bias, &mut pixels);
                    }
                    let some = (COLUMNS - lane).min(columns - column);
                    let start = column * GROUP;
                    let end = width.min(start + some * GROUP);
                    for (line, pixels) in lines.iter_mut().flatten().zip(&pixels) {
                        let to = &mut line[start..end];
                        match to.first_chunk_mut::<{ COLUMNS * GROUP }>() {
                            Some(to) => blank::copy(to, pixels),
                            None => blank::copy(to, &pixels[lane * GROUP..][..end - start]),
                        }
                    }
                    column += some;
                    tile += some;
                }
            }
        }
    }
}

/// Up to two rows of a plane.
#[inline(always)]
fn take<'a>(
    mut lines: impl Iterator<Item = &'a mut [Slot]>,
) -> [Option<&'a mut [Slot]>; OUTPUTS[0]] {
    [lines.next(), lines.next()]
}

/// Copies padded rows of a plane from the `first` on, each to `pitch` elements.
#[inline(always)]
fn read_lines(conv: &Conv, plane: &[f32], first: usize, pitch: usize, lines: &mut [f32]) {
    let width = conv.columns.input;
    let padding = conv.columns.padding;
    for (index, line) in lines.chunks_exact_mut(pitch).enumerate() {
        let row = (first + index).checked_sub(conv.rows.padding);
        let Some(row) = row.filter(|&row| row < conv.rows.input) else {
            line.fill(0.0);
            continue;
        };
        let (before, line) = line.split_at_mut(padding.min(pitch));
        before.fill(0.0);
        let count = width.min(line.len());
        let (inside, behind) = line.split_at_mut(count);
        inside.copy_from_slice(&plane[row * width..][..count]);
        behind.fill(0.0);
    }
}

/// Puts the pixels of `N` neighbouring tiles of a row side by side.
#[inline(always)]
fn spread<const N: usize>(line: &[f32], to: &mut [[f32; COLUMNS]; INPUTS[1]], lane: usize) {
    let [a, b, c, d, e, f] = to;
    let (a, b) = (&mut a[lane..][..N], &mut b[lane..][..N]);
    let (c, d) = (&mut c[lane..][..N], &mut d[lane..][..N]);
    let (e, f) = (&mut e[lane..][..N], &mut f[lane..][..N]);
    let (groups, _) = line[..(N + 1) * GROUP].as_chunks::<GROUP>();
    for index in 0..N {
        let group = &groups[index];
        (a[index], b[index]) = (group[0], group[1]);
        (c[index], d[index]) = (group[2], group[3]);
    }
    for index in 0..N {
        let group = &groups[index + 1];
        (e[index], f[index]) = (group[0], group[1]);
    }
}

/// Transforms the pixels of a panel and writes what lies at each point `distance` panel rows apart.
#[inline(always)]
fn store<const L: usize>(
    pixels: &[[[f32; COLUMNS]; INPUTS[1]]; INPUTS[0]],
    to: &mut [f32],
    distance: usize,
) {
    for half in (0..COLUMNS).step_by(L) {
        let mut tile: Grid<{ INPUTS[0] }, { INPUTS[1] }, L> = [[Lanes::ZERO; INPUTS[1]]; INPUTS[0]];
        for (tile, pixels) in tile.iter_mut().zip(pixels) {
            for (lanes, pixels) in tile.iter_mut().zip(pixels) {
                *lanes = Lanes::load(&pixels[half..]);
            }
        }
        let points: Points<L> = both::<OfInputs, _, _, _, _, _>(tile);
        for (row, points) in points.into_iter().enumerate() {
            for (column, lanes) in points.into_iter().enumerate() {
                let start = (row * INPUTS[1] + column) * distance * COLUMNS + half;
                lanes.store(&mut to[start..]);
            }
        }
    }
}

/// Reads what lies at each point of a panel, `distance` elements apart, and transforms it back.
#[inline(always)]
fn load<const L: usize>(
    from: &[f32],
    distance: usize,
    bias: f32,
    to: &mut [[f32; COLUMNS * GROUP]; OUTPUTS[0]],
) {
    for half in (0..COLUMNS).step_by(L) {
        let mut points: Points<L> = [[Lanes::ZERO; INPUTS[1]]; INPUTS[0]];
        for (row, lanes) in points.iter_mut().enumerate() {
            for (column, lanes) in lanes.iter_mut().enumerate() {
                let start = (row * INPUTS[1] + column) * distance + half;
                *lanes = Lanes::load(&from[start..]);
            }
        }
        let outputs: Grid<{ OUTPUTS[0] }, GROUP, L> = both::<ToOutputs, _, _, _, _, _>(points);
        for (line, outputs) in to.iter_mut().zip(outputs) {
            let (groups, _) = line[half * GROUP..].as_chunks_mut::<GROUP>();
            let [a, b, c, d] = outputs;
            for (index, group) in groups.iter_mut().take(L).enumerate() {
                *group = [
                    a.0[index] + bias,
                    b.0[index] + bias,
                    c.0[index] + bias,
                    d.0[index] + bias,
                ];
            }
        }
    }
}
