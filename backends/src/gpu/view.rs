//! Reshaping.

use burn_backend::Shape;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::{CubeRuntime, ops};
use burn_std::{Metadata, Strides};

use super::T;

/// The elements of a tensor in the same order under another shape.
///
/// burn's `split_strides` gives an axis the stride of a unit axis beside it, so that a transposed
/// tensor with an added unit axis reads other elements. Here the memory is kept where the new axes are
/// parts of the old ones, and copied once where they are not.
pub(super) fn reshape<R: CubeRuntime>(mut tensor: T<R>, shape: Shape) -> T<R> {
    if *tensor.meta.shape() == shape {
        return tensor;
    }
    if !tensor.is_contiguous() {
        let strides = split(tensor.meta.shape(), tensor.meta.strides(), &shape);
        if let Some(strides) = strides {
            *tensor.meta = Metadata::new(shape, Strides::new(&strides));
            return tensor;
        }
        tensor = into_contiguous(tensor);
    }
    ops::reshape(tensor, shape)
}

/// Strides of a new shape of which every axis is a part of one old axis or has one element; none where
/// an axis joins several.
fn split(shape: &[usize], strides: &[usize], new_shape: &[usize]) -> Option<Vec<usize>> {
    let mut old = shape
        .iter()
        .zip(strides)
        .filter(|(size, _)| **size != 1)
        .rev();
    let mut left = 1;
    let mut stride = 1;
    let mut found = vec![0; new_shape.len()];
    for (found, &size) in found.iter_mut().zip(new_shape).rev() {
        if size != 1 {
            if left == 1 {
                (left, stride) = old.next().map(|(size, stride)| (*size, *stride))?;
            }
            if left == 0 || size == 0 || left % size != 0 {
                return None;
            }
            *found = stride;
            stride *= size;
            left /= size;
        } else {
            *found = stride;
        }
    }
    (left == 1 && old.next().is_none()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the elements of a shape lie, in their order.
    fn places(shape: &[usize], strides: &[usize]) -> Vec<usize> {
        let count = shape.iter().product();
        let place = |index: usize| {
            let mut rest = index;
            let axes = shape.iter().zip(strides).rev();
            axes.map(|(size, stride)| {
                let at = rest % size;
                rest /= size;
                at * stride
            })
            .sum()
        };
        (0..count).map(place).collect()
    }

    #[test]
    fn split_axes_keep_every_element_in_its_place() {
        let transposed = ([4, 8, 1], [8, 1, 8]);
        let cases: [(&[usize], &[usize], &[usize]); 7] = [
            (&transposed.0, &transposed.1, &[4, 8, 1, 1]),
            (&[4, 6, 5], &[30, 1, 6], &[4, 6, 5, 1]),
            (&[4, 6, 5], &[30, 1, 6], &[2, 2, 1, 3, 2, 5]),
            (&[4, 1, 5], &[1, 4, 4], &[1, 4, 1, 5]),
            (&[1, 6], &[1, 3], &[3, 2]),
            (&[3, 4], &[0, 1], &[3, 2, 2]),
            (&[1, 1], &[7, 5], &[1, 1, 1]),
        ];
        for (shape, strides, new_shape) in cases {
            let found = split(shape, strides, new_shape).unwrap();
            let [found, expected] = [places(new_shape, &found), places(shape, strides)];
            assert_eq!(found, expected, "{shape:?} {strides:?} to {new_shape:?}");
        }
    }

    #[test]
    fn joined_axes_are_copied() {
        assert_eq!(split(&[4, 6], &[1, 4], &[24]), None);
        assert_eq!(split(&[4, 6], &[1, 4], &[8, 3]), None);
        assert_eq!(split(&[4, 0], &[1, 4], &[0, 4]), None);
    }
}
