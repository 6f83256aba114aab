use std::path::Path;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use super::Experiment;

/// Experiments that are part of the program.
const BUILT_IN: [(&str, &str); 2] = [
    (
        "quickstart",
        include_str!("../../experiments/quickstart.toml"),
    ),
    ("camvid", include_str!("../../experiments/camvid.toml")),
];

/// Names of the experiments that are part of the program.
pub fn experiment_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().map(|(name, _)| name)
}

/// Reads an experiment: a built-in name or the path of a TOML file, with `key=value` settings on
/// top. Keys are dotted (`generator.base_width`); values are TOML, bare words are text.
///
/// # Errors
/// When the file cannot be read, a key is unknown or a value has the wrong type.
pub fn load(name_or_path: &str, settings: &[String]) -> Result<Experiment> {
    let built_in = BUILT_IN.into_iter().find(|(name, _)| *name == name_or_path);
    let (text, origin) = match built_in {
        Some((name, text)) => (text.to_string(), format!("built-in experiment `{name}`")),
        None => {
            let path = Path::new(name_or_path);
            let text = std::fs::read_to_string(path).with_context(|| {
                let names: Vec<_> = experiment_names().collect();
                format!(
                    "cannot read experiment `{name_or_path}`: give one of {} or the path of a \
                     TOML file",
                    names.join(", ")
                )
            })?;
            (text, name_or_path.to_string())
        }
    };
    let mut table: Table = text
        .parse()
        .with_context(|| format!("{origin} is not valid TOML"))?;
    for setting in settings {
        set(&mut table, setting)?;
    }
    let mut experiment: Experiment = table
        .try_into()
        .with_context(|| format!("{origin} with its settings"))?;
    if experiment.name.is_empty() {
        let stem = Path::new(name_or_path)
            .file_stem()
            .map(|stem| stem.to_string_lossy());
        experiment.name = stem.map_or_else(|| "run".to_string(), |stem| stem.into_owned());
    }
    Ok(experiment)
}

/// An experiment with `key=value` settings on top.
///
/// # Errors
/// When a key is unknown or a value has the wrong type.
pub fn with_settings(experiment: &Experiment, settings: &[String]) -> Result<Experiment> {
    let mut table = Table::try_from(experiment).context("cannot write the experiment as TOML")?;
    for setting in settings {
        set(&mut table, setting)?;
    }
    table.try_into().context("the experiment with its settings")
}

fn set(table: &mut Table, setting: &str) -> Result<()> {
    let Some((key, text)) = setting.split_once('=') else {
        bail!("`--set {setting}`: write key=value, such as run.batch=8");
    };
    let value = format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_string()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut current = table;
    for part in parts {
        let entry = current
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        current = entry
            .as_table_mut()
            .with_context(|| format!("`--set {setting}`: `{part}` is a value, not a table"))?;
    }
    current.insert(last.to_string(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_experiments_are_valid() {
        for name in experiment_names() {
            let experiment = load(name, &[]).unwrap();
            assert_eq!(experiment.name, name);
            experiment.validate().unwrap();
        }
    }

    #[test]
    fn settings_override_the_file() {
        let settings = [
            "run.batch=2".to_string(),
            "backbone.weights=random".to_string(),
        ];
        let experiment = load("camvid", &settings).unwrap();
        assert_eq!(experiment.run.batch, 2);
        assert_eq!(experiment.backbone.weights, super::super::Weights::Random);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = load("camvid", &["run.batchsize=2".to_string()]).unwrap_err();
        assert!(format!("{error:#}").contains("batchsize"), "{error:#}");
    }

    #[test]
    fn an_unknown_experiment_lists_the_known_ones() {
        let error = load("no-such-experiment", &[]).unwrap_err().to_string();
        assert!(
            error.contains("quickstart") && error.contains("camvid"),
            "{error}"
        );
    }

    #[test]
    fn a_resolved_experiment_reads_back_the_same() {
        let experiment = load("quickstart", &[]).unwrap();
        let text = toml::to_string(&experiment).unwrap();
        let again: Experiment = toml::from_str(&text).unwrap();
        assert_eq!(again, experiment);
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        let error = load("camvid", &["ema.decay=1.5".to_string()])
            .unwrap()
            .validate()
            .unwrap_err();
        assert!(error.to_string().contains("ema.decay"), "{error}");
    }

    /// Fewer blocks in the generator allow sizes that the discriminator cannot halve.
    #[test]
    fn a_size_that_the_backbone_does_not_divide_is_refused() {
        let settings = [
            "generator.width_multipliers=[2, 2, 1]".to_string(),
            "generator.encoder_channels=[4, 4, 4]".to_string(),
            "data.width=40".to_string(),
        ];
        let error = load("quickstart", &settings)
            .unwrap()
            .validate()
            .unwrap_err();
        assert!(error.to_string().contains("data.width"), "{error}");
        assert!(error.to_string().contains("32"), "{error}");
    }
}
