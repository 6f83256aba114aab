use std::ops::Range;
use std::slice;

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::channels::{CHANNELS, Map, transpose};
use super::lanes::Lanes;
use super::points::{Grid, INPUTS, Points, TAPS, ToWeights, both};
use super::sums::{Buffers, Job};
use super::tiles::{POINTS, Tiles};
use crate::conv::geometry::Conv;
use crate::conv::zeros;

/// Most output channels of a task, and most input channels: the sums of its pairs should stay in the
/// second-level cache of a core.
const MOST: usize = 128;

/// Tasks wanted. The sum over tiles is cut into as many parts as that takes, a number that depends
/// on the sizes alone.
const TASKS: usize = 8;

/// Fewest tiles of a part, so that its sums are few beside its products.
const FEWEST: usize = 128;

/// Output channels that are transformed back at once.
const STEP: usize = 8;

/// Weights of a pair of channels.
const KERNEL: usize = TAPS * TAPS;

/// Gradient of the weight, summed over batch and positions. Each task transforms some rows of tiles
/// of some input and output channels at a time, and adds up their products.
///
/// Takes 3 multiplications per pair of channels and position, where the definition takes 9, and room
/// for the sums of the tasks that run; where blocks of channels are too few for tasks, for those of
/// all tasks, 24 MB at most.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - `output_grad`: `[N, C_out, H_out, W_out]`
/// - result: `[C_out, C_in, 3, 3]`, without its shape
pub(in super::super) fn gradient(conv: &Conv, x: &[f32], output_grad: &[f32]) -> Vec<f32> {
    let operands = Operands {
        tiles: Tiles::of(conv),
        inputs: Map {
            values: x,
            channels: conv.inputs,
            height: conv.rows.input,
            width: conv.columns.input,
            padding: [conv.rows.padding, conv.columns.padding],
        },
        gradients: Map {
            values: output_grad,
            channels: conv.outputs,
            height: conv.rows.output,
            width: conv.columns.output,
            padding: [0; 2],
        },
    };
    let mut gradient = zeros(conv.outputs * conv.inputs * KERNEL);
    let blocks = blocks(conv, &mut gradient);
    match &parts(operands.tiles, blocks.len())[..] {
        [rows] => at_once(&operands, blocks, rows),
        parts => in_parts(&operands, blocks, parts),
    }
    gradient
}

/// Input and gradient of the output, and how they are cut into tiles.
struct Operands<'a> {
    tiles: Tiles,
    inputs: Map<'a>,
    gradients: Map<'a>,
}

impl Operands<'_> {
    /// The sums of a block over some rows of tiles.
    fn sum(&self, block: &Block, rows: &Range<usize>, buffers: &mut Buffers, sums: &mut Vec<f32>) {
        sums.resize(block.sums(), 0.0);
        Arch::new().dispatch(Job {
            tiles: self.tiles,
            inputs: self.inputs,
            gradients: self.gradients,
            input_channels: block.inputs.clone(),
            output_channels: block.outputs.clone(),
            rows: rows.clone(),
            buffers,
            sums,
        });
    }
}

/// Each block is a task, whose sums are still in the cache when they are transformed back.
fn at_once(operands: &Operands, blocks: Vec<Block>, rows: &Range<usize>) {
    let start = <(Buffers, Vec<f32>)>::default;
    let blocks = blocks.into_par_iter();
    blocks.for_each_init(start, |(buffers, sums), mut block| {
        operands.sum(&block, rows, buffers, sums);
        Arch::new().dispatch(Back {
            parts: slice::from_ref(sums),
            inputs: block.inputs.len(),
            outputs: block.outputs.len(),
            first: 0,
            to: &mut block.to,
        });
    });
}

/// Each part of a block is a task.
fn in_parts(operands: &Operands, blocks: Vec<Block>, parts: &[Range<usize>]) {
    let tasks: Vec<_> = blocks
        .iter()
        .flat_map(|block| parts.iter().map(move |rows| (block, rows)))
        .collect();
    let sums: Vec<_> = tasks
        .into_par_iter()
        .map_init(Buffers::default, |buffers, (block, rows)| {
            let mut sums = Vec::new();
            operands.sum(block, rows, buffers, &mut sums);
            sums
        })
        .collect();
    for (mut block, parts) in blocks.into_iter().zip(sums.chunks_exact(parts.len())) {
        let steps = block.to.par_chunks_mut(STEP).enumerate();
        steps.for_each(|(step, to)| {
            Arch::new().dispatch(Back {
                parts,
                inputs: block.inputs.len(),
                outputs: block.outputs.len(),
                first: step * STEP,
                to,
            });
        });
    }
}

