//! Numbers that are none.

/// Numbers looked at between two decisions.
const CHUNK: usize = 4096;

/// The first value that is not finite, if there is one; as fast as memory is read.
pub fn first_not_finite(values: &[f32]) -> Option<f32> {
    const EXPONENT: u32 = 0x7f80_0000;
    let is_finite = |value: f32| value.to_bits() & EXPONENT != EXPONENT;
    // Without a way out inside of a chunk, so that it is done many numbers at once.
    let has_none = |chunk: &&[f32]| {
        let found = chunk
            .iter()
            .fold(0, |found, &value| found | u32::from(!is_finite(value)));
        found != 0
    };
    let chunk = values.chunks(CHUNK).find(has_none)?;
    chunk.iter().copied().find(|&value| !is_finite(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_found_wherever_it_is() {
        let mut values = vec![f32::MAX; 2 * CHUNK + 3];
        values[5] = f32::MIN_POSITIVE / 2.0;
        assert_eq!(first_not_finite(&values), None);
        assert_eq!(first_not_finite(&[]), None);
        for place in [0, CHUNK - 1, CHUNK, 2 * CHUNK + 2] {
            for value in [f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = values.clone();
                values[place] = value;
                assert_eq!(first_not_finite(&values), Some(value));
            }
            let mut values = values.clone();
            values[place] = f32::NAN;
            assert!(first_not_finite(&values).is_some_and(f32::is_nan));
        }
    }
}
