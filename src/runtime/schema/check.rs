//! Checks values by a schema as an editor does.

use serde_json::{Map, Value};

/// What is wrong with a value, each fault with the place of its value.
///
/// # Panics
/// At a keyword that it does not know, so that nothing of a schema goes unchecked.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(schema, value, "", &mut found);
    found
}

/// The faults of a TOML file.
pub(crate) fn faults_of_toml(schema: &Value, text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().unwrap();
    faults(schema, &serde_json::to_value(table).unwrap())
}

fn look(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let keywords = schema.as_object().unwrap();
    for (keyword, wanted) in keywords {
        let is_right = match keyword.as_str() {
            "$schema" | "title" | "description" | "default" => true,
            "type" => is_of_type(value, wanted.as_str().unwrap()),
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                is_inside(value, keyword, wanted)
            }
            "minLength" => value.as_str().is_none_or(|text| text.len() >= size(wanted)),
            "minItems" => value
                .as_array()
                .is_none_or(|list| list.len() >= size(wanted)),
            "maxItems" => value
                .as_array()
                .is_none_or(|list| list.len() <= size(wanted)),
            "pattern" => value.as_str().is_none_or(|text| fits(text, wanted)),
            "oneOf" => choices(wanted, value) == 1,
            "anyOf" => choices(wanted, value) > 0,
            "required" => value.as_object().is_none_or(|table| {
                let mut names = wanted.as_array().unwrap().iter();
                names.all(|name| table.contains_key(name.as_str().unwrap()))
            }),
            "properties" | "additionalProperties" => true,
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    look(wanted, item, &format!("{at}[{index}]"), found);
                }
                true
            }
            other => panic!("unknown keyword `{other}` at `{at}`"),
        };
        if !is_right {
            found.push(format!("`{at}`: {value} is not {keyword} {wanted}"));
        }
    }
    if let Value::Object(table) = value {
        look_into(keywords, table, at, found);
    }
}

fn look_into(
    keywords: &Map<String, Value>,
    table: &Map<String, Value>,
    at: &str,
    found: &mut Vec<String>,
) {
    for (key, value) in table {
        let at = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        match keywords.get("properties").and_then(|known| known.get(key)) {
            Some(property) => look(property, value, &at, found),
            None if keywords.get("additionalProperties") == Some(&Value::Bool(false)) => {
                found.push(format!("`{at}`: unknown key"));
            }
            None => {}
        }
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("unknown type `{other}`"),
    }
}

fn is_inside(value: &Value, keyword: &str, end: &Value) -> bool {
    let (Some(value), Some(end)) = (value.as_f64(), end.as_f64()) else {
        return true;
    };
    match keyword {
        "minimum" => value >= end,
        "maximum" => value <= end,
        "exclusiveMinimum" => value > end,
        _ => value < end,
    }
}

fn size(wanted: &Value) -> usize {
    wanted.as_u64().unwrap() as usize
}

fn fits(text: &str, pattern: &Value) -> bool {
    assert_eq!(pattern, "^#[0-9A-Fa-f]{6}$", "the only pattern there is");
    let is_digit = |byte: u8| byte.is_ascii_hexdigit();
    text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(is_digit)
}

/// How many of the choices a value fits.
fn choices(schemas: &Value, value: &Value) -> usize {
    let schemas = schemas.as_array().unwrap().iter();
    schemas
        .filter(|schema| faults(schema, value).is_empty())
        .count()
}
