//! Diversity loss (Eq. 6), and the same asked of every place of the image.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Tensor, activation::relu};

/// Smallest distance of two latents; random latents of 64 numbers are about 1.1 apart (notes L23).
const MIN_LATENT_DISTANCE: f64 = 1e-6;

/// max(0, `cutoff` - d(features) / d(latents)) per sample, mean over the batch, where d is the
/// mean absolute difference (notes O18).
///
/// `features1` and `features2` are the generator's activations before its last convolution, for
/// the same label maps and the latents `z1` and `z2`. Compute them in one forward pass of 2N
/// samples: between two passes the power iteration of spectral norm changes the weights, and the
/// loss sees that change as diversity (notes E1). Equal features have no gradient (notes E2).
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
    let latents = latent_distance(z1, z2);
    relu(cutoff - features.mean_dim(1) / latents).mean()
}

/// The diversity loss asked of every place: mean over places of max(0, `cutoff` - d(place) /
/// d(latents)), where d(place) is the mean absolute difference of the channels there. An own
/// addition, not the paper's.
///
/// The mean over a whole map, as Eq. 6 has it, is met by a burnt-out corner or by features whose
/// scale has grown; here no place can stand in for another. Give it images, or unit-length features
/// of a frozen network, whose scale the generator cannot change. Maps are first averaged over cells
/// of `cell` positions, so that a difference of a place is one of its colour and not of its grain.
///
/// # Shapes
/// - `maps1`, `maps2`: `[N, C, H, W]`, sides multiples of `cell`
/// - `z1`, `z2`: `[N, d_z]`; a pair of equal latents is finite
/// - output: `[1]`, in 0..=`cutoff`
pub fn diversity_everywhere<B: Backend>(
    maps1: Tensor<B, 4>,
    maps2: Tensor<B, 4>,
    z1: Tensor<B, 2>,
    z2: Tensor<B, 2>,
    cutoff: f64,
    cell: usize,
) -> Tensor<B, 1> {
    let mut difference = maps1 - maps2;
    if cell > 1 {
        let [_, _, height, width] = difference.dims();
        difference = adaptive_avg_pool2d(difference, [height / cell, width / cell]);
    }
    let places: Tensor<B, 2> = difference.abs().mean_dim(1).flatten(1, 3);
    let latents = latent_distance(z1, z2);
    relu(cutoff - places / latents).mean()
}

/// Diversity in the features of a frozen network, asked of every place: mean over scales and places of
/// max(0, `cutoff` - d(place) / d(latents)), where d(place) is the squared distance of the feature
/// vectors there, brought to length one: 0 for the same direction, 2 for a right angle. An own
/// addition, not the paper's; it is what LPIPS measures, without its learned weights.
///
/// The gradient reaches `features1` alone: the other side needs no graph.
///
/// # Shapes
/// - `features1`, `features2`: per scale `[N, C_l, H_l, W_l]`
/// - `z1`, `z2`: `[N, d_z]`; a pair of equal latents is finite
/// - output: `[1]`, in 0..=`cutoff`
pub fn diversity_of_features<B: AutodiffBackend>(
    features1: Vec<Tensor<B, 4>>,
    features2: Vec<Tensor<B::InnerBackend, 4>>,
    z1: Tensor<B, 2>,
    z2: Tensor<B, 2>,
    cutoff: f64,
) -> Tensor<B, 1> {
    let scales = features1.len().max(1) as f64;
    let latents = latent_distance(z1, z2);
    let mut total = Tensor::zeros([1], &latents.device());
    for (first, second) in features1.into_iter().zip(features2) {
        let second = Tensor::from_inner(unit_length(second));
        let distance = (unit_length(first) - second).square().sum_dim(1);
        let places: Tensor<B, 2> = distance.flatten(1, 3);
        total = total + relu(cutoff - places / latents.clone()).mean();
    }
    total / scales
}

/// Mean absolute difference of latents, `[N, 1]`, never zero.
fn latent_distance<B: Backend>(z1: Tensor<B, 2>, z2: Tensor<B, 2>) -> Tensor<B, 2> {
    (z1 - z2).abs().mean_dim(1).clamp_min(MIN_LATENT_DISTANCE)
}

