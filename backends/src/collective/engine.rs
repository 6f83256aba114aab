//! burn's collective operations between the threads of a process.

use burn::tensor::{Tensor, TensorPrimitive, backend::Backend};
use burn_collective::{
    AllReduceStrategy, CollectiveConfig, CollectiveError, PeerId, ReduceOperation,
};

use super::{ADD, CollectiveFailure, Place};

fn failure(action: &'static str) -> impl FnOnce(CollectiveError) -> CollectiveFailure {
    move |error| CollectiveFailure {
        action,
        reason: match error {
            CollectiveError::AllReduceShapeMismatch => {
                "they do not do the same, one has a tensor of another shape".to_string()
            }
            // What burn drops without a word is the call of the rank that differs.
            CollectiveError::LocalServerMissing => {
                "they do not do the same, or burn's collective server has ended".to_string()
            }
            other => format!("{other:?}"),
        },
    }
}

pub(super) fn register<B: Backend>(
    place: Place,
    device: &B::Device,
) -> Result<(), CollectiveFailure> {
    let config = CollectiveConfig::default()
        .with_num_devices(place.threads)
        .with_local_all_reduce_strategy(AllReduceStrategy::Centralized);
    burn_collective::register::<B>(PeerId::from(place.thread), device.clone(), config)
        .map_err(failure("find each other"))
}

pub(super) fn sum<B: Backend, const D: usize>(
    thread: usize,
    tensor: Tensor<B, D>,
) -> Result<Tensor<B, D>, CollectiveFailure> {
    let own = tensor.into_primitive().tensor();
    burn_collective::all_reduce::<B>(PeerId::from(thread), own, ReduceOperation::Sum)
        .map(|sum| Tensor::from_primitive(TensorPrimitive::Float(sum)))
        .map_err(failure(ADD))
}

pub(super) fn finish<B: Backend>(thread: usize) -> Result<(), CollectiveFailure> {
    burn_collective::finish_collective::<B>(PeerId::from(thread)).map_err(failure("part"))
}
