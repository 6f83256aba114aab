//! Sums over slices: in `f32` side by side over some elements, in `f64` over those sums.

/// Elements that are summed in `f32`.
const BLOCK: usize = 1 << 11;

/// Sums side by side.
const LANES: usize = 32;

/// Sum of the lanes.
#[inline(always)]
fn folded(mut lanes: [f32; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        let (left, right) = lanes.split_at_mut(half);
        for (left, right) in left.iter_mut().zip(right) {
            *left += *right;
        }
        half /= 2;
    }
    f64::from(lanes[0])
}

/// Σ x
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f64 {
    let mut total = 0.0;
    for block in values.chunks(BLOCK) {
        let mut lanes = [0.0f32; LANES];
        let runs = block.chunks_exact(LANES);
        for (lane, value) in lanes.iter_mut().zip(runs.remainder()) {
            *lane = *value;
        }
        for run in runs {
            for (lane, value) in lanes.iter_mut().zip(run) {
                *lane += *value;
            }
        }
        total += folded(lanes);
    }
    total
}

/// Σ (x − mean)²
#[inline(always)]
pub(super) fn squares(values: &[f32], mean: f32) -> f64 {
    let mut total = 0.0;
    for block in values.chunks(BLOCK) {
        let mut lanes = [0.0f32; LANES];
        let runs = block.chunks_exact(LANES);
        for (lane, value) in lanes.iter_mut().zip(runs.remainder()) {
            *lane = (*value - mean) * (*value - mean);
        }
        for run in runs {
            for (lane, value) in lanes.iter_mut().zip(run) {
                *lane += (*value - mean) * (*value - mean);
            }
        }
        total += folded(lanes);
    }
    total
}

/// Σ x·y, of slices of one length.
#[inline(always)]
pub(super) fn dot(left: &[f32], right: &[f32]) -> f64 {
    let mut total = 0.0;
    for (left, right) in left.chunks(BLOCK).zip(right.chunks(BLOCK)) {
        let mut lanes = [0.0f32; LANES];
        let (left, right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
        let rests = left.remainder().iter().zip(right.remainder());
        for (lane, (left, right)) in lanes.iter_mut().zip(rests) {
            *lane = *left * *right;
        }
        for (left, right) in left.zip(right) {
            for (lane, (left, right)) in lanes.iter_mut().zip(left.iter().zip(right)) {
                *lane += *left * *right;
            }
        }
        total += folded(lanes);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_in_double_precision() {
        for length in [0, 1, 31, 32, 33, 100, 2048, 2049, 70_001] {
            let number = |index: usize| (index as f32 * 0.7371).sin() + 0.1;
            let x: Vec<f32> = (0..length).map(number).collect();
            let y: Vec<f32> = (7..length + 7).map(number).collect();
            let exact = |term: fn(f64, f64) -> f64| {
                let terms = x
                    .iter()
                    .zip(&y)
                    .map(|(x, y)| term((*x).into(), (*y).into()));
                let terms: Vec<f64> = terms.collect();
                (
                    terms.iter().sum(),
                    terms.iter().map(|term| term.abs()).sum(),
                )
            };
            let check = |found: f64, (expected, size): (f64, f64)| {
                assert!(
                    (found - expected).abs() <= 1e-6 * size,
                    "{length}: {found}, {expected}"
                );
            };
            check(sum(&x), exact(|x, _| x));
            check(squares(&x, 0.25), exact(|x, _| (x - 0.25) * (x - 0.25)));
            check(dot(&x, &y), exact(|x, y| x * y));
        }
    }
}
