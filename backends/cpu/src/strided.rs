//! Copies of `f32` tensors into the order of their axes.

use burn_backend::{DType, Slice, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::blank::{self, Blank};
use super::conv::shaped;

/// Elements of a task.
const GRAIN: usize = 1 << 14;

/// A contiguous copy of a tensor whose axes lie in another order, on all threads and a run of the last
/// axis at a time. Flex copies tensors of more than two such axes element by element.
///
/// Declines types other than `f32`, axes that run backwards, and two axes or fewer.
pub(super) fn contiguous(tensor: &FlexTensor) -> Option<FlexTensor> {
    if tensor.dtype() != DType::F32 {
        return None;
    }
    let axes = merged(tensor)?;
    let (&(run, stride), outer) = axes.split_last()?;
    if outer.len() < 2 {
        return None;
    }
    let start = tensor.layout().start_offset();
    let from = tensor.storage::<f32>().get(start..)?;
    let mut out = Blank::new(tensor.shape().num_elements());
    let runs = GRAIN.div_ceil(run);
    let parts = out.slots().par_chunks_mut(runs * run).enumerate();
    parts.for_each(|(part, to)| {
        for (index, to) in to.chunks_exact_mut(run).enumerate() {
            let from = &from[offset(outer, part * runs + index)..];
            match stride {
                0 => blank::fill(to, from[0]),
                1 => blank::copy(to, &from[..run]),
                _ => {
                    for (index, to) in to.iter_mut().enumerate() {
                        to.write(from[index * stride]);
                    }
                }
            }
        }
    });
    // SAFETY: the tensor is whole runs, of which every part writes all of its own.
    let out = unsafe { out.filled() };
    Some(shaped(out, tensor.shape()))
}

/// `tensor` with `value` in the place of a part of it, a run of the last axes at a time. Flex copies
/// element by element.
///
/// Declines types other than `f32`, slices that skip or run backwards, and what is empty.
#[allow(
    clippy::result_large_err,
    reason = "an error is no failure: it hands both operands back, as they came"
)]
pub(super) fn assign(
    tensor: FlexTensor,
    slices: &[Slice],
    value: FlexTensor,
) -> Result<FlexTensor, (FlexTensor, FlexTensor)> {
    let shape = tensor.shape();
    let is_plain = slices.iter().all(|slice| slice.step() == 1);
    let is_empty = value.shape().num_elements() == 0;
    if tensor.dtype() != DType::F32 || value.dtype() != DType::F32 || !is_plain || is_empty {
        return Err((tensor, value));
    }
    // Axes from the last one on that are taken whole, and the one before them, are one run.
    let (mut run, mut start, mut distance) = (1, 0, 1);
    let mut outer: Vec<(usize, usize)> = Vec::new();
    for (axis, &length) in shape.iter().enumerate().rev() {
        let range = slices
            .get(axis)
            .map_or(0..length, |slice| slice.to_range(length));
        start += range.start * distance;
        if run == distance {
            run *= range.len();
        } else {
            outer.insert(0, (range.len(), distance));
        }
        distance *= length;
    }
    let value = in_order(value);
    let mut tensor = in_order(tensor);
    start += tensor.layout().start_offset();
    let from = &value.storage::<f32>()[value.layout().start_offset()..];
    let from = &from[..value.shape().num_elements()];
    let to = tensor.storage_mut::<f32>();
    for (index, from) in from.chunks_exact(run).enumerate() {
        let first = start + offset(&outer, index);
        to[first..first + run].copy_from_slice(from);
    }
    Ok(tensor)
}

/// The tensor itself or a copy, so that its elements follow each other.
pub(super) fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().contiguous_offsets().is_some() {
        return tensor;
    }
    contiguous(&tensor).unwrap_or_else(|| tensor.to_contiguous())
}

/// Lengths and strides of the axes, those that follow each other in memory as one.
fn merged(tensor: &FlexTensor) -> Option<Vec<(usize, usize)>> {
    let layout = tensor.layout();
    let mut axes: Vec<(usize, usize)> = Vec::new();
    for (&length, &stride) in layout.shape().iter().zip(layout.strides()) {
        let stride = usize::try_from(stride).ok()?;
        match axes.last_mut() {
            _ if length == 0 => return None,
            _ if length == 1 => {}
            Some((before, outer)) if *outer == stride * length => {
                *before *= length;
                *outer = stride;
            }
            _ => axes.push((length, stride)),
        }
    }
    Some(axes)
}

