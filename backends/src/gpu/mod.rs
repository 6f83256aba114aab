//! burn's GPU backends, with ways around what burn 0.21 computes wrong.
//!
//! Some kernels of burn-cubecl 0.21 give wrong values in layouts or sizes that training meets
//! (`book/src/explanation/gpu-defects.md`). A backend of our own is the one place that every operation
//! passes, those that burn's automatic differentiation adds included; it takes another way where burn's
//! is wrong and hands everything else on.

/// Implements operations of one signature by calling the operation of the same name of [`Inner`], and
/// with `in_order`, once the elements of the first operand lie in the order of its axes.
macro_rules! delegate {
    ($ops:ident $arguments:tt -> $out:ty { $($name:ident)* }) => {
        $(delegate!(@one $ops $name $arguments -> $out);)*
    };
    (in_order $ops:ident $arguments:tt -> $out:ty { $($name:ident)* }) => {
        $(delegate!(@in_order $ops $name $arguments -> $out);)*
    };
    (@in_order $ops:ident $name:ident
        ($tensor:ident: $first:ty $(, $argument:ident: $type:ty)*) -> $out:ty
    ) => {
        fn $name($tensor: $first $(, $argument: $type)*) -> $out {
            let $tensor = into_contiguous_aligned($tensor);
            <Inner<R, BT> as $ops<Inner<R, BT>>>::$name($tensor $(, $argument)*)
        }
    };
    (@one $ops:ident $name:ident ($($argument:ident: $type:ty),*) -> $out:ty) => {
        fn $name($($argument: $type),*) -> $out {
            <Inner<R, BT> as $ops<Inner<R, BT>>>::$name($($argument),*)
        }
    };
}

mod bool;
mod float;
pub(crate) mod fused;
mod int;
mod module;
mod pointwise;
mod product;
mod quantized;
mod select;
#[cfg(all(test, feature = "wgpu"))]
mod tests;
pub mod traffic;
mod upsample;
mod view;

use std::marker::PhantomData;

use burn_backend::ops::{ActivationOps, TransactionOps};
use burn_backend::{Backend, BackendTypes, DType, DTypeUsageSet, ExecutionError, TensorData};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime};

/// burn's own backend of the same runtime.
type Inner<R, BT> = CubeBackend<R, f32, i32, BT>;

/// A tensor on a GPU, whatever its elements are.
type T<R> = CubeTensor<R>;

/// A GPU that burn's runtime `R` drives: burn's [`CubeBackend`] with its defects avoided.
///
/// Tensors, devices, names and random numbers are burn's. Reshaping, nearest upsampling, products,
/// pointwise convolutions and the gradient of a selection are ours; what burn-cubecl leaves to burn's
/// default is left to the same default, which calls ours.
pub struct Gpu<R: CubeRuntime, BT: BoolElement> {
    types: PhantomData<fn() -> (R, BT)>,
}

impl<R: CubeRuntime, BT: BoolElement> Clone for Gpu<R, BT> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<R: CubeRuntime, BT: BoolElement> Default for Gpu<R, BT> {
    fn default() -> Self {
        Self { types: PhantomData }
    }
}

impl<R: CubeRuntime, BT: BoolElement> std::fmt::Debug for Gpu<R, BT> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Gpu")
    }
}

impl<R: CubeRuntime, BT: BoolElement> BackendTypes for Gpu<R, BT> {
    type Device = R::Device;
    type FloatTensorPrimitive = T<R>;
    type FloatElem = f32;
    type IntTensorPrimitive = T<R>;
    type IntElem = i32;
    type BoolTensorPrimitive = T<R>;
    type BoolElem = BT;
    type QuantizedTensorPrimitive = T<R>;
}

impl<R: CubeRuntime, BT: BoolElement> Backend for Gpu<R, BT> {
    fn name(device: &R::Device) -> String {
        <Inner<R, BT> as Backend>::name(device)
    }

    fn seed(device: &R::Device, seed: u64) {
        <Inner<R, BT> as Backend>::seed(device, seed);
    }

    fn sync(device: &R::Device) -> Result<(), ExecutionError> {
        <Inner<R, BT> as Backend>::sync(device)
    }

    fn memory_persistent_allocations<
        Output: Send,
        Input: Send,
        Func: Fn(Input) -> Output + Send,
    >(
        device: &R::Device,
        input: Input,
        func: Func,
    ) -> Output {
        <Inner<R, BT> as Backend>::memory_persistent_allocations(device, input, func)
    }

    fn memory_cleanup(device: &R::Device) {
        <Inner<R, BT> as Backend>::memory_cleanup(device);
    }

    fn staging<'a, Iter>(data: Iter, device: &R::Device)
    where
        Iter: Iterator<Item = &'a mut TensorData>,
    {
        <Inner<R, BT> as Backend>::staging(data, device);
    }

    fn supports_dtype(device: &R::Device, dtype: DType) -> bool {
        <Inner<R, BT> as Backend>::supports_dtype(device, dtype)
    }

    fn dtype_usage(device: &R::Device, dtype: DType) -> DTypeUsageSet {
        <Inner<R, BT> as Backend>::dtype_usage(device, dtype)
    }

    fn device_count(type_id: u16) -> usize {
        <Inner<R, BT> as Backend>::device_count(type_id)
    }
}

/// What burn composes of a mask and a choice, in one launch each.
impl<R: CubeRuntime, BT: BoolElement> ActivationOps<Self> for Gpu<R, BT> {
    fn relu(tensor: T<R>) -> T<R> {
        fused::activation::relu_backward(tensor.clone(), tensor)
    }

    fn relu_backward(output: T<R>, grad: T<R>) -> T<R> {
        fused::activation::relu_backward(output, grad)
    }
}

impl<R: CubeRuntime, BT: BoolElement> TransactionOps<Self> for Gpu<R, BT> {
    async fn tr_execute(
        transaction: burn_backend::ops::TransactionPrimitive<Self>,
    ) -> Result<burn_backend::ops::TransactionPrimitiveData, ExecutionError> {
        let transaction = burn_backend::ops::TransactionPrimitive::new(
            transaction.read_floats,
            transaction.read_qfloats,
            transaction.read_ints,
            transaction.read_bools,
        );
        traffic::downloaded();
        <Inner<R, BT> as TransactionOps<Inner<R, BT>>>::tr_execute(transaction).await
    }
}
