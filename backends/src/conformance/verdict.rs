use burn::tensor::TensorData;
use serde::Serialize;

use super::{Layout, Outcome};

/// How far a device is from the processor in one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Name of the operation.
    pub operation: &'static str,
    /// Shapes of the operands.
    pub sizes: String,
    /// Layout of the operands and of the gradient of the result.
    pub layout: Layout,
    /// Which of the values differs most: the result or the gradient of an operand.
    pub value: String,
    /// Largest difference over the largest magnitude that is expected; infinite where a value or a shape
    /// is missing or a number is not finite.
    pub error: f64,
    /// What it may be.
    pub bound: f64,
}

impl Verdict {
    /// Whether the device is right.
    pub fn is_equal(&self) -> bool {
        self.error <= self.bound
    }
}

/// Sets a device's outcomes beside the processor's.
///
/// # Panics
/// When the runs are of different suites.
pub fn compare(found: &[Outcome], expected: &[Outcome]) -> Vec<Verdict> {
    assert_eq!(found.len(), expected.len(), "runs of one suite");
    let verdict = |(found, expected): (&Outcome, &Outcome)| {
        assert_eq!(found.operation, expected.operation, "runs of one suite");
        let errors = expected.values.iter().map(|(name, expected)| {
            let found = found.values.iter().find(|(found, _)| found == name);
            let error = found.map_or(f64::INFINITY, |(_, found)| relative_error(found, expected));
            (name.clone(), error)
        });
        let worst = errors.max_by(|a, b| a.1.total_cmp(&b.1));
        let (value, error) = worst.unwrap_or_default();
        Verdict {
            operation: expected.operation,
            sizes: expected.sizes.clone(),
            layout: expected.layout,
            value,
            error,
            bound: expected.bound,
        }
    };
    found.iter().zip(expected).map(verdict).collect()
}

/// The largest difference over the largest magnitude that is expected.
fn relative_error(found: &TensorData, expected: &TensorData) -> f64 {
    if found.shape != expected.shape {
        return f64::INFINITY;
    }
    let mut largest = 0f64;
    let mut difference = 0f64;
    for (found, expected) in found.iter::<f64>().zip(expected.iter::<f64>()) {
        if found.is_finite() != expected.is_finite() || found.is_nan() != expected.is_nan() {
            return f64::INFINITY;
        }
        if expected.is_finite() {
            largest = largest.max(expected.abs());
            difference = difference.max((found - expected).abs());
        } else if found != expected && !expected.is_nan() {
            return f64::INFINITY;
        }
    }
    if largest > 0.0 {
        difference / largest
    } else {
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(values: &[f32]) -> TensorData {
        TensorData::from(values)
    }

    #[test]
    fn errors_are_relative_to_the_largest_magnitude() {
        let expected = data(&[1.0, -4.0]);
        assert_eq!(relative_error(&data(&[1.0, -4.0]), &expected), 0.0);
        assert_eq!(relative_error(&data(&[2.0, -4.0]), &expected), 0.25);
        assert_eq!(relative_error(&data(&[0.5, 0.0]), &data(&[0.0, 0.0])), 0.5);
    }

    #[test]
    fn what_is_missing_or_not_finite_is_infinitely_wrong() {
        let expected = data(&[1.0, -4.0]);
        for found in [&[1.0][..], &[1.0, f32::NAN], &[f32::INFINITY, -4.0]] {
            assert_eq!(relative_error(&data(found), &expected), f64::INFINITY);
        }
        let infinite = data(&[f32::INFINITY, 1.0]);
        assert_eq!(relative_error(&infinite, &infinite), 0.0);
        assert_eq!(
            relative_error(&data(&[f32::NEG_INFINITY, 1.0]), &infinite),
            f64::INFINITY
        );
    }
}
