//! The figures of the paper: `experiments/paper.toml`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

const TEXT: &str = include_str!("../../experiments/paper.toml");

/// A row of a table of the paper, for one dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Table; none for what is in no table.
    pub table: Option<u32>,
    /// Name of the row.
    pub row: String,
    /// Dataset; none for times.
    pub dataset: Option<String>,
    /// Backbone, where the table has the row twice.
    pub backbone: Option<String>,
    /// Values by the names of `dp-sims evaluate`; shares in percent.
    pub values: BTreeMap<String, f64>,
    /// Where it is from, where that is no table.
    pub note: Option<String>,
}

/// Figures of a method as its paper prints them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Method.
    pub method: String,
    /// Table of the DP-SIMS paper.
    pub table: u32,
    /// Values by metric; mIoU in percent.
    pub values: BTreeMap<String, f64>,
}

/// Every figure, in the order of the tables.
///
/// # Errors
/// When the file inside the program is not valid.
pub fn figures() -> Result<Vec<Figure>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        figures: Vec<Figure>,
    }
    let file: File = toml::from_str(TEXT).context("experiments/paper.toml is not valid")?;
    Ok(file.figures)
}

/// What the paper publishes for the protocol of a dataset: Table 1, the diversity of Table 9 and, at
/// 256×256, the times of Table 4.
///
/// # Errors
/// As [`figures`].
pub(super) fn published(datasets: &[String], square: bool) -> Result<Vec<Published>> {
    let is_of = |figure: &Figure| match (figure.table, &figure.dataset) {
        (Some(1 | 9), Some(dataset)) => datasets.contains(dataset),
        (Some(4), _) => square,
        _ => false,
    };
    let mut found: Vec<Published> = Vec::new();
    for figure in figures()?.into_iter().filter(is_of) {
        if let Some(table) = figure.table {
            found.push(Published {
                method: figure.row,
                table,
                values: figure.values,
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_there_once() {
        let figures = figures().unwrap();
        let of_table = |table| figures.iter().filter(|f| f.table == table).count();
        let counts: Vec<usize> = (1..=9).map(|table| of_table(Some(table))).collect();
        assert_eq!(counts, [24, 5, 4, 4, 12, 7, 4, 6, 4]);
        assert_eq!(of_table(None), 5);
        for (index, a) in figures.iter().enumerate() {
            assert!(a.table.is_some() != a.note.is_some(), "{a:?}");
            assert!(!a.values.is_empty(), "{a:?}");
            for b in &figures[index + 1..] {
                let key = |f: &Figure| {
                    (
                        f.table,
                        f.row.clone(),
                        f.dataset.clone(),
                        f.backbone.clone(),
                    )
                };
                assert_ne!(key(a), key(b));
            }
        }
    }

    /// The last row of Tables 2, 3 and 5 to 8 is the model of Table 1.
    #[test]
    fn the_best_model_has_the_same_figures_in_every_table() {
        let figures = figures().unwrap();
        for (table, row) in [
            (1, "DP-SIMS"),
            (2, "ConvNeXt-L"),
            (3, "IN-21k@384"),
            (5, "DP-SIMS"),
            (6, "DP-SIMS"),
            (7, "0.3"),
            (8, "weighted focal"),
        ] {
            let found = figures.iter().find(|figure| {
                figure.table == Some(table)
                    && figure.row == row
                    && figure.dataset.as_deref() == Some("ade20k")
                    && figure.backbone.as_deref() != Some("efficientnet_lite1")
            });
            let values = &found.unwrap_or_else(|| panic!("table {table}")).values;
            assert_eq!((values["fid"], values["miou-mf"]), (22.7, 67.8), "{table}");
        }
    }
}
