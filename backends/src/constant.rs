//! Tensors that depend on sizes alone, made once per device.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Mutex;

use burn::prelude::DeviceOps;
use burn::tensor::backend::{Backend, DeviceId};
use burn::tensor::{BasicOps, Tensor, TensorData};

/// Tensors that are kept. A program that resizes pictures of any size would keep one for each.
const KEPT: usize = 512;

/// What a constant depends on beside its backend and device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// What it is.
    pub name: &'static str,
    /// The sizes that it is made of.
    pub sizes: [usize; 2],
}

type Kept = HashMap<(TypeId, DeviceId, Key), Box<dyn Any + Send>>;

static KEPT_TENSORS: Mutex<Option<Kept>> = Mutex::new(None);

/// The tensor under a key, made by `make` where it is asked for the first time on this device. It has no
/// gradient.
///
/// A steady training step uploads none of them. One lock and one search in a table.
pub fn constant<B: Backend, const D: usize, K: BasicOps<B> + 'static>(
    key: Key,
    device: &B::Device,
    make: impl FnOnce() -> TensorData,
) -> Tensor<B, D, K>
where
    Tensor<B, D, K>: Send,
{
    let place = (TypeId::of::<Tensor<B, D, K>>(), device.to_id(), key);
    let mut kept = KEPT_TENSORS
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let kept = kept.get_or_insert_default();
    if let Some(tensor) = kept.get(&place).and_then(|kept| kept.downcast_ref()) {
        return Tensor::clone(tensor);
    }
    if kept.len() >= KEPT {
        kept.clear();
    }
    let tensor = Tensor::<B, D, K>::from_data(make(), device);
    kept.insert(place, Box::new(tensor.clone()));
    tensor
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use std::cell::Cell;

    use burn::tensor::Float;
    use burn::tensor::backend::AutodiffBackend;

    use super::*;

    type B = crate::FlexAutodiff;
    type Inner = <B as AutodiffBackend>::InnerBackend;

    #[test]
    fn it_is_made_once_for_each_key_and_backend() {
        let made = Cell::new(0);
        let make = |value: f32| {
            made.set(made.get() + 1);
            TensorData::from([value])
        };
        let key = |sizes| Key {
            name: "a test's",
            sizes,
        };
        let device = Default::default();
        for _ in 0..3 {
            let one = constant::<B, 1, Float>(key([1, 2]), &device, || make(1.0));
            let other = constant::<B, 1, Float>(key([2, 1]), &device, || make(2.0));
            let inner = constant::<Inner, 1, Float>(key([1, 2]), &device, || make(3.0));
            let values = [one.into_scalar(), other.into_scalar(), inner.into_scalar()];
            assert_eq!(values, [1.0, 2.0, 3.0]);
        }
        assert_eq!(made.get(), 3);
    }

    #[test]
    fn gradients_pass_by_a_constant_that_several_graphs_share() {
        let key = Key {
            name: "a factor",
            sizes: [0, 0],
        };
        let device = Default::default();
        for _ in 0..2 {
            let factor = constant::<B, 1, Float>(key, &device, || TensorData::from([3.0f32]));
            let input = Tensor::<B, 1>::from_data([2.0f32], &device).require_grad();
            let gradients = (input.clone() * factor.clone()).sum().backward();
            assert_eq!(input.grad(&gradients).unwrap().into_scalar(), 3.0);
            assert!(factor.grad(&gradients).is_none());
        }
    }
}
