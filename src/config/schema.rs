use serde_json::{Value, json};

use super::Experiment;
use super::keys::{KEYS, Kind};
use crate::runtime::schema::of;

/// The JSON schema of experiment files, with the ranges of their keys.
pub fn schema() -> Value {
    let mut schema = of::<Experiment>("dp-sims experiment");
    schema["properties"]["extends"] = json!({
        "type": "string",
        "description": "Name of a built-in experiment, or path of another file, relative to this one. \
                        This file then holds only what differs from it.",
    });
    for (key, kind) in KEYS {
        restrict(property(&mut schema, key), *kind);
    }
    // An empty one stands for the name of the file.
    if let Some(name) = property(&mut schema, "name").as_object_mut() {
        name.remove("default");
    }
    schema
}

/// The schema of a key by its dotted name.
fn property<'a>(schema: &'a mut Value, key: &str) -> &'a mut Value {
    let tables = key.split('.');
    tables.fold(schema, |schema, name| &mut schema["properties"][name])
}

/// Writes the range of a key into its schema.
fn restrict(property: &mut Value, kind: Kind) {
    match kind {
        // Every seed there is: an end that is no exact number in most editors.
        Kind::Whole(from, i64::MAX) => property["minimum"] = from.into(),
        Kind::Whole(from, to) => {
            property["minimum"] = from.into();
            property["maximum"] = to.into();
        }
        Kind::Wholes(from, to) => restrict(&mut property["items"], Kind::Whole(from, to)),
        Kind::Number(from, to) => {
            property["minimum"] = from.into();
            property["maximum"] = to.into();
        }
        Kind::Below(from, to) => {
            property["minimum"] = from.into();
            property["exclusiveMaximum"] = to.into();
        }
        Kind::Above(from, to) => {
            property["exclusiveMinimum"] = from.into();
            property["maximum"] = to.into();
        }
        Kind::Text | Kind::Texts | Kind::Switch => {}
    }
}

#[cfg(test)]
mod tests;
