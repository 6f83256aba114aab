use std::fmt;

use serde::{Deserialize, Serialize};

/// Median and spread of repetitions, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Median.
    pub median_seconds: f64,
    /// Fastest repetition.
    pub fastest_seconds: f64,
    /// Slowest repetition.
    pub slowest_seconds: f64,
}

impl Timing {
    /// Of repetitions in any order; not a number where there are none.
    pub fn of(seconds: &[f64]) -> Self {
        let mut sorted = seconds.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            median_seconds: median(&sorted),
            fastest_seconds: sorted.first().copied().unwrap_or(f64::NAN),
            slowest_seconds: sorted.last().copied().unwrap_or(f64::NAN),
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median_seconds,
            fastest_seconds,
            slowest_seconds,
        } = self;
        write!(
            f,
            "{median_seconds:.4} s ({fastest_seconds:.4} to {slowest_seconds:.4})"
        )
    }
}

/// Median of sorted values, the mean of the two in the middle for an even number of them.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => 0.5 * (sorted[middle - 1] + sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let timing = Timing::of(&[3.0, 1.0, 2.0, 4.0]);
        assert_eq!(timing.to_string(), "2.5000 s (1.0000 to 4.0000)");
        assert_eq!(Timing::of(&[6.0, 1.0, 5.0]).median_seconds, 5.0);
        assert!(Timing::of(&[]).median_seconds.is_nan());
    }
}
