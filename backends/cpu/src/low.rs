//! Numbers of 16 bits. They are kept as such and computed with as f32: operands and results are rounded, sums
//! are not.

use burn_backend::{Bytes, DType, Element, bf16, f16};
use burn_flex::{FlexTensor, Layout};
use rayon::prelude::*;

/// Numbers that a task converts.
const PER_TASK: usize = 1 << 14;

/// The type of a tensor of 16-bit numbers.
pub(super) fn low_type(tensor: &FlexTensor) -> Option<DType> {
    Some(tensor.dtype()).filter(|dtype| matches!(dtype, DType::F16 | DType::BF16))
}

/// What `compute` makes in f32, rounded to `dtype`.
pub(super) fn rounded(dtype: DType, compute: impl FnOnce() -> FlexTensor) -> FlexTensor {
    let exact = compute();
    cast(&exact, dtype).unwrap_or(exact)
}

/// The same numbers in f32.
pub(super) fn widened(tensor: FlexTensor) -> FlexTensor {
    cast(&tensor, DType::F32).unwrap_or(tensor)
}

/// The numbers of a tensor in another type, both of f32, f16 and bf16 and not the same; each is rounded to the
/// nearest one. One pass, on all threads.
pub(super) fn cast(tensor: &FlexTensor, dtype: DType) -> Option<FlexTensor> {
    let is_known = matches!(
        (tensor.dtype(), dtype),
        (DType::F32, DType::F16 | DType::BF16) | (DType::F16 | DType::BF16, DType::F32)
    );
    if !is_known {
        return None;
    }
    let tensor = tensor.to_contiguous();
    let (start, end) = tensor.layout().contiguous_offsets()?;
    let numbers = start..end;
    let bytes = match (tensor.dtype(), dtype) {
        (DType::F16, _) => converted(tensor.storage().get(numbers)?, f16::to_f32),
        (DType::BF16, _) => converted(tensor.storage().get(numbers)?, bf16::to_f32),
        (_, DType::F16) => converted(tensor.storage().get(numbers)?, f16::from_f32),
        _ => converted(tensor.storage().get(numbers)?, bf16::from_f32),
    };
    let shape = tensor.layout().shape().clone();
    Some(FlexTensor::new(bytes, Layout::contiguous(shape), dtype))
}

fn converted<A: Element, B: Element>(numbers: &[A], convert: fn(A) -> B) -> Bytes {
    let mut output = Vec::with_capacity(numbers.len());
    numbers
        .par_iter()
        .with_min_len(PER_TASK)
        .map(|&number| convert(number))
        .collect_into_vec(&mut output);
    Bytes::from_elems(output)
}

#[cfg(test)]
mod tests {
    use burn_backend::TensorData;

    use super::*;

    #[test]
    fn numbers_are_rounded_to_the_nearest_one() {
        // One and a half units in the last place of bf16, and one beyond f16's range.
        let numbers = vec![1.0f32, 1.0 + 1.5 / 128.0, -1e6, 3e-8];
        let tensor = FlexTensor::from_data(TensorData::new(numbers, [2, 2]));
        let low = cast(&tensor, DType::BF16).unwrap();
        assert_eq!(low_type(&low), Some(DType::BF16));
        let wide = widened(low);
        let values = wide.storage::<f32>();
        assert_eq!(values[..2], [1.0, 1.0 + 2.0 / 128.0]);
        assert!((values[2] + 1e6).abs() <= 1e6 / 256.0);
        let low = widened(cast(&tensor, DType::F16).unwrap());
        let values = low.storage::<f32>();
        assert_eq!(values[2..], [f32::NEG_INFINITY, 2f32.powi(-24)]);
    }

    #[test]
    fn a_view_is_converted_in_its_order() {
        let numbers: Vec<f32> = (0..40_000u16).map(f32::from).collect();
        let tensor = FlexTensor::from_data(TensorData::new(numbers, [200, 200]));
        let swapped = tensor.transpose(0, 1);
        let wide = widened(cast(&swapped, DType::BF16).unwrap());
        let expected = widened(cast(&swapped.to_contiguous(), DType::BF16).unwrap());
        assert_eq!(wide.storage::<f32>(), expected.storage::<f32>());
        assert!(cast(&tensor, DType::F32).is_none() && cast(&tensor, DType::I32).is_none());
    }
}
