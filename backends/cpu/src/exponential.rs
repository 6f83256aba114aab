//! The steps of a softmax.

use pulp::NullaryFnOnce;

/// Elements side by side, and partial sums of a row, so that the compiler can use vector registers.
const LANES: usize = 16;

/// Turns rows into eˣ over the largest of each, and sums each; a job for [`pulp::Arch::dispatch`].
///
/// A row is read twice and written once.
pub(super) struct Exponentials<'a> {
    /// Rows of one length.
    pub(super) rows: &'a mut [f32],
    /// One per row.
    pub(super) sums: &'a mut [f32],
}

impl NullaryFnOnce for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let length = self.rows.len() / self.sums.len();
        for (row, sum) in self.rows.chunks_exact_mut(length).zip(self.sums) {
            let (parts, rest) = row.as_chunks_mut::<LANES>();
            // What is missing of the last lanes counts for nothing.
            let mut last = [f32::NEG_INFINITY; LANES];
            last[..rest.len()].copy_from_slice(rest);
            let mut largest = last;
            for part in &*parts {
                for (value, largest) in part.iter().zip(&mut largest) {
                    *largest = if *value > *largest { *value } else { *largest };
                }
            }
            let largest = folded(largest, f32::max);
            let mut sums = [0.0; LANES];
            for part in parts {
                add_exponentials(part, largest, &mut sums);
            }
            if !rest.is_empty() {
                add_exponentials(&mut last, largest, &mut sums);
                rest.copy_from_slice(&last[..rest.len()]);
            }
            *sum = folded(sums, |a, b| a + b);
        }
    }
}

/// Divides rows by a number each; a job for [`pulp::Arch::dispatch`].
pub(super) struct Shares<'a> {
    /// Rows of one length.
    pub(super) rows: &'a mut [f32],
    /// One per row.
    pub(super) sums: &'a [f32],
}

impl NullaryFnOnce for Shares<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let length = self.rows.len() / self.sums.len();
        for (row, sum) in self.rows.chunks_exact_mut(length).zip(self.sums) {
            let share = sum.recip();
            for value in row {
                *value *= share;
            }
        }
    }
}

/// `operation` over all lanes, halves side by side.
#[inline(always)]
fn folded(mut lanes: [f32; LANES], operation: impl Fn(f32, f32) -> f32) -> f32 {
    let mut count = LANES;
    while count > 1 {
        count /= 2;
        for lane in 0..count {
            lanes[lane] = operation(lanes[lane], lanes[lane + count]);
        }
    }
    lanes[0]
}

#[inline(always)]
fn add_exponentials(part: &mut [f32; LANES], largest: f32, sums: &mut [f32; LANES]) {
    for (value, sum) in part.iter_mut().zip(sums) {
        *value = exponential(*value - largest);
        *sum += *value;
    }
}

/// eˣ for x up to 0, within two units in the last place; 0 where that is below the normal numbers.
///
/// x = n · ln 2 + r with a polynomial for eʳ, of which all steps are arithmetic that the compiler does
/// side by side, unlike the call of the C library.
#[inline(always)]
pub(super) fn exponential(x: f32) -> f32 {
    /// Added and taken off again, it rounds to whole numbers, which are then the last bits.
    const ROUND: f32 = 12_582_912.0;
    /// Bits of a significand, and the exponent of 1.
    const SIGNIFICAND: u32 = 23;
    const ONE: u32 = 127;
    /// The logarithm of the least normal number, rounded up.
    const LEAST: f32 = -87.336_54;
    /// ln 2 in two parts: the first is a multiple of 2⁻⁹, so that its product with n is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    // 1 + r + r² · p(r), p with the coefficients of Cephes for |r| up to ln 2 / 2.
    let mut p = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5.0e-1,
    ] {
        p = p * r + coefficient;
    }
    let value = p * (r * r) + r + 1.0;
    let power = f32::from_bits(rounded.to_bits().wrapping_add(ONE) << SIGNIFICAND);
    if x < LEAST { 0.0 } else { value * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_the_last_bits() {
        let steps = 400_000;
        for step in 0..=steps {
            let x = -87.3 * (step as f32 / steps as f32);
            let wanted = f64::from(x).exp();
            let error = (f64::from(exponential(x)) - wanted).abs() / wanted;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error}");
        }
        assert_eq!(exponential(0.0), 1.0);
        for x in [-87.34, -100.0, -1e6, f32::MIN, f32::NEG_INFINITY] {
            assert_eq!(exponential(x), 0.0, "{x}");
        }
        assert!(exponential(f32::NAN).is_nan());
    }
}
