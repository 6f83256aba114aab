use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_backends::fused::spectral_norm;

use super::{Mode, set_buffer};
use crate::init::{InitRng, buffer};

const EPSILON: f64 = 1e-12;

/// Spectral norm: divides a convolution weight by an estimate of its largest singular value.
///
/// One power iteration per training forward, started from random vectors (notes G9). The vectors
/// are constants for the gradient; σ = uᵀWv is not. Costs two or three matrix-vector products with
/// the weight in training mode and one in evaluation mode.
#[derive(Module, Debug)]
pub struct SpectralNorm<B: Backend> {
    /// Left vector of shape `[channels_out]`.
    pub u: Param<Tensor<B, 1>>,
    /// Right vector of shape `[channels_in · kh · kw]`.
    pub v: Param<Tensor<B, 1>>,
}

impl<B: Backend> SpectralNorm<B> {
    /// Random unit vectors for a weight with this many rows and columns.
    pub fn new(rows: usize, columns: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        let mut unit = |length: usize| {
            let value: Param<Tensor<B, 1>> = rng.normal([length], 1.0, device);
            buffer(normalise(value.val().detach().reshape([length, 1])).reshape([length]))
        };
        Self {
            u: unit(rows),
            v: unit(columns),
        }
    }

    /// The weight divided by σ.
    ///
    /// # Shapes
    /// - weight: `[channels_out, channels_in, kh, kw]`, flattened with output channels as rows
    /// - output: the same
    pub fn forward(&mut self, weight: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let iterate = mode == Mode::Train;
        let scaled = spectral_norm(weight, [self.u.val(), self.v.val()], iterate);
        if iterate {
            set_buffer(&mut self.u, scaled.left);
            set_buffer(&mut self.v, scaled.right);
        }
        scaled.weight
    }
}

/// Scales a column to length one; a zero column stays zero.
fn normalise<B: Backend>(column: Tensor<B, 2>) -> Tensor<B, 2> {
    let length = column
        .clone()
        .square()
        .sum()
        .sqrt()
        .clamp_min(EPSILON)
        .reshape([1, 1]);
    column / length
}

#[cfg(test)]
mod tests {
    use burn::tensor::{ElementConversion, backend::AutodiffBackend};

    use super::*;

    fn converges_to_the_largest_singular_value<B: AutodiffBackend>() {
        let device = Default::default();
        let mut norm = SpectralNorm::<B>::new(2, 2, &mut InitRng::new(1, "t"), &device);
        // Singular values 3 and 1 behind a rotation.
        let weight = Tensor::<B, 2>::from_floats([[2.0, 1.0], [1.0, 2.0]], &device);
        let weight = weight.reshape([2, 2, 1, 1]);
        for _ in 0..30 {
            norm.forward(weight.clone(), Mode::Train);
        }
        let scaled: f32 = norm
            .forward(weight, Mode::Eval)
            .narrow(0, 0, 1)
            .max()
            .into_scalar()
            .elem();
        assert!((scaled - 2.0 / 3.0).abs() < 1e-5, "{scaled}");
    }

    fn evaluation_keeps_the_vectors<B: AutodiffBackend>() {
        let device = Default::default();
        let mut norm = SpectralNorm::<B>::new(3, 4, &mut InitRng::new(1, "t"), &device);
        let before = norm.u.val().into_data();
        let weight = InitRng::new(2, "w").xavier([3, 1, 2, 2], &device).val();
        norm.forward(weight.clone(), Mode::Eval);
        assert_eq!(norm.u.val().into_data(), before);
        norm.forward(weight, Mode::Train);
        assert_ne!(norm.u.val().into_data(), before);
    }

    /// The gradient of W/σ is orthogonal to W: scaling W does not change W/σ.
    fn gradient_is_orthogonal_to_the_weight<B: AutodiffBackend>() {
        let device = Default::default();
        let mut norm = SpectralNorm::<B>::new(3, 4, &mut InitRng::new(1, "t"), &device);
        let weight = InitRng::new(2, "w").xavier([3, 1, 2, 2], &device).val();
        let probe = InitRng::new(3, "p")
            .xavier::<B>([3, 1, 2, 2], &device)
            .val()
            .detach();
        let loss = (norm.forward(weight.clone(), Mode::Train) * probe).sum();
        let gradient = weight.grad(&loss.backward()).unwrap();
        let inner: f32 = (gradient.clone() * weight.inner())
            .sum()
            .into_scalar()
            .elem();
        let size: f32 = gradient.abs().max().into_scalar().elem();
        assert!(
            size > 0.0 && inner.abs() < 1e-5 * size.max(1.0),
            "{inner} {size}"
        );
    }

    backend_tests!(
        converges_to_the_largest_singular_value,
        evaluation_keeps_the_vectors,
        gradient_is_orthogonal_to_the_weight
    );
}
