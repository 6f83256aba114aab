//! Results side by side, where they mean the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use super::report::heading;
use super::results::Results;
use crate::config::described;
use crate::runtime::units::number;

/// Results that can be compared.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Name of the protocol.
    pub protocol: String,
    /// Names of the results, in the order they were given.
    pub names: Vec<String>,
    /// Values by metric; none where a result lacks it.
    pub values: BTreeMap<String, Vec<Option<f64>>>,
    /// Index of the best result by metric, where more or less is better and all others are worse.
    pub best: BTreeMap<String, usize>,
}

impl Comparison {
    /// Puts results side by side.
    ///
    /// # Errors
    /// When protocols, label maps and photos, or the networks of a metric differ: the numbers would
    /// not mean the same. Names what differs.
    pub fn new(results: &[(String, Results)]) -> Result<Self> {
        ensure!(results.len() > 1, "give at least two results to compare");
        let (first_name, first) = &results[0];
        for (name, other) in &results[1..] {
            if !other.protocol.means_the_same(&first.protocol) {
                bail!(
                    "{name} was made under another protocol than {first_name}: {}. Numbers of \
                     different protocols do not mean the same",
                    difference(first, other)
                );
            }
            ensure!(
                other.data.sha256 == first.data.sha256,
                "{name} was judged against other label maps or photos than {first_name} ({} of {} \
                 images of {} against {} of {} of {}): evaluate both on the same",
                other.data.images,
                other.data.of,
                other.data.dataset,
                first.data.images,
                first.data.of,
                first.data.dataset
            );
            for (part, network) in &other.networks {
                if let Some(own) = first.networks.get(part) {
                    ensure!(
                        own.files.values().eq(network.files.values()),
                        "{name} used other weights for {part} than {first_name}: evaluate both with \
                         the same files"
                    );
                }
            }
        }
        let keys: BTreeSet<&String> = results.iter().flat_map(|(_, r)| r.values.keys()).collect();
        let mut values = BTreeMap::new();
        let mut best = BTreeMap::new();
        for key in keys {
            let row: Vec<Option<f64>> = results
                .iter()
                .map(|(_, results)| results.values.get(key).map(|value| value.value))
                .collect();
            if let Some(index) = best_of(key, &row) {
                best.insert(key.clone(), index);
            }
            values.insert(key.clone(), row);
        }
        Ok(Self {
            protocol: first.protocol.name.clone(),
            names: results.iter().map(|(name, _)| name.clone()).collect(),
            values,
            best,
        })
    }

