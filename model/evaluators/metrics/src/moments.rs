use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par, Side};

use crate::MetricError;

/// Mean and covariance of the features of a set of images.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// `[length]`
    pub mean: Vec<f64>,
    /// Covariance with the factor 1 / (N - 1), `[length, length]`.
    pub covariance: Mat<f64>,
}

impl Statistics {
    /// Length of the features.
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Whether the features have no entries.
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }
}

/// Running mean and covariance of features that arrive in pieces.
///
/// Memory is that of one `length × length` matrix of float64, whatever the number of images: 34 MB
/// for the 2048 features of Inception. Sums are taken of the difference to the first feature, so
/// that a large mean costs no digits of the covariance. A piece of N features costs
/// N · length² multiply-adds.
#[derive(Clone, Debug)]
pub struct Moments {
    count: usize,
    /// The first feature, which all others are taken relative to.
    origin: Vec<f64>,
    sum: Vec<f64>,
    /// Lower triangle of Σ (x - origin) (x - origin)ᵀ.
    products: Mat<f64>,
}

impl Moments {
    /// Of no images, for features of `length` entries.
    pub fn new(length: usize) -> Self {
        Self {
            count: 0,
            origin: Vec::new(),
            sum: vec![0.0; length],
            products: Mat::zeros(length, length),
        }
    }

    /// Number of images so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes in the features of some images.
    ///
    /// # Shapes
    /// - features: `[images, length]`, row by row
    ///
    /// # Errors
    /// [`MetricError::NotFinite`]; [`MetricError::Lengths`] when rows are incomplete.
    pub fn add(&mut self, features: &[f32]) -> Result<(), MetricError> {
        let length = self.sum.len();
        if length == 0 || !features.len().is_multiple_of(length) {
            return Err(MetricError::Lengths {
                left: features.len(),
                right: length,
            });
        }
        if features.iter().any(|value| !value.is_finite()) {
            let what = format!("a feature of the images from number {}", self.count);
            return Err(MetricError::NotFinite { what });
        }
        if features.is_empty() {
            return Ok(());
        }
        if self.origin.is_empty() {
            self.origin = features[..length].iter().copied().map(f64::from).collect();
        }
        let rows = features.len() / length;
        let shifted: Vec<f64> = features
            .chunks_exact(length)
            .flat_map(|row| {
                row.iter()
                    .zip(&self.origin)
                    .map(|(&value, origin)| f64::from(value) - origin)
            })
            .collect();
        for row in shifted.chunks_exact(length) {
            for (sum, value) in self.sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let shifted = MatRef::from_row_major_slice(&shifted, rows, length);
        matmul(
            self.products.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            shifted.transpose(),
            BlockStructure::Rectangular,
            shifted,
            BlockStructure::Rectangular,
            1.0,
            Par::rayon(0),
        );
        self.count += rows;
        Ok(())
    }

    /// Mean and covariance of what was taken in.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] below two images.
    pub fn finish(&self) -> Result<Statistics, MetricError> {
        if self.count < 2 {
            return Err(MetricError::TooFew {
                metric: "the Fréchet distance",
                needed: 2,
                found: self.count,
            });
        }
        let count = self.count as f64;
        let means: Vec<f64> = self.sum.iter().map(|sum| sum / count).collect();
        let covariance = Mat::from_fn(means.len(), means.len(), |row, column| {
            let (low, high) = (row.max(column), row.min(column));
            (self.products[(low, high)] - means[row] * self.sum[column]) / (count - 1.0)
        });
        let mean = means.iter().zip(&self.origin).map(|(m, o)| m + o).collect();
        Ok(Statistics { mean, covariance })
    }
}

/// A factor F of the covariance with F Fᵀ = covariance, `[length, rank]`: its eigenvectors times the
/// square roots of its eigenvalues, without those that are rounding errors of zero.
pub(crate) fn factor(statistics: &Statistics) -> Result<Mat<f64>, MetricError> {
    let side = statistics.len();
    let decomposition = statistics
        .covariance
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| MetricError::Decomposition { side })?;
    let values = decomposition.S().column_vector();
    let largest = values
        .iter()
        .fold(0f64, |largest, &value| largest.max(value));
    let smallest = largest * side as f64 * f64::EPSILON;
    let kept: Vec<usize> = (0..side)
        .filter(|&index| values[index] > smallest)
        .collect();
    let vectors = decomposition.U();
    Ok(Mat::from_fn(side, kept.len(), |row, column| {
        let index = kept[column];
        vectors[(row, index)] * values[index].sqrt()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let features: Vec<f32> = (0..60).map(|i| ((i * i) % 17) as f32 + 1e4).collect();
        let mut pieces = Moments::new(4);
        for piece in features.chunks(12) {
            pieces.add(piece).unwrap();
        }
        assert_eq!(pieces.count(), 15);
        let found = pieces.finish().unwrap();
        let row = |image: usize, entry: usize| f64::from(features[image * 4 + entry]);
        for a in 0..4 {
            let mean = |entry| (0..15).map(|image| row(image, entry)).sum::<f64>() / 15.0;
            assert!((found.mean[a] - mean(a)).abs() < 1e-9);
            for b in 0..4 {
                let products = (0..15).map(|i| (row(i, a) - mean(a)) * (row(i, b) - mean(b)));
                let expected = products.sum::<f64>() / 14.0;
                let difference = (found.covariance[(a, b)] - expected).abs();
                assert!(difference < 1e-9, "{a}, {b}: {difference}");
            }
        }
    }

    #[test]
    fn a_factor_restores_its_covariance_at_its_rank() {
        let mut moments = Moments::new(6);
        let features: Vec<f32> = (0..18).map(|i| ((i * 7) % 11) as f32).collect();
        moments.add(&features).unwrap();
        let statistics = moments.finish().unwrap();
        let factor = factor(&statistics).unwrap();
        assert_eq!(factor.ncols(), 2, "three images span two directions");
        let restored = &factor * factor.transpose();
        let error = (&restored - &statistics.covariance).norm_max();
        assert!(error < 1e-12 * statistics.covariance.norm_max(), "{error}");
    }

    #[test]
    fn unusable_features_are_refused() {
        let mut moments = Moments::new(2);
        let message = moments.add(&[1.0, f32::NAN]).unwrap_err().to_string();
        assert!(message.contains("not finite"), "{message}");
        assert!(moments.add(&[1.0]).is_err());
        moments.add(&[1.0, 2.0]).unwrap();
        let message = moments.finish().unwrap_err().to_string();
        assert!(
            message.contains("at least 2 images, there are 1"),
            "{message}"
        );
    }
}