/// Where a run begins, counted in the order of the axes.
fn offset(axes: &[(usize, usize)], mut index: usize) -> usize {
    let mut offset = 0;
    for &(length, stride) in axes.iter().rev() {
        offset += index % length * stride;
        index /= length;
    }
    offset
}

#[cfg(test)]
mod tests {
    use burn_backend::ops::FloatTensorOps;
    use burn_backend::{Scalar, Shape};
    use burn_flex::Flex;

    use super::*;

    fn numbers(shape: &[usize]) -> FlexTensor {
        let count: usize = shape.iter().product();
        shaped(
            (0..count).map(|index| index as f32).collect(),
            Shape::from(shape.to_vec()),
        )
    }

    #[test]
    fn copies_are_those_of_flex() {
        let x = numbers(&[5, 4, 3, 2, 7]);
        let large = numbers(&[40, 50, 60]);
        let expanded = Flex::float_expand(numbers(&[3, 1, 4]), Shape::from(vec![2, 3, 5, 4]));
        let repeated = Flex::float_expand(numbers(&[3, 2, 1]), Shape::from(vec![4, 3, 2, 6]));
        for tensor in [
            x.permute(&[3, 0, 2, 1, 4]),
            x.permute(&[4, 2, 0, 1, 3]),
            x.narrow(1, 1, 2).narrow(3, 1, 1).permute(&[2, 1, 0, 4, 3]),
            large.permute(&[2, 0, 1]).narrow(1, 3, 30),
            large.permute(&[1, 0, 2]),
            expanded.permute(&[2, 1, 0, 3]),
            repeated.permute(&[1, 0, 2, 3]),
        ] {
            let expected = tensor.to_contiguous();
            let what = format!("{:?}", tensor.layout());
            if let Some(found) = contiguous(&tensor) {
                assert_eq!(found.shape(), expected.shape(), "{what}");
                assert_eq!(found.storage::<f32>(), expected.storage::<f32>(), "{what}");
            } else {
                assert!(merged(&tensor).unwrap().len() < 3, "{what}");
            }
        }
    }

    #[test]
    fn parts_are_assigned_like_flex() {
        let tensor = numbers(&[4, 5, 6]);
        let all = Slice::new(0, None, 1);
        for slices in [
            vec![Slice::new(1, Some(3), 1)],
            vec![all, Slice::new(2, Some(4), 1)],
            vec![all, all, Slice::new(-4, None, 1)],
            vec![Slice::new(2, Some(3), 1), Slice::new(0, Some(4), 1), all],
            vec![Slice::new(0, Some(3), 1), all, Slice::new(1, Some(5), 1)],
            vec![all, all, all],
        ] {
            let part = Flex::float_slice(numbers(&[4, 5, 6]), &slices);
            let count = part.shape().num_elements() as f32;
            let value = Flex::float_mul_scalar(part, Scalar::Float(f64::from(-count)));
            let strided = value
                .permute(&[2, 0, 1])
                .to_contiguous()
                .permute(&[1, 2, 0]);
            for value in [value, strided] {
                let expected = Flex::float_slice_assign(tensor.clone(), &slices, value.clone());
                let found = assign(tensor.clone(), &slices, value).unwrap();
                assert_eq!(found.shape(), expected.shape());
                assert_eq!(
                    found.storage::<f32>(),
                    expected.storage::<f32>(),
                    "{slices:?}"
                );
            }
        }
        // The original is shared and stays.
        assert_eq!(
            tensor.storage::<f32>(),
            numbers(&[4, 5, 6]).storage::<f32>()
        );
    }

    #[test]
    fn what_it_declines_is_left_to_flex() {
        let skipping = [Slice::new(0, None, 2)];
        assert!(assign(numbers(&[4]), &skipping, numbers(&[2])).is_err());
        assert!(contiguous(&numbers(&[3, 4]).transpose(0, 1)).is_none());
        let backwards = Flex::float_flip(numbers(&[3, 4, 5]), &[1]);
        assert!(contiguous(&backwards).is_none());
        assert!(contiguous(&numbers(&[3, 0, 5]).permute(&[2, 1, 0])).is_none());
    }
}
