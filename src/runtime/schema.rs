//! JSON schemas of the files that people write: for their editors, and for the tables of the book.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The JSON schema (2020-12) of a TOML file that is read as `T`.
///
/// It has no references, so that all of its keywords mean the same in draft 7, which some editors
/// take every schema for.
pub fn of<T: JsonSchema>(title: &str) -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_string(), title.into());
    let mut schema = schema.to_value();
    simplify(&mut schema);
    schema
}

/// Takes out what TOML does not have, null, and what says nothing to people: the types of Rust and the
/// defaults of whole tables, whose keys have their own. A paragraph becomes one line.
fn simplify(schema: &mut Value) {
    let Value::Object(keywords) = schema else {
        return;
    };
    keywords.remove("format");
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        let paragraphs = description
            .split("\n\n")
            .map(|text| text.replace('\n', " "));
        *description = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    if let Some(Value::Array(types)) = keywords.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            keywords.insert("type".to_string(), only);
        }
    }
    unwrap_option(keywords);
    match keywords.get_mut("default") {
        Some(Value::Null | Value::Object(_)) => {
            keywords.remove("default");
        }
        Some(default) => shorten(default),
        None => {}
    }
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(simplify);
            }
            ("items", items) => simplify(items),
            ("oneOf" | "anyOf", Value::Array(choices)) => choices.iter_mut().for_each(simplify),
            _ => {}
        }
    }
}

/// Something or null is something, described as the key is.
fn unwrap_option(keywords: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = keywords.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = choices.as_mut_slice() {
        let mut only = std::mem::take(only);
        keywords.remove("anyOf");
        only.append(keywords);
        *keywords = only;
    }
}

/// Writes a number of 32 bits as people do: 0.99, not 0.9900000095367432.
fn shorten(default: &mut Value) {
    let Some(number) = default.as_f64().filter(|_| default.is_f64()) else {
        return;
    };
    let short = number as f32;
    if f64::from(short) == number
        && let Ok(written) = short.to_string().parse::<f64>()
    {
        *default = written.into();
    }
}

#[cfg(test)]
pub(crate) mod check;
#[cfg(test)]
pub(crate) mod tables;
