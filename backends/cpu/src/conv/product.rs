use gemm::{Parallelism, gemm};

use super::super::blank::{Slot, slots};

/// A read-only matrix inside a slice.
#[derive(Clone, Copy)]
pub(in super::super) struct Matrix<'a> {
    /// The slice, starting at the first element of the matrix.
    pub(in super::super) values: &'a [f32],
    /// Elements from one row to the next.
    pub(in super::super) row_stride: usize,
    /// Elements from one column to the next.
    pub(in super::super) column_stride: usize,
}

impl Matrix<'_> {
    fn check(&self, rows: usize, columns: usize) {
        let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
        assert!(
            last < self.values.len(),
            "matrix product reads outside its operand"
        );
    }
}

/// `out += left * right` on one thread.
///
/// # Shapes
/// - `out`: `[rows, columns]`, contiguous
/// - `left`: `[rows, inner]`
/// - `right`: `[inner, columns]`
pub(super) fn add_product(
    out: &mut [f32],
    [rows, inner, columns]: [usize; 3],
    left: Matrix,
    right: Matrix,
) {
    // SAFETY: a product writes numbers.
    let slots = unsafe { slots(out) };
    product(slots, [rows, inner, columns], left, right, true, 1.0);
}

/// `out = left * right` on one thread, shapes as in [`add_product`].
pub(in super::super) fn set_product(
    out: &mut [Slot],
    sizes: [usize; 3],
    left: Matrix,
    right: Matrix,
) {
    product(out, sizes, left, right, false, 1.0);
}

/// `out = factor * left * right` on one thread, shapes as in [`add_product`]; the factor costs nothing.
pub(in super::super) fn set_scaled_product(
    out: &mut [Slot],
    sizes: [usize; 3],
    left: Matrix,
    right: Matrix,
    factor: f32,
) {
    product(out, sizes, left, right, false, factor);
}

/// Adds to what is in `out`, or fills it without reading it.
fn product(
    out: &mut [Slot],
    [rows, inner, columns]: [usize; 3],
    left: Matrix,
    right: Matrix,
    add: bool,
    factor: f32,
) {
    assert!(rows > 0 && inner > 0 && columns > 0, "empty matrix product");
    assert_eq!(out.len(), rows * columns, "size of the matrix product");
    left.check(rows, inner);
    right.check(inner, columns);
    // SAFETY: the checks above keep every element of the operands inside its slice, `out` is
    // borrowed mutably and thus apart from the operands, and strides of slices fit `isize`.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr().cast::<f32>(),
            1,
            columns as isize,
            add,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Partial sums per dot product or sum, so that the compiler can use vector registers.
const LANES: usize = 16;

/// Sum of the elements.
pub(in super::super) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Sum of the products of two slices of one length.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (left_chunks, right_chunks) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest = left_chunks.remainder().iter().zip(right_chunks.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in left_chunks.zip(right_chunks) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}
