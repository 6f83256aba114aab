use burn::backend::Autodiff;
use burn::tensor::activation::{gelu, log_sigmoid, relu, sigmoid, softmax};
use burn::tensor::module::{avg_pool2d, conv2d, embedding, interpolate, max_pool2d};
use burn::tensor::module::{max_pool2d_with_indices, unfold4d};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions, UnfoldOptions};
use burn::tensor::quantization::{QuantScheme, QuantValue};
use burn::tensor::{
    Bool, Distribution, ElementConversion, Int, Tensor, TensorData, Transaction, s,
};
use burn_backend::Backend;
use burn_flex::{Flex, FlexDevice};

use super::Cpu;

/// Values in [-1, 1] that do not repeat. Of exact operations alone: two copies of this function, one for
/// each backend, may be given sines of different last digits by the compiler.
fn values<B: Backend, const D: usize>(shape: [usize; D], phase: f32) -> Tensor<B, D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|index| ((index as f32 * 0.7371 + phase) % 2.0) - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &B::Device::default())
}

fn indices<B: Backend>(values: &[i32]) -> Tensor<B, 1, Int> {
    Tensor::from_data(TensorData::from(values), &B::Device::default())
}

macro_rules! data {
    ($($tensor:expr),* $(,)?) => { vec![$($tensor.into_data()),*] };
}

fn floats<B: Backend>() -> Vec<TensorData> {
    let (a, b) = (values::<B, 2>([5, 7], 0.1), values::<B, 2>([5, 7], 0.9));
    let (largest, at) = a.clone().max_dim_with_indices(1);
    data![
        a.clone() + b.clone(),
        a.clone() / (b.clone() + 2.0),
        a.clone().matmul(b.clone().transpose()),
        a.clone()
            .gather(1, indices::<B>(&[6, 0, 3, 3, 1]).reshape([5, 1])),
        a.clone().select(0, indices::<B>(&[4, 4, 0])),
        a.clone()
            .slice_assign(s![1..3, 2..], b.clone().slice(s![0..2, 0..5])),
        a.clone().mask_where(b.clone().greater_elem(0.0), b.clone()),
        a.clone().clamp(-0.5, 0.5).exp().log().sqrt(),
        a.clone().sort_descending(1),
        a.clone().cumsum(0),
        a.clone().argmax(1),
        a.clone().var(1),
        Tensor::cat(vec![a.clone(), b.clone()], 1),
        a.clone()
            .flip([0])
            .repeat_dim(1, 2)
            .unsqueeze::<3>()
            .expand([2, 5, 14]),
        a.clone().permute([1, 0]).powf_scalar(2.0),
        a.is_nan().any(),
        largest,
        at,
    ]
}

fn ints<B: Backend>() -> Vec<TensorData> {
    let a = indices::<B>(&[5, -3, 8, 0, 2, 2]).reshape([2, 3]);
    let b = indices::<B>(&[1, 2, 3, -4, 5, 6]).reshape([2, 3]);
    data![
        a.clone() * b.clone() + 3,
        a.clone() / b.clone(),
        a.clone().greater(b.clone()),
        a.clone().argmax(1),
        a.clone().sum_dim(0),
        a.clone().float(),
        a.clone().bitwise_and_scalar(6.elem()),
        a.clone().scatter(
            1,
            b.clone().clamp(0, 2),
            b.clone(),
            burn::tensor::IndexingUpdateOp::Add
        ),
        a.mask_fill(b.equal_elem(3), 7),
        Tensor::<B, 1, Int>::arange_step(2..11, 3, &B::Device::default()),
    ]
}

fn bools<B: Backend>() -> Vec<TensorData> {
    let a: Tensor<B, 2, Bool> = values::<B, 2>([4, 6], 0.3).greater_elem(0.0);
    let b: Tensor<B, 2, Bool> = values::<B, 2>([4, 6], 1.3).greater_elem(0.2);
    data![
        a.clone().bool_and(b.clone()),
        a.clone().bool_xor(b.clone()),
        a.clone().bool_not().int(),
        a.clone().all_dim(1),
        a.clone().transpose().float(),
        a.clone().argwhere(),
        a.equal(b),
    ]
}

fn activations<B: Backend>() -> Vec<TensorData> {
    let x = values::<B, 3>([2, 3, 5], 0.4);
    data![
        softmax(x.clone(), 2),
        softmax(x.clone(), 1),
        relu(x.clone()),
        gelu(x.clone()),
        sigmoid(x.clone()),
        log_sigmoid(x),
    ]
}

