//! What the tests of all functions share.

use std::any::TypeId;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

/// `backend_tests!(a, b)` turns the generic functions `a` and `b` of the surrounding module,
/// `fn a<B: AutodiffBackend>()`, into tests on every backend that is compiled in.
macro_rules! backend_tests {
    ($($name:ident),+ $(,)?) => {
        #[cfg(feature = "flex")]
        mod flex {
            $(#[test] fn $name() { super::$name::<crate::FlexAutodiff>() })+
        }
        #[cfg(feature = "ndarray")]
        mod ndarray {
            $(#[test] fn $name() { super::$name::<crate::NdArrayAutodiff>() })+
        }
        #[cfg(feature = "wgpu")]
        mod wgpu {
            $(#[test] fn $name() { super::$name::<crate::WgpuAutodiff>() })+
        }
    };
}
pub(crate) use backend_tests;

/// Whether a backend is to take kernels.
pub(crate) fn has_kernels<B: Backend>() -> bool {
    #[cfg(feature = "flex")]
    return TypeId::of::<B>() == TypeId::of::<crate::FlexAutodiff>();
    #[cfg(not(feature = "flex"))]
    return TypeId::of::<B>() == TypeId::of::<()>();
}

/// Whether a backend is a GPU's, whose kernels take operands in every layout.
pub(crate) fn is_gpu<B: Backend>() -> bool {
    #[cfg(feature = "wgpu")]
    return TypeId::of::<B>() == TypeId::of::<crate::WgpuAutodiff>();
    #[cfg(not(feature = "wgpu"))]
    return TypeId::of::<B>() == TypeId::of::<()>();
}

/// Numbers of both signs, unlike those of another offset.
pub(crate) fn numbers<B: Backend, const D: usize>(
    shape: [usize; D],
    offset: usize,
) -> Tensor<B, D> {
    let count: usize = shape.iter().product();
    let number = |index: usize| {
        let mixed = (index + 7919 * offset + 1) as u32;
        let mixed = mixed.wrapping_mul(0x9E37_79B9);
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
        let mixed = mixed ^ (mixed >> 13);
        (mixed >> 8) as f32 / (1 << 23) as f32 - 0.9
    };
    let values: Vec<f32> = (0..count).map(number).collect();
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

/// Fails where the tensors differ by more than `bound` of the largest expected magnitude.
pub(crate) fn assert_close<B: Backend, const D: usize>(
    found: Tensor<B, D>,
    expected: Tensor<B, D>,
    bound: f32,
    what: &str,
) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let shape = expected.dims();
    let [found, expected] =
        [found, expected].map(|tensor| tensor.into_data().to_vec::<f32>().unwrap());
    let largest = expected
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(
            (found - expected).abs() <= bound * largest,
            "{what} {shape:?}[{index}]: {found}, expected {expected}, largest {largest}"
        );
    }
}