/// Some output and some input channels.
struct Block<'a> {
    outputs: Range<usize>,
    inputs: Range<usize>,
    /// Gradients of their kernels, `[C_in, 3, 3]` for each output channel.
    to: Vec<&'a mut [f32]>,
}

impl Block<'_> {
    /// How many sums there are, `[POINTS, C_in / CHANNELS, C_out, CHANNELS]`.
    fn sums(&self) -> usize {
        POINTS * self.inputs.len().next_multiple_of(CHANNELS) * self.outputs.len()
    }
}

/// Cuts the gradient into blocks.
fn blocks<'a>(conv: &Conv, gradient: &'a mut [f32]) -> Vec<Block<'a>> {
    let size = |channels: usize| {
        let size = channels.div_ceil(channels.div_ceil(MOST));
        size.next_multiple_of(CHANNELS)
    };
    let cut = |channels: usize| {
        let starts = (0..channels).step_by(size(channels));
        starts.map(move |start| start..(start + size(channels)).min(channels))
    };
    let mut blocks = Vec::new();
    let rows = gradient.chunks_mut(size(conv.outputs) * conv.inputs * KERNEL);
    for (outputs, rows) in cut(conv.outputs).zip(rows) {
        let mut row: Vec<_> = cut(conv.inputs)
            .map(|inputs| Block {
                outputs: outputs.clone(),
                to: Vec::with_capacity(outputs.len()),
                inputs,
            })
            .collect();
        for to in rows.chunks_exact_mut(conv.inputs * KERNEL) {
            let parts = to.chunks_mut(size(conv.inputs) * KERNEL);
            for (block, to) in row.iter_mut().zip(parts) {
                block.to.push(to);
            }
        }
        blocks.append(&mut row);
    }
    blocks
}

/// Cuts the rows of tiles into parts, for so many blocks.
fn parts(tiles: Tiles, blocks: usize) -> Vec<Range<usize>> {
    let most = (tiles.count() / FEWEST).clamp(1, tiles.all_rows);
    let size = tiles.all_rows.div_ceil(TASKS.div_ceil(blocks).min(most));
    let starts = (0..tiles.all_rows).step_by(size);
    starts
        .map(|start| start..(start + size).min(tiles.all_rows))
        .collect()
}

/// Gradients of the kernels of some output channels of a block, `[C_in, 3, 3]` each, from their
/// values at the points.
struct Back<'a, 'b> {
    /// What is added up, `[POINTS, C_in / CHANNELS, C_out, CHANNELS]` each.
    parts: &'b [Vec<f32>],
    /// Channels of the block.
    inputs: usize,
    outputs: usize,
    /// The first output channel.
    first: usize,
    to: &'b mut [&'a mut [f32]],
}

impl NullaryFnOnce for Back<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let panels = self.inputs.div_ceil(CHANNELS);
        for panel in 0..panels {
            for (index, to) in self.to.iter_mut().enumerate() {
                let mut points: Points<CHANNELS> = [[Lanes::ZERO; INPUTS[1]]; INPUTS[0]];
                let place = panel * self.outputs + self.first + index;
                for part in self.parts {
                    for (row, points) in points.iter_mut().enumerate() {
                        for (column, lanes) in points.iter_mut().enumerate() {
                            let point = (row * INPUTS[1] + column) * panels * self.outputs;
                            *lanes = *lanes + Lanes::load(&part[(point + place) * CHANNELS..]);
                        }
                    }
                }
                let taps: Grid<TAPS, TAPS, CHANNELS> = both::<ToWeights, _, _, _, _, _>(points);
                let mut rows = [&[0.0; CHANNELS]; CHANNELS];
                for (row, lanes) in rows.iter_mut().zip(taps.as_flattened()) {
                    *row = &lanes.0;
                }
                let mut columns = [[0.0; CHANNELS]; CHANNELS];
                transpose(rows, columns.as_flattened_mut().as_chunks_mut().0);
                let (kernels, _) = to[panel * CHANNELS * KERNEL..].as_chunks_mut::<KERNEL>();
                for (kernel, taps) in kernels.iter_mut().zip(&columns) {
                    kernel.copy_from_slice(&taps[..KERNEL]);
                }
            }
        }
    }
}
