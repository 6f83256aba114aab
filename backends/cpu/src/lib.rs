//! The processor backend of dp-sims: Flex with faster two-dimensional convolutions, element-wise operations
//! on all threads, and [`fused`] operations. It knows nothing of other backends, nor of how one is chosen.
//!
//! burn computes the weight gradient of a convolution as another convolution whose kernel is the
//! whole output gradient. On Flex that packs the output gradient once per input channel and runs
//! matrix products with as many columns as the kernel has taps, which dominates a training step.

/// Implements operations by calling the operation of the same name of [`Flex`].
macro_rules! delegate {
    ($ops:ident { $($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)* }) => {
        $(fn $name($($arg: $type),*) -> $out {
            let _timer = Timer::new(stringify!($name));
            <Flex as $ops<Flex>>::$name($($arg),*)
        })*
    };
}

/// Implements operations on every element by [`elementwise`], or by the operation of the same name of
/// [`Flex`] where that declines.
macro_rules! threaded {
    (of_one { $($name:ident: $operation:expr;)* }) => {
        $(fn $name(tensor: FlexTensor) -> FlexTensor {
            let _timer = Timer::new(stringify!($name));
            elementwise::map(tensor, $operation).unwrap_or_else(Flex::$name)
        })*
    };
    (of_one_and_scalar { $($name:ident: $operation:expr;)* }) => {
        $(fn $name(tensor: FlexTensor, scalar: Scalar) -> FlexTensor {
            let _timer = Timer::new(stringify!($name));
            let value = scalar.elem::<f32>();
            elementwise::map(tensor, |element| $operation(element, value))
                .unwrap_or_else(|tensor| Flex::$name(tensor, scalar))
        })*
    };
    (of_two { $($name:ident: $operation:expr;)* }) => {
        $(fn $name(left: FlexTensor, right: FlexTensor) -> FlexTensor {
            let _timer = Timer::with_shapes(stringify!($name), || {
                format!("{}, {}", crate::profile::shape(&left), crate::profile::shape(&right))
            });
            elementwise::zip(left, right, $operation)
                .unwrap_or_else(|(left, right)| Flex::$name(left, right))
        })*
    };
}

mod activation;
mod attention;
mod blank;
mod bool;
mod conv;
mod elementwise;
mod exponential;
mod float;
pub mod fused;
mod int;
mod low;
mod matmul;
mod module;
mod numbers;
mod pool;
pub mod profile;
mod quantized;
mod repeated;
mod softmax;
mod strided;
#[cfg(test)]
mod tests;

use burn_backend::ops::TransactionOps;
use burn_backend::{Backend, BackendTypes, DType, DTypeUsageSet};
use burn_flex::{Flex, FlexDevice, FlexQTensor, FlexTensor};

/// The processor: [`Flex`] with its own two-dimensional convolutions, gradients of them, maxima over
/// windows, attention, softmax, and element-wise operations.
///
/// Tensors, device, names, random numbers and every other operation are those of [`Flex`]; an
/// operation that [`Flex`] leaves to burn's default is left to the same default here. `conv2d` and
/// its gradients are matrix products over windows, unfolded from the side that has fewer channels,
/// for every stride, padding, dilation and number of groups; with 3×3 windows, stride 1 and enough
/// channels and pixels, they are products at the points of Winograd's minimal filtering. They differ from those of [`Flex`] by
/// rounding alone and do not depend on the number of threads. Pointwise and depthwise convolutions
/// and types other than `f32` take the way of [`Flex`], but for the gradients that are faster here.
///
/// The price is memory while a convolution runs: a window buffer of up to a megabyte per thread
/// for usual image widths, and at most one copy of its output or of its output gradient; or some 10
/// MB of transformed tiles, and the weight at 24 points instead of nine.
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