    /// As a table for a terminal.
    pub fn table(&self) -> String {
        let mut rows = vec![
            std::iter::once(self.protocol.clone())
                .chain(self.names.clone())
                .collect::<Vec<_>>(),
        ];
        for (key, values) in &self.values {
            let best = self.best.get(key);
            let cells = values.iter().enumerate().map(|(index, value)| match value {
                Some(value) if best == Some(&index) => format!("{} *", number(*value)),
                Some(value) => format!("{}  ", number(*value)),
                None => "–  ".to_string(),
            });
            rows.push(std::iter::once(heading(key)).chain(cells).collect());
        }
        let columns = self.names.len() + 1;
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                rows.iter()
                    .map(|row| row[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in rows {
            for (column, cell) in row.iter().enumerate() {
                let fill = " ".repeat(widths[column] - cell.chars().count());
                let _ = match column {
                    0 => write!(text, "{cell}{fill}"),
                    _ => write!(text, "  {fill}{cell}"),
                };
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        if !self.best.is_empty() {
            text.push_str("* best\n");
        }
        text
    }
}

fn best_of(key: &str, row: &[Option<f64>]) -> Option<usize> {
    let (_, _, better) = described(key);
    let more = better?;
    let known: Vec<(usize, f64)> = row
        .iter()
        .enumerate()
        .filter_map(|(index, value)| Some((index, (*value)?)))
        .collect();
    let ahead = |a: f64, b: f64| if more { a > b } else { a < b };
    let (index, value) = known
        .iter()
        .copied()
        .reduce(|a, b| if ahead(b.1, a.1) { b } else { a })?;
    let alone = known.len() > 1 && known.iter().all(|&(i, v)| i == index || ahead(value, v));
    alone.then_some(index)
}

/// The first key in which two protocols differ.
fn difference(first: &Results, other: &Results) -> String {
    let (Ok(serde_json::Value::Object(a)), Ok(serde_json::Value::Object(b))) = (
        serde_json::to_value(&first.protocol),
        serde_json::to_value(&other.protocol),
    ) else {
        return "they differ".to_string();
    };
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differs = keys
        .into_iter()
        .find(|&key| key != "published" && a.get(key) != b.get(key));
    differs.map_or_else(
        || "they differ".to_string(),
        |key| {
            let shown = |side: Option<&serde_json::Value>| {
                side.map_or("nothing".to_string(), |v| v.to_string())
            };
            format!(
                "`{key}` is {} against {}",
                shown(b.get(key)),
                shown(a.get(key))
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::paper::Published;
    use crate::evaluate::{DataRecord, NetworkRecord, Protocol, Subject, Value};

    fn results(values: &[(&str, f64)]) -> Results {
        let network = NetworkRecord {
            name: "network".to_string(),
            files: BTreeMap::from([("weights.pth".to_string(), "aa".to_string())]),
        };
        Results {
            format: Results::format(),
            software: Results::software(),
            protocol: Protocol::load("folder-v1").unwrap(),
            complete: true,
            subject: Subject {
                sample: None,
                kind: "images".to_string(),
                path: "images".to_string(),
                experiment: None,
                step: None,
                sha256: "01".to_string(),
            },
            data: DataRecord {
                dataset: "garden".to_string(),
                split: "validation".to_string(),
                images: 5,
                of: 5,
                size: [4, 4],
                sha256: "02".to_string(),
            },
            networks: BTreeMap::from([("fid-inception".to_string(), network)]),
            backend: "flex device 0".to_string(),
            values: values
                .iter()
                .map(|&(name, value)| (name.to_string(), Value::plain(value, 5)))
                .collect(),
            classes: BTreeMap::new(),
            timing: None,
            seconds: BTreeMap::new(),
        }
    }

    fn named(results: [Results; 2]) -> Vec<(String, Results)> {
        ["a", "b"]
            .into_iter()
            .map(String::from)
            .zip(results)
            .collect()
    }

    #[test]
    fn the_better_one_is_marked_whichever_way_is_better() {
        let pair = named([
            results(&[("fid", 20.0), ("miou", 40.0), ("kid", 0.5)]),
            results(&[("fid", 10.0), ("miou", 30.0), ("accuracy", 7.0)]),
        ]);
        let found = Comparison::new(&pair).unwrap();
        let best: Vec<_> = found
            .best
            .iter()
            .map(|(name, &index)| (name.as_str(), index))
            .collect();
        assert_eq!(best, [("fid", 1), ("miou", 0)]);
        let table = found.table();
        let line = table.lines().find(|line| line.starts_with("FID")).unwrap();
        assert!(
            line.ends_with("10.00 *") && line.contains("20.00"),
            "{table}"
        );
        assert!(
            table
                .lines()
                .any(|line| line.starts_with("KID") && line.ends_with('–')),
            "{table}"
        );
    }

    #[test]
    fn what_does_not_mean_the_same_is_refused() {
        let own = || results(&[("fid", 1.0)]);
        let problem = |change: &dyn Fn(&mut Results)| {
            let mut other = own();
            change(&mut other);
            Comparison::new(&named([own(), other]))
                .unwrap_err()
                .to_string()
        };
        let message = problem(&|other| other.protocol.seed = 7);
        assert!(message.contains("`seed` is 7 against 0"), "{message}");
        let mut old = own();
        old.protocol.published = vec![Published {
            method: "SPADE".to_string(),
            table: 1,
            values: BTreeMap::new(),
        }];
        Comparison::new(&named([own(), old])).unwrap();
        let message = problem(&|other| other.data.sha256 = "03".to_string());
        assert!(message.contains("other label maps or photos"), "{message}");
        let message = problem(&|other| {
            let network = other.networks.get_mut("fid-inception").unwrap();
            network
                .files
                .insert("weights.pth".to_string(), "bb".to_string());
        });
        assert!(
            message.contains("other weights for fid-inception"),
            "{message}"
        );
        assert!(Comparison::new(&named([own(), own()])[..1]).is_err());
    }

    #[test]
    fn results_are_read_back_and_strangers_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let own = results(&[("fid", 1.5)]);
        std::fs::write(&path, serde_json::to_string(&own).unwrap()).unwrap();
        assert_eq!(Results::read(folder.path()).unwrap(), own);
        // JSON has no number for what is not finite.
        let infinite = results(&[("fid", f64::INFINITY), ("kid", f64::NEG_INFINITY)]);
        let written = serde_json::to_string(&infinite).unwrap();
        std::fs::write(&path, &written).unwrap();
        assert_eq!(Results::read(&path).unwrap(), infinite);
        std::fs::write(&path, written.replace("\"inf\"", "null")).unwrap();
        assert!(Results::read(&path).unwrap().values["fid"].value.is_nan());
        let problem = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Results::read(&path).unwrap_err().to_string()
        };
        assert!(problem("{}").contains("holds no results"));
        assert!(problem("{\"format\": 9}").contains("layout 9"));
        assert!(problem("{\"format\": 1}").contains("holds no results"));
    }
}
