//! Loops over numbers in host memory. They are here because this crate is compiled for speed.

/// Place of the first number that is infinite or not a number, in the bytes of `f32` numbers.
pub fn first_not_finite(bytes: &[u8]) -> Option<usize> {
    /// Numbers that are looked at without a way out in between, so that they are side by side.
    const PART: usize = 1024;
    let (numbers, _) = bytes.as_chunks::<4>();
    let is_finite = |number: &[u8; 4]| f32::from_ne_bytes(*number).is_finite();
    let part = numbers.chunks(PART).position(|part| {
        !part
            .iter()
            .fold(true, |all, number| all & is_finite(number))
    })?;
    let first = part * PART;
    let place = numbers[first..]
        .iter()
        .position(|number| !is_finite(number))?;
    Some(first + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_is_found() {
        let mut values = vec![1.0_f32; 3000];
        let find = |values: &[f32]| {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect();
            first_not_finite(&bytes)
        };
        assert_eq!(find(&values), None);
        assert_eq!(find(&[]), None);
        for (at, value) in [
            (2999, f32::NAN),
            (2500, f32::NEG_INFINITY),
            (0, f32::INFINITY),
        ] {
            values[at] = value;
            assert_eq!(find(&values), Some(at));
        }
    }
}
