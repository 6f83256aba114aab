use toml::{Table, Value};

use super::Experiment;
use super::keys::{KEYS, Kind};

/// Keys whose values are whole numbers that may make a run large.
pub(crate) fn keys_of_size() -> impl Iterator<Item = &'static str> {
    let keys = KEYS.iter().filter(|(key, kind)| {
        matches!(kind, Kind::Whole(..) | Kind::Wholes(..)) && !key.starts_with("about.")
    });
    keys.map(|(key, _)| *key)
}

/// An experiment with one key at its default, and the value that it had, as TOML; none where that is no
/// valid experiment.
pub(crate) fn with_default(experiment: &Experiment, key: &str) -> Option<(Experiment, String)> {
    let defaults = Table::try_from(Experiment::default()).ok()?;
    let mut table = Table::try_from(experiment).ok()?;
    let default = at(&defaults, key)?.clone();
    let (path, last) = key.rsplit_once('.')?;
    let mut current = &mut table;
    for part in path.split('.') {
        current = current.get_mut(part)?.as_table_mut()?;
    }
    let value = current.insert(last.to_string(), default)?.to_string();
    let other: Experiment = table.try_into().ok()?;
    other.validate().is_ok().then_some((other, value))
}

fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (path, last) = key.rsplit_once('.')?;
    let mut current = table;
    for part in path.split('.') {
        current = current.get(part)?.as_table()?;
    }
    current.get(last)
}
