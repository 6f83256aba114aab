//! Numbers that are none.

use burn::tensor::{DType, TensorData};

/// The same bits for each of four numbers.
const fn four(bits: u32) -> u128 {
    let two = (bits as u64) << 32 | bits as u64;
    (two as u128) << 64 | two as u128
}

/// Whether four numbers are finite, told by their exponents at once: this is asked of whole networks, also by
/// tests, which do not optimise it.
fn are_finite(numbers: &[u8; 16]) -> bool {
    const EXPONENT: u32 = f32::INFINITY.to_bits();
    const LOWEST: u32 = EXPONENT & EXPONENT.wrapping_neg();
    // An exponent of ones, and no other, carries into the place of the sign.
    let carried = (u128::from_ne_bytes(*numbers) & four(EXPONENT)) + four(LOWEST);
    carried & four(!(u32::MAX >> 1)) == 0
}

/// Place and value of the first number that is infinite or not a number, of a tensor in `f32`; as fast as
/// memory is read.
pub fn first_not_finite(data: &TensorData) -> Option<(usize, f32)> {
    if data.dtype != DType::F32 {
        return None;
    }
    let bytes = data.as_bytes();
    let (fours, _) = bytes.as_chunks::<16>();
    let finite = fours.iter().position(|numbers| !are_finite(numbers));
    let finite = finite.unwrap_or(fours.len());
    let (rest, _) = bytes[16 * finite..].as_chunks::<4>();
    let rest = rest.iter().map(|number| f32::from_ne_bytes(*number));
    let (place, value) = rest.enumerate().find(|(_, value)| !value.is_finite())?;
    Some((4 * finite + place, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(values: &[f32]) -> Option<(usize, f32)> {
        first_not_finite(&TensorData::new(values.to_vec(), [values.len()]))
    }

    #[test]
    fn what_is_not_finite_is_found_wherever_it_is() {
        let mut finite = vec![f32::MAX; 1027];
        finite[5] = f32::MIN_POSITIVE / 2.0;
        finite[6] = f32::MIN;
        finite[7] = -0.0;
        assert_eq!(find(&finite), None);
        assert_eq!(find(&[]), None);
        for place in [0, 1, 2, 3, 4, 1022, 1023, 1024, 1026] {
            for value in [f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = finite.clone();
                values[place] = value;
                assert_eq!(find(&values), Some((place, value)));
            }
            for value in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001)] {
                let mut values = finite.clone();
                values[place] = value;
                let (found, value) = find(&values).unwrap();
                assert!(found == place && value.is_nan());
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found() {
        let mut values = vec![1.0; 3000];
        for (at, value) in [
            (2999, f32::NEG_INFINITY),
            (2500, f32::INFINITY),
            (2, f32::NEG_INFINITY),
            (0, f32::INFINITY),
        ] {
            values[at] = value;
            assert_eq!(find(&values), Some((at, value)));
        }
    }

    #[test]
    fn other_types_are_left_alone() {
        let infinite = TensorData::from([f32::INFINITY]);
        assert!(first_not_finite(&infinite).is_some());
        assert!(first_not_finite(&infinite.convert_dtype(DType::F64)).is_none());
    }
}
