//! The numbers of a tensor as a slice.

use burn_backend::DType;
use burn_flex::FlexTensor;

/// The elements of a tensor in order.
pub(super) fn values(tensor: &FlexTensor) -> Option<&[f32]> {
    if tensor.dtype() != DType::F32 {
        return None;
    }
    let (start, end) = tensor.layout().contiguous_offsets()?;
    tensor.storage::<f32>().get(start..end)
}

/// The same to write to, if nobody else holds the tensor.
pub(super) fn own_values(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    let (start, end) = tensor.layout().contiguous_offsets()?;
    // A view of a part would keep the rest alive.
    if !tensor.is_unique() || start != 0 || tensor.storage::<f32>().len() != end {
        return None;
    }
    Some(tensor.storage_mut::<f32>())
}
