//! The type in which convolutions and matrix products compute.

use std::cell::Cell;

use burn::tensor::backend::Backend;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, FloatDType, Tensor, activation, module};
use dp_sims_backends::fused;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

thread_local! {
    /// The type of the work that this thread does at the moment; none for f32.
    static CURRENT: Cell<Option<FloatDType>> = const { Cell::new(None) };
}

/// Type of the operands and results of convolutions and matrix products. Everything else is computed in f32:
/// statistics, softmax, losses, spectral norm and weights between steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// 24 bits of precision.
    #[default]
    F32,
    /// The range of f32 with 8 bits of precision.
    Bf16,
    /// 11 bits of precision, from 6e-8 to 65,504.
    F16,
}

impl Compute {
    /// As experiment files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// Whether small gradients become zero unless the loss is scaled up.
    pub fn underflows(self) -> bool {
        self == Self::F16
    }

    /// Whether the backend computes with this type on `device`.
    pub fn is_supported<B: Backend>(self, device: &B::Device) -> bool {
        self.dtype()
            .is_none_or(|dtype| B::supports_dtype(device, DType::from(dtype)))
    }

    /// Does work whose convolutions and products, backward passes included, compute in this type. Costs a
    /// pass over every operand and result.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        /// Puts back what was there, after a panic as well.
        struct Guard(Option<FloatDType>);
        impl Drop for Guard {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _guard = Guard(CURRENT.replace(self.dtype()));
        work()
    }

    fn dtype(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }
}

/// [`conv2d`](module::conv2d) in the [current](Compute::run) type. The bias is added in f32, since its gradient is
/// a sum over all pixels.
///
/// # Shapes
/// - input: `[N, C, H, W]`
/// - weight: `[O, C / groups, rows, columns]`
/// - bias: `[O]`
/// - output: `[N, O, H', W']`
pub fn conv2d<B: Backend>(
    input: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Option<Tensor<B, 1>>,
    options: ConvOptions<2>,
) -> Tensor<B, 4> {
    let Some(dtype) = CURRENT.get() else {
        return module::conv2d(input, weight, bias, options);
    };
    let output = module::conv2d(input.cast(dtype), weight.cast(dtype), None, options);
    let output = output.cast(FloatDType::F32);
    match bias {
        Some(bias) => output + bias.reshape([1, -1, 1, 1]),
        None => output,
    }
}

/// The product of matrices in the [current](Compute::run) type.
///
/// # Shapes
/// - left: `[…, rows, inner]`
/// - right: `[…, inner, columns]`
/// - output: `[…, rows, columns]`
pub fn matmul<B: Backend, const D: usize>(left: Tensor<B, D>, right: Tensor<B, D>) -> Tensor<B, D> {
    let Some(dtype) = CURRENT.get() else {
        return left.matmul(right);
    };
    let output = left.cast(dtype).matmul(right.cast(dtype));
    output.cast(FloatDType::F32)
}

