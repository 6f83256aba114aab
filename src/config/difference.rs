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
        Ok(Self::all(before, now, counts)?.into_iter().next())
    }

    /// All differences, in the same order.
    ///
    /// # Errors
    /// When an experiment cannot be written as TOML.
    pub fn all(
        before: &Experiment,
        now: &Experiment,
        counts: impl Fn(&str) -> bool,
    ) -> Result<Vec<Self>> {
        let (before, now) = (values(before)?, values(now)?);
        let mut differing: Vec<&String> =
            differing(&before, &now).filter(|key| counts(key)).collect();
        differing.sort_by_key(|key| (!key.starts_with("run."), *key));
        let shown = |value: Option<&Value>| value.map_or("none".to_string(), Value::to_string);
        let difference = |key: &String| Self {
            key: key.clone(),
            before: shown(before.get(key)),
            now: shown(now.get(key)),
        };
        Ok(differing.into_iter().map(difference).collect())
    }
}

/// The keys whose values differ, each once.
fn differing<'a>(
    before: &'a BTreeMap<String, Value>,
    now: &'a BTreeMap<String, Value>,
) -> impl Iterator<Item = &'a String> {
    let gone = before.keys().filter(|&key| !now.contains_key(key));
    let kept = now.keys().filter(|&key| before.get(key) != now.get(key));
    gone.chain(kept)
}

/// An experiment with what changed from `before` to `now`, and nothing else.
///
/// # Errors
/// When the result is no experiment.
pub fn with_changes(
    experiment: &Experiment,
    before: &Experiment,
    now: &Experiment,
) -> Result<Experiment> {
    let mut changed = values(experiment)?;
    let (before, now) = (values(before)?, values(now)?);
    for key in differing(&before, &now) {
        // What was a value may be a table now, and the other way round.
        let inside = |other: &String, outer: &String| {
            other
                .strip_prefix(outer.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        };
        changed.retain(|other, _| other != key && !inside(other, key) && !inside(key, other));
        if let Some(value) = now.get(key) {
            changed.insert(key.clone(), value.clone());
        }
    }
    let mut table = Table::new();
    for (key, value) in changed {
        let mut parts: Vec<&str> = key.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        let mut current = &mut table;
        for part in parts {
            let entry = current.entry(part).or_insert_with(|| Table::new().into());
            current = entry
                .as_table_mut()
                .with_context(|| format!("`{key}`: `{part}` is a value, not a table"))?;
        }
        current.insert(last.to_string(), value);
    }
    table
        .try_into()
        .context("the checkpoint's experiment with the changes")
}

/// Every value of an experiment by its dotted key.
///
/// # Errors
/// When it cannot be written as TOML.
pub(crate) fn values(experiment: &Experiment) -> Result<BTreeMap<String, Value>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Weights, load, with_settings};

    #[test]
    fn changes_are_carried_over_and_nothing_else() {
        let named = load("quickstart", &[]).unwrap();
        let set = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
            with_settings(&named, &settings).unwrap()
        };
        // The run was begun with settings of its own.
        let saved = set(&["run.batch=3", "data.load_size=300"]);
        assert_eq!(with_changes(&saved, &named, &named).unwrap(), saved);
        let now = set(&["run.keep_checkpoints=9", "backbone.weights=random"]);
        let merged = with_changes(&saved, &named, &now).unwrap();
        assert_eq!((merged.run.batch, merged.run.keep_checkpoints), (3, 9));
        assert_eq!(merged.data.load_size, Some(300));
        assert_eq!(merged.backbone.weights, Weights::Random);
        // A key that is not there any more.
        let before = set(&["data.load_size=300"]);
        assert_eq!(
            with_changes(&saved, &before, &named)
                .unwrap()
                .data
                .load_size,
            None
        );
        let all = Difference::all(&named, &now, |_| true).unwrap();
        let keys: Vec<&str> = all
            .iter()
            .map(|difference| difference.key.as_str())
            .collect();
        assert_eq!(keys, ["run.keep_checkpoints", "backbone.weights"]);
    }
}
