use burn_flex::FlexTensor;
use pulp::Arch;
use rayon::prelude::*;

use super::super::super::blank::{Blank, Slot};
use super::super::geometry::Conv;
use super::super::panels::ROWS;
use super::super::tensor;
use super::band::{Band, Buffers, Job};
use super::kernels::{Kernels, transformed_weight};
use super::points::OUTPUTS;
use super::tiles::{POINTS, Tiles};

/// Elements that a task works on: they should stay in the second-level cache of a core.
const WORKING_SET: usize = 3 << 16;

/// Fewest tiles of a task: the transformed weight is read once for each.
const FEWEST: usize = 32;

/// Tasks wanted.
const TASKS: usize = 4;

/// Most output channels that a task multiplies at once.
const MOST_OUTPUTS: usize = 96;

/// The convolution. Each task transforms some rows of tiles of all input channels, and then
/// multiplies and transforms back some output channels at a time.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - `kernels`: from `C_in` to `C_out` channels
/// - `bias`: `[C_out]`
/// - result: `[N, C_out, H_out, W_out]`
pub(in super::super::super) fn filtered(
    conv: &Conv,
    x: FlexTensor,
    kernels: Kernels,
    bias: Option<&[f32]>,
) -> FlexTensor {
    let x = x.to_contiguous();
    let x = x.storage::<f32>();
    let weight = transformed_weight(kernels, conv.outputs, conv.inputs);
    let tiles = Tiles::of(conv);
    let outputs = outputs_at_once(conv);
    let mut out = Blank::new(conv.batch * conv.outputs * conv.output_plane());
    let tasks = tasks(conv, tiles, outputs, out.slots());
    tasks
        .into_par_iter()
        .for_each_init(Buffers::default, |buffers, bands| {
            Arch::new().dispatch(Job {
                conv,
                tiles,
                x,
                weight: &weight,
                bias,
                outputs,
                bands,
                buffers,
            });
        });
    let shape = [
        conv.batch,
        conv.outputs,
        conv.rows.output,
        conv.columns.output,
    ];
    // SAFETY: the bands are all rows of all planes, and tiles cover every column of a band.
    tensor(unsafe { out.filled() }, shape)
}

/// Output channels in equal parts, whole panels of them.
fn outputs_at_once(conv: &Conv) -> usize {
    let panels = conv.outputs.div_ceil(ROWS);
    let parts = conv.outputs.div_ceil(MOST_OUTPUTS);
    (panels.div_ceil(parts) * ROWS).min(conv.outputs)
}

/// Cuts the output into tasks of some rows of tiles each: some of an image, or all of some images.
fn tasks<'a>(conv: &Conv, tiles: Tiles, outputs: usize, out: &'a mut [Slot]) -> Vec<Vec<Band<'a>>> {
    let most = WORKING_SET / (POINTS * (conv.inputs + outputs));
    let wanted = most.min(tiles.count() / TASKS).max(FEWEST);
    let rows = (wanted / tiles.columns).max(1);
    let (rows, images) = if rows < tiles.rows {
        // Tasks of an image should be equal.
        let parts = tiles.rows.div_ceil(rows);
        (tiles.rows.div_ceil(parts), 1)
    } else {
        (tiles.rows, rows / tiles.rows)
    };
    let per_image = tiles.rows.div_ceil(rows);
    let mut tasks: Vec<Vec<Band>> = Vec::new();
    let planes = out.chunks_exact_mut(conv.outputs * conv.output_plane());
    for (image, planes) in planes.enumerate() {
        let mut bands: Vec<_> = (0..per_image)
            .map(|part| Band {
                image,
                first: part * rows,
                rows: rows.min(tiles.rows - part * rows),
                planes: Vec::with_capacity(conv.outputs),
            })
            .collect();
        for plane in planes.chunks_exact_mut(conv.output_plane()) {
            let parts = plane.chunks_mut(rows * OUTPUTS[0] * conv.columns.output);
            for (band, part) in bands.iter_mut().zip(parts) {
                band.planes.push(part);
            }
        }
        match tasks.last_mut() {
            Some(task) if image % images != 0 => task.append(&mut bands),
            _ => tasks.extend(bands.into_iter().map(|band| vec![band])),
        }
    }
    tasks
}
