use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an experiment is for: table `[about]` of its file. It belongs to that file alone, and files
/// that extend it do not inherit it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct About {
    /// What it shows, in a few words. `dp-sims experiments list` prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shows: Option<String>,
    /// Number of the table of the paper that has it as a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Name of that row in `experiments/paper.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
}

impl About {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{experiment_names, load};
    use crate::evaluate::paper;

    /// The rows that experiments name have figures; what is said is not repeated in code.
    #[test]
    fn every_experiment_says_what_it_shows_and_its_row_is_in_the_paper() {
        for name in experiment_names() {
            let experiment = load(name, &[]).unwrap();
            let about = experiment.about;
            assert!(about.shows.is_some(), "{name}");
            let Some(row) = about.row else { continue };
            let figures = paper::figures().unwrap();
            let dataset = experiment.data.dataset;
            let found = figures.iter().any(|figure| {
                figure.table == about.table
                    && figure.row == row
                    && figure.dataset.as_deref() == Some(&dataset)
            });
            assert!(found, "{name}: {row} of table {:?}, {dataset}", about.table);
        }
    }

    #[test]
    fn nothing_is_written_where_nothing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        std::fs::write(&path, "extends = \"quickstart\"\n").unwrap();
        let experiment = load(path.to_str().unwrap(), &[]).unwrap();
        let text = toml::to_string(&experiment).unwrap();
        assert!(!text.contains("about"), "{text}");
        std::fs::write(&path, "[about]\nauthor = \"me\"\n").unwrap();
        let error = format!("{:#}", load(path.to_str().unwrap(), &[]).unwrap_err());
        assert!(error.contains("author"), "{error}");
    }
}
