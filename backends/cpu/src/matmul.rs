//! Matrix products in `f32`.

use burn_backend::{DType, Shape};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::blank::{Blank, Slot};
use super::conv::{Matrix, set_product, shaped};

/// Rows of a product that one task computes, where there are not enough products for the threads.
/// A number of its own, so that results do not depend on the number of threads.
const ROWS: usize = 256;

/// Fewest multiply-adds that are worth a second thread.
const FEWEST: usize = 1 << 17;

/// Products of the matrices in the last two axes; the axes before are equal or one, which repeats.
///
/// Operands are read where they lie, in any order of their axes. Declines types other than `f32`,
/// axes that run backwards, and empty products.
///
/// # Shapes
/// - `left`: `[.., rows, inner]`
/// - `right`: `[.., inner, columns]`
/// - result: `[.., rows, columns]`
pub(super) fn product(left: &FlexTensor, right: &FlexTensor) -> Option<FlexTensor> {
    let (left, right) = (Operand::of(left)?, Operand::of(right)?);
    let axes = left.batch.len();
    if axes != right.batch.len() || left.columns != right.rows {
        return None;
    }
    let mut batch = Vec::with_capacity(axes);
    for (&(a, _), &(b, _)) in left.batch.iter().zip(&right.batch) {
        if a != b && a != 1 && b != 1 {
            return None;
        }
        batch.push(if a == 1 { b } else { a });
    }
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    let count: usize = batch.iter().product();
    if count * rows * inner * columns == 0 {
        return None;
    }
    let mut out = Blank::new(count * rows * columns);
    let per_task = if count > 1 { rows } else { ROWS.min(rows) };
    let tasks = rows.div_ceil(per_task);
    let compute = |(task, out): (usize, &mut [Slot])| {
        let (index, first) = (task / tasks, task % tasks * per_task);
        let (left_start, right_start) = (left.start(&batch, index), right.start(&batch, index));
        let sizes = [out.len() / columns, inner, columns];
        set_product(
            out,
            sizes,
            left.matrix(left_start + first * left.row_stride),
            right.matrix(right_start),
        );
    };
    let parts = out.slots().chunks_mut(rows * columns);
    let mut parts: Vec<_> = parts
        .flat_map(|matrix| matrix.chunks_mut(per_task * columns))
        .collect();
    if count * rows * inner * columns < FEWEST {
        parts
            .into_iter()
            .enumerate()
            .for_each(|(task, out)| compute((task, out)));
    } else {
        parts
            .par_iter_mut()
            .enumerate()
            .for_each(|(task, out)| compute((task, &mut **out)));
    }
    batch.extend([rows, columns]);
    // SAFETY: the parts are all of it, and a product fills its part.
    let out = unsafe { out.filled() };
    Some(shaped(out, Shape::from(batch)))
}

/// A tensor as matrices.
pub(super) struct Operand<'a> {
    values: &'a [f32],
    /// Length and stride of the axes before the last two.
    batch: Vec<(usize, usize)>,
    rows: usize,
    columns: usize,
    pub(super) row_stride: usize,
    column_stride: usize,
}

impl<'a> Operand<'a> {
    pub(super) fn of(tensor: &'a FlexTensor) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let layout = tensor.layout();
        let lengths = layout.shape().iter().copied();
        let strides = layout.strides().iter();
        let mut axes = lengths
            .zip(strides)
            .map(|(length, &stride)| Some((length, usize::try_from(stride).ok()?)))
            .collect::<Option<Vec<_>>>()?;
        let (columns, column_stride) = axes.pop()?;
        let (rows, row_stride) = axes.pop()?;
        Some(Self {
            values: tensor.storage::<f32>().get(layout.start_offset()..)?,
            batch: axes,
            rows,
            columns,
            row_stride,
            column_stride,
        })
    }

    /// Where the matrix `index` of a batch begins.
    pub(super) fn start(&self, batch: &[usize], mut index: usize) -> usize {
        let mut start = 0;
        for (&length, &(own, stride)) in batch.iter().zip(&self.batch).rev() {
            if own > 1 {
                start += index % length * stride;
            }
            index /= length;
        }
        start
    }

    pub(super) fn matrix(&self, start: usize) -> Matrix<'a> {
        Matrix {
            values: &self.values[start..],
            row_stride: self.row_stride,
            column_stride: self.column_stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_backend::TensorMetadata;
    use burn_backend::ops::FloatTensorOps;
    use burn_flex::Flex;

    use super::super::Cpu;
    use super::*;

    fn numbers(shape: &[usize]) -> FlexTensor {
        let count: usize = shape.iter().product();
        let number = |index: usize| (index as f32 * 0.7371).sin();
        shaped(
            (0..count).map(number).collect(),
            Shape::from(shape.to_vec()),
        )
    }

    fn assert_like_flex(left: &FlexTensor, right: &FlexTensor) {
        let found = product(left, right).unwrap();
        let expected = Flex::float_matmul(left.clone(), right.clone()).to_contiguous();
        let what = format!("{:?} x {:?}", left.shape(), right.shape());
        assert_eq!(found.shape(), expected.shape(), "{what}");
        let pairs = found.storage::<f32>().iter().zip(expected.storage::<f32>());
        for (found, expected) in pairs {
            assert!(
                (found - expected).abs() <= 1e-4,
                "{what}: {found}, {expected}"
            );
        }
    }

    #[test]
    fn products_are_those_of_flex() {
        for (left, right) in [
            (vec![3, 4], vec![4, 5]),
            (vec![1, 700], vec![700, 1]),
            (vec![600, 64], vec![64, 90]),
            (vec![2, 3, 4], vec![2, 4, 5]),
            (vec![1, 3, 4], vec![6, 4, 5]),
            (vec![2, 1, 300, 4], vec![1, 3, 4, 70]),
        ] {
            assert_like_flex(&numbers(&left), &numbers(&right));
        }
    }

    #[test]
    fn operands_are_read_where_they_lie() {
        let transposed = numbers(&[2, 5, 4]).transpose(1, 2);
        let part = numbers(&[4, 9, 6]).narrow(0, 1, 2).narrow(1, 3, 5);
        assert_like_flex(&transposed, &part);
        assert_like_flex(&part.transpose(1, 2), &transposed.transpose(1, 2));
        let repeated = Flex::float_expand(numbers(&[1, 3, 4]), Shape::from(vec![5, 3, 4]));
        assert_like_flex(&repeated, &numbers(&[5, 4, 2]));
    }

    #[test]
    fn what_it_declines_is_left_to_flex() {
        assert!(product(&numbers(&[2, 0]), &numbers(&[0, 3])).is_none());
        let backwards = Flex::float_flip(numbers(&[3, 4]), &[0]);
        let right = numbers(&[4, 5]);
        let expected = Flex::float_matmul(backwards.clone(), right.clone());
        let found = Cpu::float_matmul(backwards, right);
        assert_eq!(found.into_data(), expected.into_data());
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let (left, right) = (numbers(&[900, 130]), numbers(&[130, 70]));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let run = || product(&left, &right).unwrap().into_data();
            pool.expect("a pool of a few threads starts").install(run)
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
    }
}