/// Feature vectors brought to length one; a zero vector stays zero.
fn unit_length<B: Backend>(features: Tensor<B, 4>) -> Tensor<B, 4> {
    let squares = features.clone().square().sum_dim(1);
    features / (squares + 1e-12).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::reference::{Reference, finite_differences, value};
    use crate::testing::{relative_error, values};
    use burn::tensor::TensorData;

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

    fn map<B: Backend>(values: &[f32], shape: [usize; 4]) -> Tensor<B, 4> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Default::default())
    }

    fn latents<B: Backend>(value: f32) -> Tensor<B, 2> {
        Tensor::full([1, 4], value, &Default::default())
    }

    /// One row of four places of one pixel and two channels: differences 0, 0.1, 0.4 and 2; latents
    /// differ by 0.5.
    fn no_place_stands_in_for_another<B: AutodiffBackend>() {
        let shape = [1, 2, 1, 4];
        let first = map::<B>(&[0., 0., 0.4, 1., 0., 0.2, 0.4, 1.], shape).require_grad();
        let second = map::<B>(&[0., 0., 0., -1., 0., 0., 0., -1.], shape);
        let (z1, z2) = (latents(0.5), latents(0.0));
        let everywhere = diversity_everywhere(
            first.clone(),
            second.clone(),
            z1.clone(),
            z2.clone(),
            0.5,
            1,
        );
        // 0.5 - 0, 0.5 - 0.1 / 0.5 and twice nothing, over four places.
        let loss = value(everywhere.clone());
        assert!((loss - 0.8 / 4.0).abs() < 1e-6, "{loss}");
        // The mean difference, 0.625 / 0.5, asks for nothing.
        assert_eq!(value(diversity(first.clone(), second, z1, z2, 0.5)), 0.0);
        let slopes = values(first.grad(&everywhere.backward()).unwrap());
        // Places that differ enough have no slope; where nothing differs, |.| has none either.
        assert_eq!(slopes[2..5], [0.0; 3]);
        assert!(
            (slopes[5] + 1.0 / (2.0 * 0.5 * 4.0)).abs() < 1e-6,
            "{slopes:?}"
        );
    }

    /// Pixels that differ in turns have the same colour once they are averaged.
    fn cells_compare_colours<B: AutodiffBackend>() {
        let checks: Vec<f32> = (0..16).map(|i| ((i + i / 4) % 2) as f32).collect();
        let other: Vec<f32> = checks.iter().map(|value| 1.0 - value).collect();
        let shape = [1, 1, 4, 4];
        let loss = |cell| {
            let (first, second) = (map::<B>(&checks, shape), map::<B>(&other, shape));
            value(diversity_everywhere(
                first,
                second,
                latents(1.0),
                latents(0.0),
                0.25,
                cell,
            ))
        };
        assert_eq!((loss(1), loss(2)), (0.0, 0.25));
    }

    fn everywhere_agrees_with_finite_differences<B: AutodiffBackend>() {
        let reference = reference();
        let [f1, f2] = ["f1", "f2"].map(|name| reference.tensor::<B, 4>(name));
        let [z1, z2] = ["z1", "z2"].map(|name| reference.tensor::<B, 2>(name));
        let f1 = f1.require_grad();
        let loss = diversity_everywhere(f1.clone(), f2.clone(), z1.clone(), z2.clone(), 1.0, 1);
        let slopes = f1.grad(&loss.backward()).unwrap();
        let (f2, z1, z2) = (f2.inner(), z1.inner(), z2.inner());
        let differences = finite_differences(f1.inner(), 1e-3, |f1| {
            diversity_everywhere(f1, f2.clone(), z1.clone(), z2.clone(), 1.0, 1)
        });
        let error = relative_error(&values(slopes), &differences);
        assert!(error < 2e-2, "relative error {error:e}");
    }

    backend_tests!(
        agrees_with_pytorch_and_finite_differences,
        equal_latents_are_finite,
        no_place_stands_in_for_another,
        cells_compare_colours,
        everywhere_agrees_with_finite_differences
    );
}
