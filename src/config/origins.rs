//! Where the values of a resolved experiment come from.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Experiment;
use super::layers::{key_and_value, layers};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The program.
    Default,
    /// An experiment file, by name or path.
    File(String),
    /// `--set`.
    Setting,
}

/// The origins of the values that are not defaults, by dotted key.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Follows an experiment through the files it extends and the settings on top, as
    /// [`load`](super::load) does.
    ///
    /// # Errors
    /// When a file cannot be read or a setting is malformed.
    pub fn of(name_or_path: &str, settings: &[String]) -> Result<Self> {
        let mut origins = Self::default();
        for (name, table) in layers(name_or_path)? {
            let origin = Origin::File(name);
            for (key, value) in &table {
                origins.merge(key, value, &origin);
            }
        }
        for setting in settings {
            let (key, value) = key_and_value(setting)?;
            // A setting replaces a table, a file adds to it.
            origins.forget(key);
            origins.merge(key, &value, &Origin::Setting);
        }
        Ok(origins)
    }

    /// Where the value of a dotted key comes from.
    pub fn get(&self, key: &str) -> &Origin {
        self.0.get(key).unwrap_or(&Origin::Default)
    }

    fn merge(&mut self, key: &str, value: &Value, origin: &Origin) {
        match value {
            Value::Table(table) => {
                for (part, value) in table {
                    self.merge(&format!("{key}.{part}"), value, origin);
                }
            }
            _ => {
                self.forget(key);
                self.0.insert(key.to_string(), origin.clone());
            }
        }
    }

    fn forget(&mut self, key: &str) {
        let below = format!("{key}.");
        self.0
            .retain(|other, _| other != key && !other.starts_with(&below));
    }

    /// The experiment as TOML, every value with its origin behind it.
    ///
    /// # Errors
    /// When the experiment cannot be written as TOML.
    pub fn annotated(&self, experiment: &Experiment) -> Result<String> {
        let table = Table::try_from(experiment).context("cannot write the experiment as TOML")?;
        let mut lines = Vec::new();
        self.lines(&table, "", &mut lines);
        let width = lines
            .iter()
            .filter(|(_, origin)| origin.is_some())
            .map(|(line, _)| line.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (line, origin) in lines {
            // Writing to a string cannot fail.
            let _ = match origin {
                Some(origin) => {
                    let fill = " ".repeat(width - line.chars().count());
                    writeln!(text, "{line}{fill}  # {origin}")
                }
                None => writeln!(text, "{line}"),
            };
        }
        Ok(text)
    }

    fn lines(&self, table: &Table, path: &str, lines: &mut Vec<(String, Option<Origin>)>) {
        let dotted = |key: &str| match path {
            "" => key.to_string(),
            path => format!("{path}.{key}"),
        };
        let (tables, values): (Vec<_>, Vec<_>) =
            table.iter().partition(|(_, value)| value.is_table());
        if !path.is_empty() && !values.is_empty() {
            lines.push((String::new(), None));
            lines.push((format!("[{path}]"), None));
        }
        for (key, value) in values {
            let mut origin = self.get(&dotted(key)).clone();
            if dotted(key) == "name"
                && let (Origin::Default, Some(Value::String(name))) = (&origin, table.get(key))
            {
                origin = Origin::File(name.clone());
            }
            lines.push((format!("{key} = {value}"), Some(origin)));
        }
        for (key, value) in tables {
            if let Value::Table(inner) = value {
                self.lines(inner, &dotted(key), lines);
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            // A path may hold what would end a comment.
            Self::File(name) => f.write_str(&name.replace(char::is_control, " ")),
            Self::Setting => f.write_str("--set"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{experiment_names, load};

    fn shown(name: &str, settings: &[&str]) -> (Experiment, String) {
        let settings: Vec<String> = settings.iter().map(|text| text.to_string()).collect();
        let experiment = load(name, &settings).unwrap();
        let origins = Origins::of(name, &settings).unwrap();
        let text = origins.annotated(&experiment).unwrap();
        (experiment, text)
    }

    fn origin<'a>(text: &'a str, table: &str, key: &str) -> &'a str {
        let mut lines = text.lines();
        if !table.is_empty() {
            lines.find(|line| *line == format!("[{table}]")).unwrap();
        }
        let start = format!("{key} = ");
        let line = lines.find(|line| line.starts_with(&start)).unwrap();
        line.rsplit_once("  # ").unwrap().1
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for name in experiment_names() {
            let (experiment, text) = shown(name, &["run.batch=3"]);
            assert_eq!(toml::from_str::<Experiment>(&text).unwrap(), experiment);
        }
    }

    #[test]
    fn every_value_has_the_origin_that_won() {
        let settings = ["run.seed=7", "loss.contrastive.loss={ tau = 0.5 }"];
        let (_, text) = shown("table8-focal-cityscapes", &settings);
        for (table, key, expected) in [
            ("", "name", "table8-focal-cityscapes"),
            ("run", "seed", "--set"),
            ("run", "steps", "cityscapes"),
            ("run", "accumulation", "ade20k"),
            ("run", "keep_checkpoints", "default"),
            ("loss.pixel", "class_weights", "table8-focal-cityscapes"),
            ("loss.pixel", "gamma", "default"),
            ("loss.contrastive.loss", "tau", "--set"),
            ("loss.contrastive.loss", "dim", "default"),
            ("about", "table", "table8-focal-cityscapes"),
        ] {
            assert_eq!(origin(&text, table, key), expected, "{table} {key}\n{text}");
        }
        let (_, text) = shown("table7-tau-0.7", &[]);
        assert_eq!(
            origin(&text, "loss.contrastive.loss", "tau"),
            "table7-tau-0.7"
        );
    }
}
