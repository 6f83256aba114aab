//! Copies of `f32` tensors into the order of their axes.

use burn_backend::{DType, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::conv::{shaped, zeros};

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
    let mut out = zeros(tensor.shape().num_elements());
    let runs = GRAIN.div_ceil(run);
    let parts = out.par_chunks_mut(runs * run).enumerate();
    parts.for_each(|(part, to)| {
        for (index, to) in to.chunks_exact_mut(run).enumerate() {
            let from = &from[offset(outer, part * runs + index)..];
            match stride {
                0 => to.fill(from[0]),
                1 => to.copy_from_slice(&from[..run]),
                _ => {
                    let read = from.iter().step_by(stride);
                    to.iter_mut().zip(read).for_each(|(to, from)| *to = *from);
                }
            }
        }
    });
    Some(shaped(out, tensor.shape()))
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
    use burn_backend::Shape;
    use burn_backend::ops::FloatTensorOps;
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
    fn what_it_declines_is_left_to_flex() {
        assert!(contiguous(&numbers(&[3, 4]).transpose(0, 1)).is_none());
        let backwards = Flex::float_flip(numbers(&[3, 4, 5]), &[1]);
        assert!(contiguous(&backwards).is_none());
        assert!(contiguous(&numbers(&[3, 0, 5]).permute(&[2, 1, 0])).is_none());
    }
}
