//! Projection of feature maps to the vectors that the contrastive loss compares.

use burn::module::{Initializer, Module};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Int, Tensor, backend::Backend};

use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig};

/// Added to squared norms, so that a zero vector has a gradient.
const NORM_EPSILON: f64 = 1e-12;

/// Projection of one scale: 3x3 convolution, ReLU, and at the sampled positions linear, ReLU,
/// linear, L2 normalisation (notes O16).
#[derive(Module, Debug)]
pub struct ProjectorHead<B: Backend> {
    /// 3x3 convolution, channels of the scale to `dim`.
    pub conv: Conv<B>,
    /// `dim` to `dim`.
    pub hidden: Linear<B>,
    /// `dim` to `dim`.
    pub output: Linear<B>,
}

impl<B: Backend> ProjectorHead<B> {
    /// A projection of `channels` feature channels with PyTorch's default initialisation.
    pub fn new(channels: usize, dim: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        let conv = ConvConfig::new(channels, dim, 3).init_torch(rng, device);
        // The initialiser only gives shapes: the values come from `rng`.
        let mut linear = || {
            let mut linear = LinearConfig::new(dim, dim)
                .with_initializer(Initializer::Zeros)
                .init(device);
            linear.weight = rng.torch_default([dim, dim], dim, device);
            linear.bias = Some(rng.torch_default([dim], dim, device));
            linear
        };
        let hidden = linear();
        let output = linear();
        Self {
            conv,
            hidden,
            output,
        }
    }

    /// Unit vectors at positions of a feature map.
    ///
    /// # Shapes
    /// - `features`: `[N, C, H, W]`
    /// - `positions`: `[P]`, in 0..H·W, row by row
    /// - output: `[N, P, dim]`
    pub fn forward(&self, features: Tensor<B, 4>, positions: Tensor<B, 1, Int>) -> Tensor<B, 3> {
        let map: Tensor<B, 3> = relu(self.conv.forward(features)).flatten(2, 3);
        let vectors = map.select(2, positions).swap_dims(1, 2);
        let vectors = self.output.forward(relu(self.hidden.forward(vectors)));
        let norm = (vectors.clone().square().sum_dim(2) + NORM_EPSILON).sqrt();
        vectors / norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;
    use burn::tensor::backend::AutodiffBackend;

    fn initial_values_have_the_bounds_of_pytorch<B: AutodiffBackend>() {
        let device = Default::default();
        let init = |seed| ProjectorHead::<B>::new(5, 16, &mut InitRng::new(seed, "head"), &device);
        let (head, other) = (init(1), init(2));
        for (values, bound) in [
            (values(head.conv.weight.val()), 1.0 / 45f32.sqrt()),
            (
                values(head.conv.bias.as_ref().unwrap().val()),
                1.0 / 45f32.sqrt(),
            ),
            (values(head.hidden.weight.val()), 0.25),
            (values(head.output.bias.as_ref().unwrap().val()), 0.25),
        ] {
            let largest = values
                .iter()
                .fold(0f32, |most, value| most.max(value.abs()));
            assert!(
                largest <= bound && largest > 0.7 * bound,
                "{largest} against {bound}"
            );
        }
        let weight = |head: &ProjectorHead<B>| values(head.output.weight.val());
        assert_eq!(weight(&head), weight(&init(1)));
        assert_ne!(weight(&head), weight(&other));
        assert_eq!(head.num_params(), 5 * 9 * 16 + 16 + 2 * (16 * 16 + 16));
    }

    backend_tests!(initial_values_have_the_bounds_of_pytorch);
}
