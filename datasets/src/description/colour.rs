//! Colours in TOML: `"#rrggbb"` or `[r, g, b]`, written back as `"#rrggbb"`.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use crate::class::hex;

#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a colour is \"#rrggbb\" or [r, g, b] with values 0 to 255"
)]
pub enum Colour {
    Hex(#[schemars(regex(pattern = r"^#[0-9A-Fa-f]{6}$"))] String),
    Rgb([u8; 3]),
}

pub fn serialize<S: Serializer>(colour: &[u8; 3], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(*colour))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 3], D::Error> {
    match Colour::deserialize(deserializer)? {
        Colour::Rgb(colour) => Ok(colour),
        Colour::Hex(text) => {
            let invalid = || D::Error::custom(format!("`{text}` is not a colour: use \"#rrggbb\""));
            parse_hex(&text).ok_or_else(invalid)
        }
    }
}

fn parse_hex(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    // `from_str_radix` alone would accept a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([red, green, blue])
}
