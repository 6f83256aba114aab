//! Values as the tools around COCO write them and pycocotools takes them.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// The number of an image or an annotation, of which some tools make texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(untagged, expecting = "an id is a whole number or a text")]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text}"),
        }
    }
}

/// A truth value: `true`, `false`, a number that is 0 or not, or null, which is false.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Flag;

    impl Visitor<'_> for Flag {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("0, 1, true or false")
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
            Ok(value != 0)
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
            Ok(value != 0)
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
            Ok(value != 0.0)
        }

        fn visit_unit<E: Error>(self) -> Result<bool, E> {
            Ok(false)
        }
    }

    deserializer.deserialize_any(Flag)
}

/// Longest side of an image in pixels: with it, sums over rows and columns stay far below 64 bits.
const MOST_PIXELS: u64 = u32::MAX as u64;

/// A number of pixels, also as `48.0`.
pub(super) fn side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    struct Side;

    impl Visitor<'_> for Side {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number of pixels")
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<usize, E> {
            match value <= MOST_PIXELS {
                true => Ok(value as usize),
                false => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
            }
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<usize, E> {
            match value.fract() == 0.0 && (0.0..=MOST_PIXELS as f64).contains(&value) {
                true => Ok(value as usize),
                false => Err(E::invalid_value(Unexpected::Float(value), &self)),
            }
        }
    }

    deserializer.deserialize_any(Side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        id: Id,
        #[serde(deserialize_with = "flag")]
        is: bool,
        #[serde(deserialize_with = "side")]
        side: usize,
    }

    fn row(id: &str, is: &str, side: &str) -> Result<Row, serde_json::Error> {
        serde_json::from_str(&format!("{{\"id\": {id}, \"is\": {is}, \"side\": {side}}}"))
    }

    #[test]
    fn values_are_taken_in_every_form_that_says_the_same() {
        for (text, expected) in [
            ("true", true),
            ("false", false),
            ("0", false),
            ("1", true),
            ("-1", true),
            ("0.0", false),
            ("null", false),
        ] {
            assert_eq!(row("1", text, "4").unwrap().is, expected, "{text}");
        }
        assert_eq!(row("7", "0", "48.0").unwrap().side, 48);
        assert_eq!(row("\"007\"", "0", "48").unwrap().id.to_string(), "007");
        for (id, is, side) in [
            ("1", "\"no\"", "1"),
            ("1", "0", "1.5"),
            ("1", "0", "-1"),
            ("1", "0", "1e300"),
            ("1", "0", "18446744073709551615"),
            ("1", "0", "null"),
            ("[]", "0", "1"),
        ] {
            assert!(row(id, is, side).is_err(), "{id} {is} {side}");
        }
    }
}
