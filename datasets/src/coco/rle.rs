//! Run lengths in COCO's compressed text form.

/// Decodes a compressed list of run lengths.
///
/// Every number is a sequence of characters with codes from 48 on, least significant part first: 5
/// bits of the number in two's complement, and a sixth bit while more follow. From the fourth
/// number on, the text holds the difference to the number two places before.
///
/// # Errors
/// The place and the nature of the first thing wrong.
pub(super) fn decompress(text: &str) -> Result<Vec<u32>, String> {
    let mut runs: Vec<u32> = Vec::new();
    let (mut number, mut shift) = (0_i64, 0);
    for (place, byte) in text.bytes().enumerate() {
        let wrong = |problem: &str| format!("`counts` is damaged at character {place}: {problem}");
        let bits = byte.checked_sub(48).filter(|&bits| bits < 64);
        let bits = bits.ok_or_else(|| wrong("it is none of `0` to `o`"))?;
        // 7 parts of 5 bits hold every 32-bit number with its sign.
        if shift == 35 {
            return Err(wrong("a number has too many characters"));
        }
        number |= i64::from(bits & 0x1f) << shift;
        shift += 5;
        if bits & 0x20 != 0 {
            continue;
        }
        if bits & 0x10 != 0 {
            number -= 1 << shift;
        }
        if let Some(before) = runs.len().checked_sub(2).filter(|&before| before > 0) {
            number += i64::from(runs[before]);
        }
        let run = u32::try_from(number);
        runs.push(run.map_err(|_| wrong(&format!("{number} is no run length")))?);
        (number, shift) = (0, 0);
    }
    if shift > 0 {
        return Err("`counts` ends within a number".to_string());
    }
    Ok(runs)
}

/// The compressed text of a list of run lengths, the inverse of [`decompress`].
pub fn compress(runs: &[u32]) -> String {
    let mut text = String::new();
    for (index, &run) in runs.iter().enumerate() {
        let before = if index > 2 { runs[index - 2] } else { 0 };
        let mut number = i64::from(run) - i64::from(before);
        loop {
            let bits = (number & 0x1f) as u8;
            number >>= 5;
            let last = number == if bits & 0x10 == 0 { 0 } else { -1 };
            text.push(char::from(48 + bits + if last { 0 } else { 0x20 }));
            if last {
                break;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_known_text_has_its_runs() {
        // 5, 3, 200 stand for themselves; 40 is written as 40 - 3 and 100 as 100 - 200.
        // 200 = 8 + 6 * 32: X = 48 + 8 + 32, 6. 37 = 5 + 32: U, 1. -100 = 28 - 4 * 32: l, L.
        assert_eq!(decompress("53X6U1lL").unwrap(), [5, 3, 200, 40, 100]);
        assert_eq!(compress(&[5, 3, 200, 40, 100]), "53X6U1lL");
        assert!(decompress("").unwrap().is_empty());
    }

    #[test]
    fn damage_is_named_by_its_place() {
        for (text, expected) in [
            ("5~", "character 1: it is none"),
            ("5 ", "character 1"),
            ("53X", "ends within a number"),
            ("O", "character 0: -1 is no run length"),
            ("5PPPPPPPP0", "character 8: a number has too many"),
        ] {
            let message = decompress(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_inverse_to_runs(runs in prop::collection::vec(any::<u32>(), 0..20)) {
            prop_assert_eq!(decompress(&compress(&runs)).unwrap(), runs);
        }

        #[test]
        fn no_text_panics(bytes in prop::collection::vec(40_u8..120, 0..40), any in ".{0,20}") {
            let text: String = bytes.into_iter().map(char::from).collect();
            for text in [text, any] {
                match decompress(&text) {
                    Ok(runs) => prop_assert!(runs.len() <= text.len()),
                    Err(message) => prop_assert!(message.contains("`counts`")),
                }
            }
        }
    }
}
