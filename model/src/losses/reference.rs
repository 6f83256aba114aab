//! Reads the reference values that `tests/reference/losses.py` computed, and finite differences.

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use safetensors::SafeTensors;

use crate::testing::{relative_error, values};

/// The tensors of one fixture file.
pub struct Reference(SafeTensors<'static>);

impl Reference {
    /// Parses a fixture.
    pub fn new(file: &'static [u8]) -> Self {
        Self(SafeTensors::deserialize(file).expect("a safetensors file"))
    }

    /// The numbers of a float tensor.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let data = self.0.tensor(name).expect(name).data();
        data.chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    /// The numbers of an `i32` tensor.
    pub fn ints(&self, name: &str) -> Vec<i32> {
        let data = self.0.tensor(name).expect(name).data();
        data.chunks_exact(4)
            .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    /// The numbers of a `u8` tensor.
    pub fn bytes(&self, name: &str) -> &'static [u8] {
        self.0.tensor(name).expect(name).data()
    }

    /// A float tensor.
    pub fn tensor<B: Backend, const D: usize>(&self, name: &str) -> Tensor<B, D> {
        let shape = self.0.tensor(name).expect(name).shape().to_vec();
        Tensor::from_data(
            TensorData::new(self.floats(name), shape),
            &Default::default(),
        )
    }

    /// Compares numbers with the float tensor `name`, relative to its largest magnitude.
    pub fn check<B: Backend, const D: usize>(&self, name: &str, actual: Tensor<B, D>, most: f32) {
        let error = relative_error(&values(actual), &self.floats(name));
        assert!(error <= most, "{name}: relative error {error:e}");
    }
}

/// Label maps as index tensor.
pub fn labels<B: Backend>(labels: &[u8], shape: [usize; 3]) -> Tensor<B, 3, Int> {
    Tensor::from_data(TensorData::new(labels.to_vec(), shape), &Default::default())
}

/// The number of a tensor of one element.
pub fn value<B: Backend>(tensor: Tensor<B, 1>) -> f32 {
    let values = values(tensor);
    assert_eq!(values.len(), 1);
    values[0]
}

/// Central differences of `loss` with respect to every number of `x`.
pub fn finite_differences<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    step: f32,
    loss: impl Fn(Tensor<B, D>) -> Tensor<B, 1>,
) -> Vec<f32> {
    let base = values(x.clone());
    let at = |index: usize, delta: f32| {
        let mut moved = base.clone();
        moved[index] += delta;
        value(loss(Tensor::from_data(
            TensorData::new(moved, x.dims()),
            &x.device(),
        )))
    };
    (0..base.len())
        .map(|i| (at(i, step) - at(i, -step)) / (2.0 * step))
        .collect()
}
