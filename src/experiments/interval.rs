use serde::Serialize;

/// 97.5 % quantiles of Student's t with 1 to 30 degrees of freedom.
const QUANTILES: [f64; 30] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004,
    2.262_157, 2.228_139, 2.200_985, 2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905,
    2.109_816, 2.100_922, 2.093_024, 2.085_963, 2.079_614, 2.073_873, 2.068_658, 2.063_899,
    2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
];

/// 97.5 % quantile of the normal distribution.
const NORMAL: f64 = 1.959_964;

/// The 97.5 % quantile of Student's t: half of a 95 % interval in standard errors. Beyond 30 degrees of
/// freedom it is the first terms of its expansion around the normal quantile, right to 1e-5.
pub fn t_quantile(degrees: usize) -> f64 {
    if let Some(quantile) = degrees
        .checked_sub(1)
        .and_then(|index| QUANTILES.get(index))
    {
        return *quantile;
    }
    if degrees == 0 {
        return f64::INFINITY;
    }
    let (z, n) = (NORMAL, degrees as f64);
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    z + first / n + second / (n * n)
}

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Mean.
    pub mean: f64,
    /// Half of the 95 % interval; none for a single value, which has none.
    pub half_width: Option<f64>,
    /// Values.
    pub count: usize,
}

impl Interval {
    /// Of values that are drawn independently; none without a value.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let n = count as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let half_width =
            (count > 1).then(|| t_quantile(count - 1) * (squares / (n - 1.0) / n).sqrt());
        Some(Self {
            mean,
            half_width,
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a printed table of the distribution.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, expected) in [
            (1, 12.706),
            (2, 4.303),
            (4, 2.776),
            (9, 2.262),
            (30, 2.042),
            (40, 2.021),
            (60, 2.000),
            (120, 1.980),
            (1_000_000, 1.960),
        ] {
            let found = t_quantile(degrees);
            assert!((found - expected).abs() < 6e-4, "{degrees}: {found}");
        }
        assert!(t_quantile(30) > t_quantile(31));
        assert!(
            t_quantile(30) - t_quantile(31) < 3e-3,
            "no step at the end of the table"
        );
        assert_eq!(t_quantile(0), f64::INFINITY);
    }

    /// Standard deviation of 1, 2, 3 is 1: 4.302653 / sqrt(3).
    #[test]
    fn intervals_are_those_of_a_calculation_by_hand() {
        let three = Interval::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((three.mean, three.count), (2.0, 3));
        assert!((three.half_width.unwrap() - 2.484_138).abs() < 1e-5);
        let equal = Interval::of(&[5.0, 5.0]).unwrap();
        assert_eq!((equal.mean, equal.half_width), (5.0, Some(0.0)));
        let one = Interval::of(&[7.0]).unwrap();
        assert_eq!((one.mean, one.half_width), (7.0, None));
        assert_eq!(Interval::of(&[]), None);
    }
}
