use burn::module::{Module, Param};
use burn::tensor::module::{avg_pool2d, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, backend::Backend};

use crate::init::{InitRng, filled};

/// How a convolution is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// The same number of zeros on every side.
    Symmetric(usize),
    /// TensorFlow's `SAME`: as many zeros as make the output `ceil(input / stride)`, the odd one
    /// at the bottom and right (notes D24).
    TensorflowSame,
}

/// A square convolution with bias, in PyTorch's naming.
#[derive(Module, Debug)]
pub struct Conv2d<B: Backend> {
    /// `[out, in / groups, k, k]`
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`
    pub bias: Param<Tensor<B, 1>>,
    stride: usize,
    groups: usize,
    #[module(skip)]
    padding: Padding,
}

impl<B: Backend> Conv2d<B> {
    /// Weights from N(0, `std`²), bias zero.
    #[allow(
        clippy::too_many_arguments,
        reason = "the numbers that define a convolution"
    )]
    pub(super) fn new(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        groups: usize,
        padding: Padding,
        std: f64,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let [input, output] = channels;
        let shape = [output, input / groups, kernel, kernel];
        Self {
            weight: rng.normal(shape, std, device),
            bias: filled([output], 0.0, device),
            stride,
            groups,
            padding,
        }
    }

    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`
    /// - output: `[N, out, H', W']`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let kernel = self.weight.dims()[2];
        // A 1 × 1 convolution reads every `stride`th pixel; they are taken before it, because
        // burn-cubecl 0.21 computes its input gradient as if the stride were 1.
        let (input, stride) = if kernel == 1 && self.stride > 1 {
            let strides = [self.stride; 2];
            let taken = avg_pool2d(input, [1, 1], strides, [0, 0], true, false);
            (taken, 1)
        } else {
            (input, self.stride)
        };
        let [_, _, height, width] = input.dims();
        let around = [height, width].map(|size| match self.padding {
            Padding::Symmetric(padding) => (padding, padding),
            Padding::TensorflowSame => tensorflow_same(size, kernel, stride),
        });
        let [(top, bottom), (left, right)] = around;
        let (input, padding) = if top == bottom && left == right {
            (input, [top, left])
        } else {
            (pad(input, around), [0, 0])
        };
        let options = ConvOptions::new([stride; 2], padding, [1, 1], self.groups);
        conv2d(input, self.weight.val(), Some(self.bias.val()), options)
    }
}

/// Zeros before and after rows and columns. With a graph, [`Tensor::pad`] takes them from the memory of
/// the machine to the device in every pass.
fn pad<B: Backend>(
    input: Tensor<B, 4>,
    [(top, bottom), (left, right)]: [(usize, usize); 2],
) -> Tensor<B, 4> {
    let [batch, channels, height, width] = input.dims();
    let shape = [batch, channels, top + height + bottom, left + width + right];
    let inside = [0..batch, 0..channels, top..top + height, left..left + width];
    Tensor::zeros(shape, &input.device()).slice_assign(inside, input)
}

/// Zeros before and after one side of `size` pixels.
fn tensorflow_same(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let covered = (size.div_ceil(stride) - 1) * stride + kernel;
    let total = covered.saturating_sub(size);
    (total / 2, total - total / 2)
}

#[cfg(test)]
mod tests {
    use burn::tensor::ElementConversion;
    use burn::tensor::backend::AutodiffBackend;
    use burn::tensor::module::max_pool2d;

    use super::*;

    #[test]
    fn same_padding_depends_on_the_input_size() {
        // Even input, stride 2, kernel 3: one zero at the end only.
        assert_eq!(tensorflow_same(8, 3, 2), (0, 1));
        assert_eq!(tensorflow_same(7, 3, 2), (1, 1));
        assert_eq!(tensorflow_same(8, 5, 2), (1, 2));
        assert_eq!(tensorflow_same(8, 5, 1), (2, 2));
        assert_eq!(tensorflow_same(1, 3, 2), (1, 1));
        assert_eq!(tensorflow_same(5, 1, 2), (0, 0));
    }

    /// A layer that is linear, or linear between kinks through the origin, satisfies
    /// <c, L(x)> = <gradient of it at x, x>.
    fn assert_adjoint<B: AutodiffBackend>(
        size: [usize; 2],
        layer: impl Fn(Tensor<B, 4>) -> Tensor<B, 4>,
        what: &str,
    ) {
        let rng = &mut InitRng::new(1, "adjoint");
        let shape = [2, 4, size[0], size[1]];
        let input: Tensor<B, 4> = rng.normal(shape, 1.0, &Default::default()).val().detach();
        let input = input.require_grad();
        let output = layer(input.clone());
        let cotangent: Tensor<B, 4> = rng.normal(output.dims(), 1.0, &output.device()).val();
        let product = output * cotangent.detach();
        let gradients = product.clone().sum().backward();
        let back = input.grad(&gradients).unwrap() * input.inner();
        let scalar = |tensor: Tensor<B::InnerBackend, 1>| tensor.into_scalar().elem::<f32>();
        let forth = scalar(product.clone().inner().sum());
        let scale = scalar(product.inner().abs().sum());
        let error = (scalar(back.sum()) - forth).abs() / scale;
        assert!(error < 1e-5, "{what} of {size:?}: {error}");
    }

    fn strided_layers_pass_gradients<B: AutodiffBackend>() {
        let device = Default::default();
        for size in [[8, 8], [7, 10], [9, 9], [10, 7]] {
            for (kernel, stride, padding) in [
                (1, 2, Padding::Symmetric(0)),
                (3, 2, Padding::Symmetric(1)),
                (7, 2, Padding::Symmetric(3)),
                (4, 4, Padding::Symmetric(0)),
                (2, 2, Padding::Symmetric(0)),
                (3, 2, Padding::TensorflowSame),
                (5, 2, Padding::TensorflowSame),
            ] {
                let rng = &mut InitRng::new(2, "layer");
                let conv = Conv2d::<B>::new([4, 8], kernel, stride, 1, padding, 0.3, rng, &device);
                let what = format!("convolution {kernel}, stride {stride}, {padding:?}");
                assert_adjoint(size, |input| conv.forward(input), &what);
            }
            let pool = |input| max_pool2d(input, [3, 3], [2, 2], [1, 1], [1, 1], false);
            assert_adjoint::<B>(size, pool, "maximum");
        }
    }

    backend_tests!(strided_layers_pass_gradients);
}
