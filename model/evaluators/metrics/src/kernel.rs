use faer::Mat;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::MetricError;

/// Rows whose products are held at once.
const BLOCK: usize = 512;

/// How the kernel distance is estimated; the defaults are torch-fidelity's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelConfig {
    /// Pairs of random subsets the value is the mean over.
    pub subsets: usize,
    /// Images in a subset; all of the smaller side where there are fewer.
    pub size: usize,
    /// Seed of the subsets.
    pub seed: u64,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            subsets: 100,
            size: 1000,
            seed: 0,
        }
    }
}

/// Kernel distance between two sets of features (KID): squared maximum mean discrepancy with the
/// kernel (x · y / length + 1)³, unbiased.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelDistance {
    /// Mean over the subsets: the value that is reported as KID.
    pub mean: f64,
    /// Standard deviation over the subsets, the factor 1 / subsets inside. It falls to zero when
    /// subsets are as large as the sets; it is no measure of the value's error then.
    pub std: f64,
    /// The estimate from all images at once.
    pub full: f64,
    /// Standard error of [`Self::full`] by the jackknife over the images of both sides.
    pub standard_error: f64,
    /// Images in a subset.
    pub size: usize,
}

/// Features of a set of images, row by row.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f32],
    length: usize,
}

impl<'a> Rows<'a> {
    fn new(values: &'a [f32], length: usize) -> Result<Self, MetricError> {
        if length == 0 || !values.len().is_multiple_of(length) {
            return Err(MetricError::Lengths {
                left: values.len(),
                right: length,
            });
        }
        if values.iter().any(|value| !value.is_finite()) {
            let what = "a feature of the kernel distance".to_string();
            return Err(MetricError::NotFinite { what });
        }
        let rows = Self { values, length };
        // The jackknife leaves one image out of an estimate that needs two.
        if rows.count() < 3 {
            return Err(MetricError::TooFew {
                metric: "the kernel distance",
                needed: 3,
                found: rows.count(),
            });
        }
        Ok(rows)
    }

    fn count(&self) -> usize {
        self.values.len() / self.length
    }

    fn matrix(&self, rows: impl Iterator<Item = usize>) -> Mat<f64> {
        let chosen: Vec<usize> = rows.collect();
        Mat::from_fn(chosen.len(), self.length, |row, column| {
            f64::from(self.values[chosen[row] * self.length + column])
        })
    }
}

/// The kernel distance of two sets of features, with subsets drawn from the seed.
///
/// Costs (subsets · size² + images²) · 3 · length multiply-adds and the memory of the features.
///
/// # Shapes
/// - left, right: `[images, length]`, row by row
///
/// # Errors
/// [`MetricError::TooFew`] below three images on a side; [`MetricError::Lengths`] for incomplete
/// rows; [`MetricError::NotFinite`].
pub fn kernel_distance(
    left: &[f32],
    right: &[f32],
    length: usize,
    config: &KernelConfig,
) -> Result<KernelDistance, MetricError> {
    let counts = [
        Rows::new(left, length)?.count(),
        Rows::new(right, length)?.count(),
    ];
    let size = config.size.clamp(2, counts[0].min(counts[1]));
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let subsets: Vec<[Vec<usize>; 2]> = (0..config.subsets.max(1))
        .map(|_| counts.map(|count| index::sample(&mut rng, count, size).into_vec()))
        .collect();
    kernel_distance_of(left, right, length, &subsets)
}

