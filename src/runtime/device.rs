//! Waiting for a device and reading back what it has computed.

use anyhow::{Result, anyhow};
use burn::tensor::backend::Backend;
use burn::tensor::{BasicOps, Tensor, TensorData, TensorKind};

/// The values of a tensor on the host.
///
/// # Errors
/// When the device fails.
pub fn read<B: Backend, const D: usize, K: TensorKind<B> + BasicOps<B>>(
    tensor: Tensor<B, D, K>,
) -> Result<TensorData> {
    tensor
        .try_into_data()
        .map_err(|error| anyhow!("the device failed: {error:?}"))
}

/// Returns once the device has computed a tensor: its first element is read back.
///
/// # Errors
/// When the device fails.
pub fn wait<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<()> {
    let first = read(tensor.slice([const { 0..1 }; D]))?;
    std::hint::black_box(first.iter::<f32>().next());
    Ok(())
}

/// Returns once the device has done all it was asked for.
///
/// # Errors
/// When the device fails.
pub fn finish<B: Backend>(device: &B::Device) -> Result<()> {
    B::sync(device).map_err(|error| anyhow!("the device failed: {error:?}"))
}
