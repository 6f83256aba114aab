use std::collections::BTreeMap;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Experiment;

/// A key in which two experiments differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The dotted key.
    pub key: String,
    /// Its value in the first, as TOML; `none` where it has none.
    pub before: String,
    /// Its value in the second.
    pub now: String,
}

impl Difference {
    /// The first difference among the keys that `counts` says count; those of `[run]`, which people
    /// change most, come first.
    ///
    /// # Errors
    /// When an experiment cannot be written as TOML.
    pub fn first(
        before: &Experiment,
        now: &Experiment,
        counts: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>> {
        let (before, now) = (values(before)?, values(now)?);
        let keys = before.keys().chain(now.keys());
        let mut differing: Vec<&String> = keys
            .filter(|&key| counts(key) && before.get(key) != now.get(key))
            .collect();
        differing.sort_by_key(|key| (!key.starts_with("run."), *key));
        let shown = |value: Option<&Value>| value.map_or("none".to_string(), Value::to_string);
        Ok(differing.first().map(|&key| Self {
            key: key.clone(),
            before: shown(before.get(key)),
            now: shown(now.get(key)),
        }))
    }
}

/// Every value of an experiment by its dotted key.
///
/// # Errors
/// When it cannot be written as TOML.
pub(super) fn values(experiment: &Experiment) -> Result<BTreeMap<String, Value>> {
    let table = Table::try_from(experiment).context("cannot write the experiment as TOML")?;
    let mut values = BTreeMap::new();
    flatten("", &table, &mut values);
    Ok(values)
}

/// Puts every value of a table into `values`, by its dotted key below `path`.
pub(super) fn flatten(path: &str, table: &Table, values: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let key = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match value {
            Value::Table(inner) => flatten(&key, inner, values),
            value => {
                values.insert(key, value.clone());
            }
        }
    }
}
