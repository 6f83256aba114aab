//! Flex with faster two-dimensional convolutions.
//!
//! burn computes the weight gradient of a convolution as another convolution whose kernel is the
//! whole output gradient. On Flex that packs the output gradient once per input channel and runs
//! matrix products with as many columns as the kernel has taps, which dominates a training step.

/// Implements operations by calling the operation of the same name of [`Flex`].
macro_rules! delegate {
    ($ops:ident { $($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)* }) => {
        $(fn $name($($arg: $type),*) -> $out {
            <Flex as $ops<Flex>>::$name($($arg),*)
        })*
    };
}

mod activation;
mod bool;
mod conv;
mod float;
mod int;
mod module;
mod pool;
mod quantized;
#[cfg(test)]
mod tests;

use burn_backend::ops::TransactionOps;
use burn_backend::{Backend, BackendTypes, DType, DTypeUsageSet};
use burn_flex::{Flex, FlexDevice, FlexQTensor, FlexTensor};

/// The processor: [`Flex`] with its own two-dimensional convolutions, gradients of them, and
/// maxima over windows.
///
/// Tensors, device, names, random numbers and every other operation are those of [`Flex`]; an
/// operation that [`Flex`] leaves to burn's default is left to the same default here. `conv2d` and
/// its gradients are matrix products over windows, unfolded from the side that has fewer channels,
/// for every stride, padding, dilation and number of groups. They differ from those of [`Flex`] by
/// rounding alone and do not depend on the number of threads. Pointwise and depthwise convolutions
/// and types other than `f32` take the way of [`Flex`], but for the gradients that are faster here.
///
/// The price is memory while a convolution runs: a window buffer of up to a megabyte per thread
/// for usual image widths, and at most one copy of its output or of its output gradient.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

impl BackendTypes for Cpu {
    type Device = FlexDevice;
    type FloatTensorPrimitive = FlexTensor;
    type FloatElem = f32;
    type IntTensorPrimitive = FlexTensor;
    type IntElem = i32;
    type BoolTensorPrimitive = FlexTensor;
    type BoolElem = bool;
    type QuantizedTensorPrimitive = FlexQTensor;
}

impl Backend for Cpu {
    fn name(device: &FlexDevice) -> String {
        Flex::name(device)
    }

    fn seed(device: &FlexDevice, seed: u64) {
        Flex::seed(device, seed);
    }

    fn dtype_usage(device: &FlexDevice, dtype: DType) -> DTypeUsageSet {
        Flex::dtype_usage(device, dtype)
    }

    fn device_count(type_id: u16) -> usize {
        Flex::device_count(type_id)
    }
}

impl TransactionOps<Self> for Cpu {}
