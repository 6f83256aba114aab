use std::ops::Range;

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::geometry::Conv;
use super::product::{Matrix, add_product};
use super::{tensor, zeros};

/// Rows of the matrix of unfolded windows, `channels * K_h * K_w`, that are unfolded at once.
const BLOCK: usize = 288;

/// Tiles wanted per convolution, as work for the threads.
const TILES: usize = 4;

/// Positions that a tile should have at least: the weight is packed anew for every tile.
const SHORTEST_TILE: usize = 96;

/// The convolution as `weight · windows + bias`, windows unfolded from the input.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - `weight`: `[C_out, C_in / groups, K_h, K_w]`
/// - `bias`: `[C_out]`
/// - result: `[N, C_out, H_out, W_out]`
pub(in super::super) fn unfolded(
    conv: &Conv,
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
) -> FlexTensor {
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let (x, weight) = (x.storage::<f32>(), weight.storage::<f32>());
    let bias = bias.map(|bias| bias.to_contiguous());
    let bias = bias.as_ref().map(|bias| bias.storage::<f32>());
    let (height, width) = (conv.rows.output, conv.columns.output);

    // Tiles run through the batch, so that small images fill them as well as large ones.
    let rows = conv.batch * height;
    let shortest = SHORTEST_TILE.div_ceil(width.max(1));
    let per_tile = rows.div_ceil(TILES).max(shortest).min(conv.tile_rows());
    let tiles = rows.div_ceil(per_tile);
    let tile_rows = |tile: usize| tile * per_tile..((tile + 1) * per_tile).min(rows);
    let parts: Vec<Vec<f32>> = (0..conv.groups * tiles)
        .into_par_iter()
        .map(|job| part(conv, x, weight, job / tiles, tile_rows(job % tiles)))
        .collect();

    let channels = conv.groups * conv.outputs;
    let mut out = zeros(conv.batch * channels * conv.output_plane());
    let fill = |(index, plane): (usize, &mut [f32])| {
        let (image, channel) = (index / channels, index % channels);
        let (group, output) = (channel / conv.outputs, channel % conv.outputs);
        let bias = bias.map_or(0.0, |bias| bias[channel]);
        for (row, line) in plane.chunks_exact_mut(width).enumerate() {
            let row = image * height + row;
            let tile = row / per_tile;
            let inside = tile_rows(tile);
            let line_of_tile = output * inside.len() + row - inside.start;
            let from = &parts[group * tiles + tile][line_of_tile * width..][..width];
            line.iter_mut()
                .zip(from)
                .for_each(|(to, from)| *to = from + bias);
        }
    };
    out.par_chunks_exact_mut(conv.output_plane())
        .enumerate()
        .for_each(fill);
    tensor(out, [conv.batch, channels, height, width])
}

/// Output of one group at some output rows, counted through the batch: `[outputs, positions]`.
fn part(conv: &Conv, x: &[f32], weight: &[f32], group: usize, rows: Range<usize>) -> Vec<f32> {
    let positions = rows.len() * conv.columns.output;
    let block = (BLOCK / conv.taps()).clamp(1, conv.inputs);
    let mut out = vec![0.0; conv.outputs * positions];
    let mut buffer = vec![0.0; block * conv.taps() * positions];
    for first in (0..conv.inputs).step_by(block) {
        let count = block.min(conv.inputs - first);
        let inner = count * conv.taps();
        let tile = &mut buffer[..inner * positions];
        let channel = group * conv.inputs + first;
        conv.unfold(x, channel..channel + count, rows.clone(), positions, tile);
        let left = Matrix {
            values: &weight[(group * conv.outputs * conv.inputs + first) * conv.taps()..],
            row_stride: conv.inputs * conv.taps(),
            column_stride: 1,
        };
        let windows = Matrix {
            values: tile,
            row_stride: positions,
            column_stride: 1,
        };
        add_product(&mut out, [conv.outputs, inner, positions], left, windows);
    }
    out
}
