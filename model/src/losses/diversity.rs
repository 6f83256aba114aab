//! Diversity loss (Eq. 6).

use burn::tensor::{Tensor, activation::relu, backend::Backend};

/// Smallest distance of two latents; random latents of 64 numbers are about 1.1 apart (facts L23).
const MIN_LATENT_DISTANCE: f64 = 1e-6;

/// max(0, `cutoff` - d(features) / d(latents)) per sample, mean over the batch, where d is the
/// mean absolute difference (facts O18).
///
/// `features1` and `features2` are the generator's activations before its last convolution, for
/// the same label maps and the latents `z1` and `z2`. Compute them in one forward pass of 2N
/// samples: between two passes the power iteration of spectral norm changes the weights, and the
/// loss sees that change as diversity (facts E1). Equal features have no gradient (facts E2).
///
/// # Shapes
/// - `features1`, `features2`: `[N, C, H, W]`
/// - `z1`, `z2`: `[N, d_z]`; a pair of equal latents is finite
/// - output: `[1]`, in 0..=`cutoff`
pub fn diversity<B: Backend>(
    features1: Tensor<B, 4>,
    features2: Tensor<B, 4>,
    z1: Tensor<B, 2>,
    z2: Tensor<B, 2>,
    cutoff: f64,
) -> Tensor<B, 1> {
    let features: Tensor<B, 2> = (features1 - features2).abs().flatten(1, 3);
    let latents = (z1 - z2).abs().mean_dim(1).clamp_min(MIN_LATENT_DISTANCE);
    relu(cutoff - features.mean_dim(1) / latents).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::reference::{Reference, finite_differences, value, values};
    use crate::testing::relative_error;
    use burn::tensor::backend::AutodiffBackend;

    fn reference() -> Reference {
        Reference::new(include_bytes!(
            "../../../tests/fixtures/losses/diversity.safetensors"
        ))
    }

    fn agrees_with_pytorch_and_finite_differences<B: AutodiffBackend>() {
        let reference = reference();
        let [f1, f2] = ["f1", "f2"].map(|name| reference.tensor::<B, 4>(name).require_grad());
        let [z1, z2] = ["z1", "z2"].map(|name| reference.tensor::<B, 2>(name));
        let loss = diversity(f1.clone(), f2.clone(), z1.clone(), z2.clone(), 1.0);
        let gradients = loss.backward();
        reference.check("loss", loss, 1e-6);
        let slopes1 = f1.grad(&gradients).unwrap();
        reference.check("grad.f1", slopes1.clone(), 1e-6);
        reference.check("grad.f2", f2.grad(&gradients).unwrap(), 1e-6);
        let (f2, z1, z2) = (f2.inner(), z1.inner(), z2.inner());
        let differences = finite_differences(f1.inner(), 1e-2, |f1| {
            diversity(f1, f2.clone(), z1.clone(), z2.clone(), 1.0)
        });
        let error = relative_error(&values(slopes1), &differences);
        assert!(error < 2e-3, "relative error {error:e}");
    }

    fn equal_latents_are_finite<B: AutodiffBackend>() {
        let reference = reference();
        let features = reference.tensor::<B, 4>("f1").require_grad();
        let z = reference.tensor::<B, 2>("z1");
        let loss = diversity(
            features.clone(),
            features.clone(),
            z.clone(),
            z.clone(),
            0.5,
        );
        let gradients = loss.backward();
        assert_eq!(value(loss), 0.5);
        assert!(
            values(features.grad(&gradients).unwrap())
                .iter()
                .all(|&slope| slope == 0.0)
        );
        let other = reference.tensor::<B, 4>("f2");
        assert_eq!(value(diversity(features, other, z.clone(), z, 0.5)), 0.0);
    }

    backend_tests!(
        agrees_with_pytorch_and_finite_differences,
        equal_latents_are_finite
    );
}
