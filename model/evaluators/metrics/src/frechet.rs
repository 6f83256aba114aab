use crate::moments::factor;
use crate::{MetricError, Statistics};

/// Fréchet distance between the normal distributions with these means and covariances:
/// |μ₁ - μ₂|² + tr Σ₁ + tr Σ₂ - 2 tr (Σ₁ Σ₂)^½.
///
/// With Σ = F Fᵀ from the symmetric eigendecompositions, the last trace is the sum of the singular
/// values of F₁ᵀ F₂. That is exact for covariances without full rank (fewer images than features),
/// where the square root of a product has rounding errors of zero under the root. Float64
/// throughout; two decompositions and a product of matrices of the features' length, in seconds
/// for 2048.
///
/// # Errors
/// When the lengths differ, a value is not finite or a decomposition does not converge.
pub fn frechet_distance(left: &Statistics, right: &Statistics) -> Result<f64, MetricError> {
    if left.len() != right.len() {
        return Err(MetricError::Lengths {
            left: left.len(),
            right: right.len(),
        });
    }
    for statistics in [left, right] {
        let means = statistics.mean.iter().all(|value| value.is_finite());
        let side = statistics.len();
        let covariance = &statistics.covariance;
        let mut entries =
            (0..side).flat_map(|row| (0..side).map(move |column| covariance[(row, column)]));
        if !means || !entries.all(f64::is_finite) {
            let what = "a mean or covariance of features".to_string();
            return Err(MetricError::NotFinite { what });
        }
    }
    let between: f64 = left
        .mean
        .iter()
        .zip(&right.mean)
        .map(|(left, right)| (left - right).powi(2))
        .sum();
    let trace = |statistics: &Statistics| -> f64 {
        let side = statistics.len();
        (0..side).map(|i| statistics.covariance[(i, i)]).sum()
    };
    let (first, second) = (factor(left)?, factor(right)?);
    let shared = if first.ncols() == 0 || second.ncols() == 0 {
        0.0
    } else {
        let product = first.transpose() * second;
        let side = left.len();
        let singular = product.singular_values();
        let singular = singular.map_err(|_| MetricError::Decomposition { side })?;
        singular.iter().sum()
    };
    Ok(between + trace(left) + trace(right) - 2.0 * shared)
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;
    use crate::Moments;

    fn diagonal(mean: &[f64], variances: &[f64]) -> Statistics {
        let side = mean.len();
        Statistics {
            mean: mean.to_vec(),
            covariance: Mat::from_fn(
                side,
                side,
                |row, column| {
                    if row == column { variances[row] } else { 0.0 }
                },
            ),
        }
    }

    #[test]
    fn diagonal_covariances_have_a_closed_form() {
        let left = diagonal(&[1.0, -2.0, 0.5], &[4.0, 0.25, 0.0]);
        let right = diagonal(&[0.0, 1.0, 0.5], &[1.0, 9.0, 2.0]);
        // Σ (μ - ν)² + (σ - τ)².
        let expected = 1.0 + 9.0 + 1.0 + 6.25 + 2.0;
        let found = frechet_distance(&left, &right).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found}");
    }

    #[test]
    fn two_by_two_has_a_closed_form() {
        // tr √M = √(tr M + 2 √det M) for a product M of two positive matrices of side two.
        let matrix = |a: f64, b: f64, d: f64| Statistics {
            mean: vec![0.0; 2],
            covariance: Mat::from_fn(2, 2, |row, column| [[a, b], [b, d]][row][column]),
        };
        let (left, right) = (matrix(2.0, 0.5, 1.0), matrix(1.0, -0.75, 3.0));
        let product = &left.covariance * &right.covariance;
        let trace = product[(0, 0)] + product[(1, 1)];
        let determinant = (2.0 - 0.25) * (3.0 - 0.5625);
        let root: f64 = (trace + 2.0 * f64::sqrt(determinant)).sqrt();
        let expected = 3.0 + 4.0 - 2.0 * root;
        let found = frechet_distance(&left, &right).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        let back = frechet_distance(&right, &left).unwrap();
        assert!((found - back).abs() < 1e-12, "{found} {back}");
    }

    /// Features with a spectrum that decays as that of a network does.
    fn statistics(images: usize, length: usize, seed: u64) -> Statistics {
        use rand::RngExt;
        use rand_chacha::ChaCha8Rng;
        use rand_chacha::rand_core::SeedableRng;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut moments = Moments::new(length);
        let entries = (0..images * length).map(|index| (index % length) as f32);
        let features: Vec<f32> = entries
            .map(|entry| rng.random::<f32>() / (1.0 + entry * 0.1))
            .collect();
        moments.add(&features).unwrap();
        moments.finish().unwrap()
    }

    #[test]
    fn a_set_has_no_distance_to_itself_with_and_without_full_rank() {
        for (images, length) in [(300, 64), (50, 128), (2, 32)] {
            let set = statistics(images, length, 1);
            let scale: f64 = (0..length).map(|i| set.covariance[(i, i)]).sum();
            let found = frechet_distance(&set, &set).unwrap().abs() / scale;
            assert!(found < 1e-12, "{images} images, {length} features: {found}");
            let other = statistics(images, length, 2);
            assert!(frechet_distance(&set, &other).unwrap() > 1e-4 * scale);
        }
    }

    #[test]
    fn five_hundred_images_and_2048_features_are_enough() {
        let set = statistics(500, 2048, 3);
        let scale: f64 = (0..2048).map(|i| set.covariance[(i, i)]).sum();
        let found = frechet_distance(&set, &set).unwrap().abs() / scale;
        assert!(found < 1e-6, "{found}");
    }

    #[test]
    fn a_constant_side_and_unusable_ones() {
        let constant = diagonal(&[1.0, 1.0], &[0.0, 0.0]);
        let other = diagonal(&[1.0, 3.0], &[2.0, 1.0]);
        assert!((frechet_distance(&constant, &other).unwrap() - 7.0).abs() < 1e-12);
        let short = diagonal(&[1.0], &[1.0]);
        let message = frechet_distance(&short, &other).unwrap_err().to_string();
        assert!(message.contains("length 1"), "{message}");
        let damaged = diagonal(&[1.0, 0.0], &[f64::NAN, 1.0]);
        assert!(frechet_distance(&damaged, &other).is_err());
        let damaged = diagonal(&[f64::INFINITY, 0.0], &[1.0, 1.0]);
        assert!(frechet_distance(&damaged, &other).is_err());
    }
}
