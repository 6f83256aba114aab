use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend, ops::ConvOptions};

use super::conv2d;
use super::resize::resample;
use crate::init::InitRng;

/// 3×3 convolution without bias over a latent that is repeated over all pixels, with zero padding.
///
/// The output depends on a pixel only through the borders it touches, so that it is computed on a
/// map of 3 × 3 pixels and spread: 81 · `latent_dim` · `channels_out` multiply-adds per image
/// whatever the size, where the convolution over the repeated latent costs 9 per pixel.
#[derive(Module, Debug)]
pub struct LatentConv<B: Backend> {
    /// Weight of shape `[channels_out, latent_dim, 3, 3]`.
    pub weight: Param<Tensor<B, 4>>,
}

impl<B: Backend> LatentConv<B> {
    /// A convolution with xavier-normal weight (gain 0.02; notes L32).
    pub fn new(
        latent_dim: usize,
        channels_out: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        Self {
            weight: rng.xavier([channels_out, latent_dim, 3, 3], device),
        }
    }

    /// Convolves.
    ///
    /// # Shapes
    /// - latent: `[N, latent_dim]`
    /// - output: `[N, channels_out, height, width]`
    pub fn forward(&self, latent: Tensor<B, 2>, height: usize, width: usize) -> Tensor<B, 4> {
        let [batch, latent_dim] = latent.dims();
        let (rows, columns) = (height.min(3), width.min(3));
        let map = latent
            .reshape([batch, latent_dim, 1, 1])
            .expand([batch, latent_dim, rows, columns]);
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let output = conv2d(map, self.weight.val(), None, options);
        resample(output, height, width, ("latent spread", spread_matrix))
    }
}

/// First row, inner rows and last row of three, as a row-major `[to, from]` matrix.
fn spread_matrix(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0f32; from * to];
    for row in 0..to {
        let source = if row + 1 == to { from - 1 } else { row.min(1) };
        matrix[row * from + source] = 1.0;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::testing::{relative_error, values};

    /// Output and gradients equal those of the convolution over the repeated latent.
    fn equals_the_dense_convolution<B: AutodiffBackend>() {
        let device = Default::default();
        for [height, width] in [[1, 2], [2, 3], [4, 5], [3, 7]] {
            let rng = &mut InitRng::new(3, "t");
            let layer = LatentConv::<B>::new(4, 3, rng, &device);
            let latent = rng.normal([2, 4], 1.0, &device).val().detach();
            let probe: Tensor<B, 4> = rng.normal([2, 3, height, width], 1.0, &device).val();

            let weight = layer.weight.val().detach().require_grad();
            let z = latent.clone().require_grad();
            let map = z.clone().reshape([2, 4, 1, 1]);
            let map = map.repeat_dim(2, height).repeat_dim(3, width);
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let dense = conv2d(map, weight.clone(), None, options);
            let gradients = (dense.clone() * probe.clone().detach()).sum().backward();
            let expected = [weight.grad(&gradients).unwrap(), {
                let gradient = z.grad(&gradients).unwrap();
                gradient.reshape([2, 4, 1, 1])
            }];

            let z = latent.require_grad();
            let output = layer.forward(z.clone(), height, width);
            let gradients = (output.clone() * probe.detach()).sum().backward();
            assert!(relative_error(&values(output), &values(dense)) < 1e-5);
            let found = layer.weight.grad(&gradients).unwrap();
            assert!(relative_error(&values(found), &values(expected[0].clone())) < 1e-5);
            let found = z.grad(&gradients).unwrap();
            assert!(relative_error(&values(found), &values(expected[1].clone())) < 1e-5);
        }
    }

    backend_tests!(equals_the_dense_convolution);
}
