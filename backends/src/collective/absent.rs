//! What stands in for burn's collective operations where they are not compiled in.

use burn::tensor::{Tensor, backend::Backend};

use super::{CollectiveFailure, Place};

pub(super) fn register<B: Backend>(_: Place, _: &B::Device) -> Result<(), CollectiveFailure> {
    Err(CollectiveFailure {
        action: "find each other",
        reason: "this program was built without the feature `distributed`: build it with \
                 `--features distributed`"
            .to_string(),
    })
}

// There is no group without `register`.
pub(super) fn sum<B: Backend, const D: usize>(
    _: usize,
    tensor: Tensor<B, D>,
) -> Result<Tensor<B, D>, CollectiveFailure> {
    Ok(tensor)
}

#[allow(
    clippy::extra_unused_type_parameters,
    reason = "the signature is that of the other module"
)]
pub(super) fn finish<B: Backend>(_: usize) -> Result<(), CollectiveFailure> {
    Ok(())
}
