//! The gradient of a selection of rows.

use burn_backend::Shape;
use burn_backend::ops::FloatTensorOps;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, calculate_cube_count_elemwise};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{BoolElement, CubeRuntime, ops};

use super::{Inner, T, view};

/// Indices that one thread adds up, at least.
const PART: usize = 64;

/// Parts at most.
const PARTS: usize = 256;

/// Elements of all partial sums at most: 64 MiB.
const ELEMENTS: usize = 1 << 24;

/// Adds rows `value: [M, C]` to the rows `indices: [M]` of a table `[T, C]`; hands the operands back
/// if they have other shapes.
///
/// In burn's kernel each of `C` threads goes through all `M` indices. Here the indices are cut into parts,
/// a thread adds a column of a part up in a table of its own, and the tables are summed: `M · C` additions
/// on up to 256 · `C` threads and a sum over the tables, in an order that is always the same. An index
/// must be less than `T`, as everywhere.
#[allow(
    clippy::result_large_err,
    clippy::type_complexity,
    reason = "an error is no failure: it hands the operands back"
)]
pub(super) fn add<R: CubeRuntime, BT: BoolElement>(
    table: T<R>,
    dim: usize,
    indices: T<R>,
    value: T<R>,
) -> Result<T<R>, (T<R>, T<R>, T<R>)> {
    let shape = table.meta.shape().clone();
    if dim != 0 || shape.len() != 2 {
        return Err((table, indices, value));
    }
    let (rows, columns) = (shape[0], shape[1]);
    let count = indices.meta.num_elements();
    let room = ELEMENTS / (rows * columns).max(1);
    // Summing the tables must not cost more than filling them.
    let parts = (count / rows.max(PART)).min(PARTS).min(room);
    if parts < 2 {
        return Err((table, indices, value));
    }
    let [indices, value] = [indices, value].map(into_contiguous);
    // CUDA may leave room behind rows; the kernel writes to what it is given, so that a copy made for it
    // would be lost.
    let sums = into_contiguous(ops::numeric::zeros(
        table.device.clone(),
        Shape::new([parts, rows, columns]),
        table.dtype,
    ));
    let threads = parts * columns;
    let dim = CubeDim::new(&table.client, threads);
    add_kernel::launch::<R>(
        &table.client.clone(),
        calculate_cube_count_elemwise(&table.client, threads, dim),
        dim,
        indices.clone().into_tensor_arg(),
        value.into_tensor_arg(),
        sums.clone().into_tensor_arg(),
        count.div_ceil(parts) as u32,
        parts as u32,
        [indices.dtype.into(), table.dtype.into()],
    );
    let sums = <Inner<R, BT> as FloatTensorOps<Inner<R, BT>>>::float_sum_dim(sums, 0);
    let sums = view::reshape(sums, shape);
    Ok(<Inner<R, BT> as FloatTensorOps<Inner<R, BT>>>::float_add(
        table, sums,
    ))
}

#[cube(launch)]
fn add_kernel<I: Int, F: Float>(
    indices: &Tensor<I>,
    value: &Tensor<F>,
    sums: &mut Tensor<F>,
    length: u32,
    parts: u32,
    #[define(I, F)] _dtypes: [StorageType; 2],
) {
    let rows = sums.shape(1);
    let columns = sums.shape(2);
    if ABSOLUTE_POS >= parts as usize * columns {
        terminate!();
    }
    let part = ABSOLUTE_POS / columns;
    let column = ABSOLUTE_POS % columns;
    let start = part * length as usize;
    let end = min(start + length as usize, indices.len());
    for place in start..end {
        let row = usize::cast_from(indices[place]);
        sums[(part * rows + row) * columns + column] += value[place * columns + column];
    }
}