fn modules<B: Backend>() -> Vec<TensorData> {
    let x = values::<B, 4>([2, 3, 8, 6], 0.2);
    let (pooled, at) = max_pool2d_with_indices(x.clone(), [2, 2], [2, 2], [0, 0], [1, 1], false);
    let cubic = InterpolateOptions::new(InterpolateMode::Bicubic);
    data![
        pooled,
        at,
        max_pool2d(x.clone(), [3, 3], [2, 2], [1, 1], [1, 1], false),
        avg_pool2d(x.clone(), [2, 3], [2, 1], [1, 1], true, false),
        interpolate(x.clone(), [5, 9], cubic),
        unfold4d(x, [3, 3], UnfoldOptions::new([1, 1], [1, 1], [1, 1])),
        embedding(
            values::<B, 2>([4, 3], 0.8),
            indices::<B>(&[3, 0, 1]).reshape([1, 3])
        ),
    ]
}

fn gradients<B: Backend>() -> Vec<TensorData> {
    type A<B> = Autodiff<B>;
    let x = || values::<A<B>, 4>([2, 3, 8, 6], 0.2).require_grad();
    let gradient = |x: &Tensor<A<B>, 4>, y: Tensor<A<B>, 4>| {
        let grads = (y.clone() * y).sum().backward();
        let found = x.grad(&grads);
        found.map(Tensor::into_data).into_iter()
    };
    let mut found = Vec::new();
    for mode in [
        InterpolateMode::Nearest,
        InterpolateMode::Bilinear,
        InterpolateMode::Bicubic,
    ] {
        let x = x();
        let y = interpolate(x.clone(), [5, 9], InterpolateOptions::new(mode));
        found.extend(gradient(&x, y));
    }
    let input = x();
    let y = max_pool2d(input.clone(), [3, 3], [2, 2], [1, 1], [1, 1], false);
    found.extend(gradient(&input, y));
    let input = x();
    found.extend(gradient(&input, gelu(sigmoid(input.clone()))));
    assert_eq!(found.len(), 5);
    found
}

fn others<B: Backend>() -> Vec<TensorData> {
    let device = B::Device::default();
    B::seed(&device, 17);
    let normal = Tensor::<B, 1>::random([9], Distribution::Normal(0.0, 1.0), &device);
    let whole = Tensor::<B, 1, Int>::random([9], Distribution::Uniform(0.0, 9.0), &device);
    let scheme = QuantScheme::default().with_value(QuantValue::Q8S);
    let quantized = values::<B, 2>([4, 8], 0.5).quantize_dynamic(&scheme);
    let mut found = data![normal.clone(), whole.clone(), quantized.dequantize()];
    found.extend(
        Transaction::default()
            .register(normal)
            .register(whole)
            .execute(),
    );
    found
}

#[test]
fn every_family_of_operations_is_that_of_flex() {
    assert_eq!(floats::<Cpu>(), floats::<Flex>());
    assert_eq!(ints::<Cpu>(), ints::<Flex>());
    assert_eq!(bools::<Cpu>(), bools::<Flex>());
    assert_eq!(activations::<Cpu>(), activations::<Flex>());
    assert_eq!(modules::<Cpu>(), modules::<Flex>());
    assert_eq!(gradients::<Cpu>(), gradients::<Flex>());
    assert_eq!(others::<Cpu>(), others::<Flex>());
}

#[test]
fn automatic_differentiation_reaches_the_gradients_of_this_backend() {
    fn run<B: Backend>() -> [TensorData; 3] {
        let x = values::<Autodiff<B>, 4>([2, 3, 8, 6], 0.2).require_grad();
        let weight = values::<Autodiff<B>, 4>([4, 3, 3, 3], 0.5).require_grad();
        let bias = values::<Autodiff<B>, 1>([4], 0.7).require_grad();
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let y = conv2d(x.clone(), weight.clone(), Some(bias.clone()), options);
        let grads = (y.clone() * y).sum().backward();
        [
            x.grad(&grads).map(Tensor::into_data),
            weight.grad(&grads).map(Tensor::into_data),
            bias.grad(&grads).map(Tensor::into_data),
        ]
        .map(|gradient| gradient.expect("the tensor requires a gradient"))
    }
    for (found, expected) in run::<Cpu>().iter().zip(&run::<Flex>()) {
        found.assert_approx_eq::<f32>(expected, burn::tensor::Tolerance::rel_abs(1e-5, 1e-4));
    }
}

#[test]
fn the_backend_describes_itself_like_flex() {
    let device = FlexDevice;
    assert_eq!(Cpu::name(&device), Flex::name(&device));
    assert_eq!(Cpu::device_count(0), Flex::device_count(0));
    for dtype in [
        burn_backend::DType::F32,
        burn_backend::DType::Bool(burn_backend::BoolStore::U32),
    ] {
        assert_eq!(
            Cpu::dtype_usage(&device, dtype),
            Flex::dtype_usage(&device, dtype)
        );
    }
}
