//! Pointwise convolutions.

use burn_backend::Shape;
use burn_backend::ops::{ConvOptions, FloatTensorOps};
use burn_cubecl::{BoolElement, CubeRuntime, ops};

use super::{Gpu, T, view};

/// Whether a convolution is a product of its weight with every position of its input.
pub(super) fn suits<R: CubeRuntime>(weight: &T<R>, options: &ConvOptions<2>) -> bool {
    let shape = weight.meta.shape();
    [shape[2], shape[3]] == [1, 1]
        && options.groups == 1
        && options.stride == [1, 1]
        && options.padding == [0, 0]
}

/// The convolution as one product per image, through our own [`float_matmul`], which avoids what is
/// wrong with the kernels that burn's pointwise convolution ends in (tracel-ai/burn#5626). Neither input
/// nor output changes the order of its memory.
///
/// [`float_matmul`]: FloatTensorOps::float_matmul
pub(super) fn forward<R: CubeRuntime, BT: BoolElement>(
    x: T<R>,
    weight: T<R>,
    bias: Option<T<R>>,
) -> T<R> {
    let [count, _, height, width] = dims(&x);
    let outputs = weight.meta.shape()[0];
    let product = Gpu::<R, BT>::float_matmul(matrix(weight), flat(x));
    let output = view::reshape(product, Shape::new([count, outputs, height, width]));
    match bias {
        Some(bias) => {
            let bias = view::reshape(bias, Shape::new([1, outputs, 1, 1]));
            Gpu::<R, BT>::float_add(output, bias)
        }
        None => output,
    }
}

/// The gradient of the input.
pub(super) fn input_gradient<R: CubeRuntime, BT: BoolElement>(
    weight: T<R>,
    output_grad: T<R>,
) -> T<R> {
    let [count, _, height, width] = dims(&output_grad);
    let inputs = weight.meta.shape()[1];
    let weight = ops::permute(matrix(weight), &[0, 2, 1]);
    let product = Gpu::<R, BT>::float_matmul(weight, flat(output_grad));
    view::reshape(product, Shape::new([count, inputs, height, width]))
}

/// The gradient of the weight: the sum over images of one product each.
pub(super) fn weight_gradient<R: CubeRuntime, BT: BoolElement>(x: T<R>, output_grad: T<R>) -> T<R> {
    let [_, inputs, ..] = dims(&x);
    let [_, outputs, ..] = dims(&output_grad);
    let x = ops::permute(flat(x), &[0, 2, 1]);
    let products = Gpu::<R, BT>::float_matmul(flat(output_grad), x);
    let sum = Gpu::<R, BT>::float_sum_dim(products, 0);
    view::reshape(sum, Shape::new([outputs, inputs, 1, 1]))
}

fn dims<R: CubeRuntime>(map: &T<R>) -> [usize; 4] {
    let shape = map.meta.shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

/// `[N, C, H, W]` as `[N, C, H · W]`.
fn flat<R: CubeRuntime>(map: T<R>) -> T<R> {
    let [count, channels, height, width] = dims(&map);
    view::reshape(map, Shape::new([count, channels, height * width]))
}

/// A weight `[O, C, 1, 1]` as a matrix `[1, O, C]`.
fn matrix<R: CubeRuntime>(weight: T<R>) -> T<R> {
    let [outputs, inputs, ..] = dims(&weight);
    view::reshape(weight, Shape::new([1, outputs, inputs]))
}