/// The kernel distance over given pairs of subsets, as indices of images.
///
/// # Errors
/// Those of [`kernel_distance`], and [`MetricError::TooFew`] for a subset of fewer than two images.
///
/// # Panics
/// When a subset names an image that there is not.
pub fn kernel_distance_of(
    left: &[f32],
    right: &[f32],
    length: usize,
    subsets: &[[Vec<usize>; 2]],
) -> Result<KernelDistance, MetricError> {
    let (left, right) = (Rows::new(left, length)?, Rows::new(right, length)?);
    let mut values = Vec::with_capacity(subsets.len());
    for [first, second] in subsets {
        let size = first.len().min(second.len());
        if size < 2 {
            return Err(MetricError::TooFew {
                metric: "a subset of the kernel distance",
                needed: 2,
                found: size,
            });
        }
        let first = left.matrix(first.iter().copied());
        let second = right.matrix(second.iter().copied());
        values.push(Sums::of(&first, &second).estimate());
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    let sums = Sums::of_all(left, right);
    Ok(KernelDistance {
        mean,
        std: variance.sqrt(),
        full: sums.estimate(),
        standard_error: sums.standard_error(),
        size: subsets.first().map_or(0, |subset| subset[0].len()),
    })
}

/// Sums of kernel values by image.
struct Sums {
    /// For each image of a side: with all other images of that side.
    within: [Vec<f64>; 2],
    /// For each image of a side: with all images of the other side.
    across: [Vec<f64>; 2],
}

impl Sums {
    fn zero(left: usize, right: usize) -> Self {
        let zeros = || [vec![0.0; left], vec![0.0; right]];
        Self {
            within: zeros(),
            across: zeros(),
        }
    }

    fn of(left: &Mat<f64>, right: &Mat<f64>) -> Self {
        let mut sums = Self::zero(left.nrows(), right.nrows());
        for (side, rows) in [left, right].into_iter().enumerate() {
            each_kernel(rows, rows, |a, b, value| {
                if a != b {
                    sums.within[side][a] += value;
                }
            });
        }
        each_kernel(left, right, |a, b, value| {
            sums.across[0][a] += value;
            sums.across[1][b] += value;
        });
        sums
    }

    /// In blocks, so that no matrix of all images is held.
    fn of_all(left: Rows<'_>, right: Rows<'_>) -> Self {
        let mut sums = Self::zero(left.count(), right.count());
        let blocks = |count: usize| {
            (0..count)
                .step_by(BLOCK)
                .map(move |start| start..count.min(start + BLOCK))
        };
        for first in blocks(left.count()) {
            let rows = left.matrix(first.clone());
            for second in blocks(right.count()) {
                let others = right.matrix(second.clone());
                each_kernel(&rows, &others, |a, b, value| {
                    sums.across[0][first.start + a] += value;
                    sums.across[1][second.start + b] += value;
                });
            }
        }
        for (side, set) in [left, right].into_iter().enumerate() {
            for first in blocks(set.count()) {
                let rows = set.matrix(first.clone());
                for second in blocks(set.count()).filter(|second| second.start <= first.start) {
                    let others = set.matrix(second.clone());
                    each_kernel(&rows, &others, |a, b, value| {
                        let (a, b) = (first.start + a, second.start + b);
                        if b < a {
                            sums.within[side][a] += value;
                            sums.within[side][b] += value;
                        }
                    });
                }
            }
        }
        sums
    }

    fn estimate(&self) -> f64 {
        estimate(self.counts(), self.totals())
    }

    fn counts(&self) -> [f64; 2] {
        [0, 1].map(|side| self.within[side].len() as f64)
    }

    /// Within the left side, within the right side, across.
    fn totals(&self) -> [f64; 3] {
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        [
            sum(&self.within[0]),
            sum(&self.within[1]),
            sum(&self.across[0]),
        ]
    }

    /// Leaves every image of both sides out once.
    fn standard_error(&self) -> f64 {
        let totals = self.totals();
        let variance = |side: usize| {
            let mut counts = self.counts();
            let count = counts[side];
            counts[side] -= 1.0;
            let without: Vec<f64> = self.within[side]
                .iter()
                .zip(&self.across[side])
                .map(|(within, across)| {
                    let mut totals = totals;
                    totals[side] -= 2.0 * within;
                    totals[2] -= across;
                    estimate(counts, totals)
                })
                .collect();
            let mean = without.iter().sum::<f64>() / count;
            let squares: f64 = without.iter().map(|value| (value - mean).powi(2)).sum();
            squares * (count - 1.0) / count
        };
        (variance(0) + variance(1)).sqrt()
    }
}

/// The unbiased estimate from sums of kernel values.
fn estimate([left, right]: [f64; 2], [within_left, within_right, across]: [f64; 3]) -> f64 {
    within_left / (left * (left - 1.0)) + within_right / (right * (right - 1.0))
        - 2.0 * across / (left * right)
}

/// Calls `each` with two row numbers and the kernel value of the two rows.
fn each_kernel(left: &Mat<f64>, right: &Mat<f64>, mut each: impl FnMut(usize, usize, f64)) {
    let scale = 1.0 / left.ncols() as f64;
    let products = left * right.transpose();
    for b in 0..right.nrows() {
        for a in 0..left.nrows() {
            let base = products[(a, b)] * scale + 1.0;
            each(a, b, base * base * base);
        }
    }
}

#[cfg(test)]
mod tests;