/// softmax(QKᵀ/√d) V, its products in the [current](Compute::run) type. Where there are so many scores that
/// [`fused::attention`] does not keep them, all of it is computed in f32.
///
/// # Shapes
/// - query: `[N, heads, queries, d]`
/// - key: `[N, heads, keys, d]`
/// - value: `[N, heads, keys, d_v]`
/// - output: `[N, heads, queries, d_v]`
pub(crate) fn attention<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [_, _, queries, depth] = query.dims();
    let keys = key.dims()[2];
    if CURRENT.get().is_none() || !fused::keeps_scores(queries, keys) {
        return fused::attention(query, key, value);
    }
    // Divided before the product, whose sums may be too large for the type.
    let query = query / (depth as f64).sqrt();
    let scores = matmul(query, key.swap_dims(2, 3));
    matmul(activation::softmax(scores, 3), value)
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::init::InitRng;
    use crate::testing::{relative_error, values};

    const LOW: [Compute; 2] = [Compute::Bf16, Compute::F16];

    fn is_gpu<B: Backend>() -> bool {
        B::name(&Default::default()).contains("wgpu")
    }

    fn random<B: Backend, const D: usize>(name: &str, shape: [usize; D]) -> Tensor<B, D> {
        let rng = &mut InitRng::new(1, name);
        rng.normal(shape, 1.0, &Default::default()).val().detach()
    }

    /// Output, and gradients of its sum under fixed weights.
    fn probed<B: AutodiffBackend, const D: usize>(
        leaves: &[Tensor<B, D>],
        form: impl FnOnce(Vec<Tensor<B, D>>) -> Tensor<B, D>,
    ) -> Vec<Vec<f32>> {
        let leaves: Vec<_> = leaves
            .iter()
            .map(|leaf| leaf.clone().require_grad())
            .collect();
        let output = form(leaves.clone());
        assert_eq!(output.dtype(), DType::F32);
        let probe = random::<B, D>("probe", output.dims());
        let gradients = (output.clone() * probe).sum().backward();
        let of_leaves = leaves.iter().map(|leaf| {
            let gradient = leaf.grad(&gradients).unwrap();
            assert_eq!(gradient.dtype(), DType::F32);
            values(gradient)
        });
        std::iter::once(values(output)).chain(of_leaves).collect()
    }

    /// Asserts that a form of so many products in a row computes in the low type, and nearly the same.
    fn assert_near<B: AutodiffBackend, const D: usize>(
        products: usize,
        leaves: &[Tensor<B, D>],
        form: impl Fn(Vec<Tensor<B, D>>) -> Tensor<B, D>,
    ) {
        let exact = probed(leaves, &form);
        let mut compared = 0;
        for compute in LOW {
            if !compute.is_supported::<B>(&Default::default()) {
                continue;
            }
            let low = compute.run(|| probed(leaves, &form));
            // Half of the last bit of two operands and a result. GPUs may round partial sums too.
            let roundings = products as f32 * if is_gpu::<B>() { 6.0 } else { 1.5 };
            let bound = match compute {
                Compute::F16 => roundings / 2048.0,
                _ => roundings / 256.0,
            };
            for (low, exact) in low.iter().zip(&exact) {
                let error = relative_error(low, exact);
                assert!(error < bound, "{compute:?}: {error}");
                assert!(error > bound / 1000.0, "{compute:?} is not used: {error}");
            }
            compared += 1;
        }
        assert!(compared == LOW.len() || is_gpu::<B>(), "{compared} types");
    }

    fn convolutions_are_near<B: AutodiffBackend>() {
        for (kernel, groups) in [(3, 1), (1, 1), (3, 6)] {
            let leaves = [
                random::<B, 4>("input", [2, 6, 7, 5]),
                random("weight", [6, 6 / groups, kernel, kernel]),
            ];
            assert_near(1, &leaves, |leaves| {
                let padding = [kernel / 2; 2];
                let options = ConvOptions::new([1, 1], padding, [1, 1], groups);
                let [input, weight] = leaves.try_into().unwrap();
                conv2d(input, weight, Some(random("bias", [6])), options)
            });
        }
    }

    fn products_are_near<B: AutodiffBackend>() {
        let leaves = [random::<B, 2>("left", [9, 30]), random("right", [30, 4])];
        assert_near(1, &leaves, |leaves| {
            let [left, right] = leaves.try_into().unwrap();
            matmul(left, right)
        });
    }

    fn attention_is_near<B: AutodiffBackend>() {
        let leaves = [
            random::<B, 4>("query", [1, 2, 9, 8]),
            random("key", [1, 2, 5, 8]),
            random("value", [1, 2, 5, 8]),
        ];
        assert_near(2, &leaves, |leaves| {
            let [query, key, value] = leaves.try_into().unwrap();
            attention(query, key, value)
        });
    }

    // ndarray has neither type.
    backend_tests!(; without ndarray: convolutions_are_near, products_are_near, attention_is_near);

    #[test]
    fn the_type_is_that_of_the_innermost_work() {
        let current = || CURRENT.get();
        let inside = Compute::Bf16.run(|| (current(), Compute::F32.run(current), current()));
        let low = Some(FloatDType::BF16);
        assert_eq!(inside, (low, None, low));
        let panic = std::panic::catch_unwind(|| Compute::F16.run(|| panic!("inside")));
        assert!(panic.is_err() && current().is_none());
    }
}
