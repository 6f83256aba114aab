//! Operations on few elements and an operand that is repeated, which Flex walks element by element.

use burn_backend::TensorMetadata;
use burn_flex::FlexTensor;

use super::conv::shaped;
use super::numbers::{own_values, values};

/// `operation` of every element and that of `right`, whose axes are those of the left one or one element long, on one thread.
pub(super) fn repeated(
    mut left: FlexTensor,
    right: &FlexTensor,
    operation: impl Fn(f32, f32) -> f32,
) -> Result<FlexTensor, FlexTensor> {
    let Some(other) = values(right) else {
        return Err(left);
    };
    let (run, is_repeated, starts) = runs(&left, right);
    if let Some(own) = own_values(&mut left) {
        for (to, &start) in own.chunks_exact_mut(run).zip(&starts) {
            if is_repeated {
                let value = other[start];
                to.iter_mut().for_each(|to| *to = operation(*to, value));
            } else {
                let pairs = to.iter_mut().zip(&other[start..]);
                pairs.for_each(|(to, other)| *to = operation(*to, *other));
            }
        }
        return Ok(left);
    }
    let Some(from) = values(&left) else {
        return Err(left);
    };
    let mut out = Vec::with_capacity(from.len());
    for (from, &start) in from.chunks_exact(run).zip(&starts) {
        if is_repeated {
            let value = other[start];
            out.extend(from.iter().map(|from| operation(*from, value)));
        } else {
            let pairs = from.iter().zip(&other[start..]);
            out.extend(pairs.map(|(from, other)| operation(*from, *other)));
        }
    }
    Ok(shaped(out, left.shape()))
}

/// The runs of elements of `left` for which `right` has one element or as many in
/// order: their length, which of both it is, and where each begins in `right`.
fn runs(left: &FlexTensor, right: &FlexTensor) -> (usize, bool, Vec<usize>) {
    let (left, right) = (left.shape(), right.shape());
    // Axes of one element on both sides take no part.
    let axes = left
        .iter()
        .zip(right.iter())
        .filter(|(left, _)| **left != 1);
    let axes: Vec<(usize, bool)> = axes.map(|(left, right)| (*left, *right == 1)).collect();
    let is_repeated = axes.last().is_some_and(|(_, repeated)| *repeated);
    let inner = axes.iter().rev().take_while(|axis| axis.1 == is_repeated);
    let inner = inner.count();
    let (outer, inner) = axes.split_at(axes.len() - inner);
    let run = inner.iter().map(|(length, _)| length).product();
    let mut distance = if is_repeated { 1 } else { run };
    let mut starts = vec![0];
    // From the last axis to the first: all starts so far, once for each place of the axis.
    for &(length, repeated) in outer.iter().rev() {
        let step = if repeated { 0 } else { distance };
        let places =
            (0..length).flat_map(|place| starts.iter().map(move |start| start + place * step));
        starts = places.collect();
        if !repeated {
            distance *= length;
        }
    }
    (run, is_repeated, starts)
}
